"""Blocks that several sections share: places, campaigns, quoted messages with what they prove."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from relaytrap.sip.text import display
from relaytrap.web.pictures.fan import draw_fan
from relaytrap.web.pictures.relay_hours import stack_relay_hours
from relaytrap.web.pictures.shapes import country_name
from relaytrap.web.pictures.sweep import draw_sweep
from relaytrap.web.pictures.timeline import Timeline
from relaytrap.web.render import percent
from relaytrap.web.report.blocks import (
    QUOTE_CHARS,
    Block,
    Bullets,
    Column,
    FactList,
    Mono,
    Paragraph,
    Picture,
    Run,
    Strong,
    Subheading,
    Table,
    Verbatim,
    Words,
    cut,
    words,
)
from relaytrap.wording import counted

__all__ = [
    "ROWS",
    "address_of",
    "campaign_blocks",
    "campaign_table",
    "confidence",
    "day",
    "grown",
    "joined",
    "leaders_table",
    "message_blocks",
    "moment",
    "network_of",
    "paragraph",
    "place_of",
    "quoted_blocks",
    "span_of",
    "timeline_picture",
    "witness_table",
]

Row = Mapping[str, Any]
ROWS: Final = 20
REASONS: Final = 12
NUMBERS: Final = 12


def moment(text: str | None) -> str:
    """A moment to the second, as tables have it; UTC is said elsewhere."""
    return text[:19].replace("T", " ") if text else "–"


def day(text: str) -> str:
    """The day of a moment."""
    return text[:10]


def span_of(row: Row) -> str:
    """From when to when."""
    return f"{moment(row['first_seen'])} to {moment(row['last_seen'])} UTC"


def network_of(row: Row) -> str:
    """The network of an address, by name and number, as far as they are known."""
    number = f"AS{row['asn']}" if row["asn"] else ""
    return " ".join(filter(None, (cut(row["as_name"], 60), number))) or "unknown network"


def place_of(row: Row) -> str:
    """Country and network of an address."""
    return f"{country_name(row['country'])}, {network_of(row)}"


def address_of(row: Row) -> Words:
    """An address with where it is."""
    return words(Mono(row["address"]), f" ({place_of(row)})")


def joined(values: Iterable[Any], limit: int = 6) -> Words:
    """Values that somebody else wrote, in a row; how many more there are."""
    listed = [cut(value, 80) for value in values if value]
    runs: list[Run] = []
    for value in listed[:limit]:
        runs += [", ", Mono(value)] if runs else [Mono(value)]
    return words(*runs, f" and {len(listed) - limit:,} more" if len(listed) > limit else None) or ("none",)


def confidence(value: int | None) -> str:
    """A confidence with its word: the words are those of `judged`."""
    return "–" if value is None else f"{value} ({grown(value)})"


def grown(value: int) -> str:
    """How sure a confidence is, in a word."""
    return next(
        word for least, word in ((90, "very strong"), (70, "strong"), (50, "fair"), (0, "weak")) if value >= least
    )


def leaders_table(title: str, rows: Sequence[Row], whole: int, name: str = "value") -> list[Block]:
    """The busiest values of a facet, with their share."""
    if not rows:
        return []
    cells = tuple(
        (words(Mono(cut(row[name], 80) or "none")), words(row["messages"]), words(percent(row["messages"], whole)))
        for row in rows
    )
    return [Table((Column(title, 60), Column("Messages", 20, True), Column("Share", 20, True)), cells)]


def timeline_picture(name: str, made: Timeline, alt: str, caption: str = "") -> Picture:
    """Counts over time, with what its colours stand for."""
    return Picture(name, "timeline", made, alt, caption, made.series)


# ---- campaigns --------------------------------------------------------------------------------------------------


def behind_of(row: Row) -> Words:
    """Who is behind a campaign, and by which way it came."""
    if not row["origin"]:
        return words("behind ", Mono(row["behind"]), ", which hides its origin")
    if not row["relays"]:
        return words("straight from ", Mono(row["origin"]))
    return words("from ", Mono(row["origin"]), f" through {counted(row['relays'], 'relay')}")


def campaign_table(rows: Sequence[Row], limit: int = ROWS) -> Table:
    """Campaigns, a row each."""
    columns = (
        Column("Campaign", 24),
        Column("Who is behind it", 30),
        Column("Requests", 10, True),
        Column("Confidence", 14),
        Column("Seen (UTC)", 22),
    )
    cells = tuple(
        (
            words(row["title"], " ", Mono(row["id"])),
            behind_of(row),
            words(row["messages"]),
            words(confidence(row["confidence"])),
            words(f"{moment(row['first_seen'])[:16]} to {moment(row['last_seen'])[:16]}"),
        )
        for row in rows[:limit]
    )
    return Table(columns, cells, _more(rows, limit))


def campaign_blocks(facts: Row, name: str) -> list[Block]:
    """What a campaign is, its pictures, and why its requests belong together. name: what its pictures are called."""
    row = facts["row"]
    blocks: list[Block] = [FactList(_campaign_facts(row))]
    sweep = draw_sweep(facts["sweep"])
    if sweep.points:
        what = "extension" if sweep.what == "extension" else "target"
        notes = [f"Each request is a point: the {what} it tried against time"]
        notes += ["colour: relay"] if sweep.relays else []
        notes += ["shape: sensor"] if len(sweep.sensors) > 1 else []
        notes += ["ringed: by association"] if sweep.guests else []
        notes += ["idle time is cut out"] if sweep.cuts else []
        blocks.append(
            Picture(f"{name}-sweep", "sweep", sweep, f"What {row['title']} tried over time", f"{'; '.join(notes)}.")
        )
    if facts["fan"]:
        caption = "From the origin (left) through relays to sensors (right); dashed is by association."
        alt = f"From the origin of {row['title']} through relays to sensors"
        blocks.append(Picture(f"{name}-fan", "fan", draw_fan(facts["fan"]), alt, caption))
    if facts["relay_hours"]:
        by_country, distinct = stack_relay_hours(facts["relay_hours"], row)
        blocks.append(
            timeline_picture(
                f"{name}-countries",
                by_country,
                "Requests by the country of the relay",
                "Requests by the relay's country.",
            )
        )
        blocks.append(
            Picture(f"{name}-relays", "timeline", distinct, "Different relays an hour", "Different relays an hour.")
        )
    reasons = tuple(
        words(
            Strong(f"{each['requests']:,}"),
            " requests" if each["requests"] != 1 else " request",
            ", by association: " if each["association"] else ": ",
            cut(each["why"], 400),
        )
        for each in row["evidence"][:REASONS]
    )
    if reasons:
        blocks += [Subheading("Why these belong together"), Bullets(reasons)]
    if row["numbers"]:
        blocks += [Subheading("Numbers it tried to call"), _numbers_table(row["numbers"])]
    return blocks


def _campaign_facts(row: Row) -> tuple[tuple[str, Words], ...]:
    tried = counted(row["targets"], "different target")
    if row["range"] is not None and row["coverage"] is not None:
        tried += f", {percent(row['coverage'])} of {row['range'][0]} to {row['range'][1]}"
    ways = ", ".join(
        f"{row[key]:,} {text}"
        for key, text in (
            ("vouched", "vouched for by relays"),
            ("associated", "by association"),
            ("direct", "straight from it"),
        )
        if row[key]
    )
    schedule = row["schedule"]
    rhythm = (
        "without rest"
        if schedule["continuous"]
        else "every day"
        if schedule["daily"]
        else f"{counted(row['active_hours'], 'hour')} with requests"
    )
    often = f"{row['per_hour']:,.0f} an hour" if row["per_hour"] >= 1 else "less than one an hour"
    facts: list[tuple[str, Words]] = [
        ("Behind it", behind_of(row)),
        ("Requests", words(f"{row['messages']:,}, {span_of(row)}; {often}, {rhythm}")),
        ("Known how", words(ways)),
    ]
    if row["relays"]:
        facts.append(("Relays", words(f"{row['relays']:,}, up to {row['relays_per_hour']:,} in one hour")))
        facts.append(("Confidence in the origin", words(confidence(row["confidence"]))))
    facts += [
        ("Tried", words(tried)),
        ("Sensors", joined(row["sensors"], 12)),
        ("Methods", _tally(row["methods"])),
        ("Tools", _tally(row["tools"])),
        ("User-Agents", joined(row["user_agents"])),
    ]
    if row["passwords"]:
        facts.append(("Passwords tried", joined([each["tried"] for each in row["passwords"]], 12)))
    return tuple(facts)


def _numbers_table(rows: Sequence[Row]) -> Table:
    columns = (Column("Number", 30), Column("Leads to", 30), Column("Tries", 12, True), Column("Prefixes", 28))
    cells = tuple(
        (
            words(Mono(cut(each["dialled"] or each["core"], 40))),
            words(" ".join(filter(None, (country_name(each["country"]) if each["country"] else "", each["kind"])))),
            words(each["requests"]),
            joined([prefix or "none" for prefix in sorted(each["prefixes"])], 8),
        )
        for each in rows[:NUMBERS]
    )
    return Table(columns, cells, _more(rows, NUMBERS))


def _tally(counts: Mapping[str, int]) -> Words:
    ranked = sorted(((name, number) for name, number in counts.items() if name), key=lambda each: (-each[1], each[0]))
    runs: list[Run] = []
    for name, number in ranked[:8]:
        runs += [*([", "] if runs else []), Mono(cut(name, 60)), f" {number:,}"]
    return tuple(runs) or ("none recognised",)


def _more(rows: Sequence[Any], limit: int) -> str:
    return f"{len(rows) - limit:,} more" if len(rows) > limit else ""


# ---- origins ----------------------------------------------------------------------------------------------------

HOW: Final = {
    "vouched": "it wrote this address into the request",
    "through": "it handed on what a relay before it wrote",
    "association": "by association",
}


def witness_table(rows: Sequence[Row], limit: int = ROWS) -> Table:
    """The relays that an origin came through, and what each says."""
    columns = (Column("Relay", 26), Column("Known how", 38), Column("Requests", 12, True), Column("Seen (UTC)", 24))
    cells = tuple(
        (
            words(Mono(each["relay"])),
            words(
                HOW[each["how"]],
                f"; it also names {cut(', '.join(each['names']), 80)}, against others" if each["names"] else None,
            ),
            words(each["requests"]),
            words(f"{moment(each['first_seen'])[:16]} to {moment(each['last_seen'])[:16]}"),
        )
        for each in rows[:limit]
    )
    return Table(columns, cells, _more(rows, limit))


# ---- messages ---------------------------------------------------------------------------------------------------


def quoted_blocks(rows: Sequence[Row]) -> list[Block]:
    """Messages as evidence: what each is, the bytes, and what its bytes prove."""
    return [block for row in rows for block in message_blocks(row)]


def message_blocks(row: Row) -> list[Block]:
    """One message: when and by which way it came, its octets, the reasons for what is said of it."""
    what = row["method"] or (f"{row['status_code']}" if row["status_code"] else "no SIP")
    note = words(
        Strong(cut(what, 40)),
        " from ",
        Mono(f"{row['source']} port {row['source_port']}"),
        f" to {row['sensor']} over {row['transport'].upper()}, {row['received_at'].replace('T', ' ').rstrip('Z')} UTC",
        ", message ",
        Mono(row["id"]),
        ", SHA-256 " if row["sha256"] else None,
        Mono(row["sha256"]) if row["sha256"] else None,
    )
    text = display(base64.b64decode(row["raw"]))
    blocks: list[Block] = [Verbatim(cut(text, QUOTE_CHARS), note)]
    reasons = [each for each in row["evidence"] if each["weight"] or each["rule"].startswith("path.")]
    if reasons:
        blocks.append(_reasons_table(reasons))
    if row["decoded"]:
        blocks.append(Bullets(tuple(_decoded(each) for each in row["decoded"][:REASONS])))
    return blocks


def _reasons_table(rows: Sequence[Row]) -> Table:
    ranked = sorted(rows, key=lambda each: -each["weight"])
    cells = tuple(
        (
            words(f"{each['weight']:+d}" if each["weight"] else "·"),
            words(cut(each["text"], 300)),
            words(Mono(cut(each["quote"], 100))) if each["quote"] else (),
        )
        for each in ranked[:REASONS]
    )
    return Table(
        (Column("Counts", 10, True), Column("Why", 55), Column("The bytes", 35)), cells, _more(ranked, REASONS)
    )


def _decoded(each: Row) -> Words:
    whose = ", the source" if each["is_source"] else ", our own" if each["is_local"] else ""
    return words(
        f"{each['field']} holds ", f"{each['kind']} ", Mono(cut(each["value"], 80)), f" ({each['encoding']}{whose})",
        f": {cut(each['note'], 200)}" if each["note"] else None,
    )  # fmt: skip


def paragraph(*runs: Run | int | None, muted: bool = False) -> Paragraph:
    """Words as a paragraph."""
    return Paragraph(words(*runs), muted)
