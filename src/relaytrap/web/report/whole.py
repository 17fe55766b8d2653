"""The sections of a report of everything in a stretch of time: what happened, who is behind it, who is abused."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relaytrap.clock import rfc3339
from relaytrap.evidence.product import KINDS
from relaytrap.probe.advice import advice_for
from relaytrap.web.pictures.shapes import country_name
from relaytrap.web.pictures.timeline import stack_timeline
from relaytrap.web.render import percent
from relaytrap.web.report.blocks import (
    Block,
    Bullets,
    Column,
    FactList,
    Mono,
    Paragraph,
    Picture,
    Section,
    Strong,
    Subheading,
    Table,
    Words,
    cut,
    words,
)
from relaytrap.web.report.parts import (
    ROWS,
    address_of,
    campaign_blocks,
    campaign_table,
    confidence,
    joined,
    leaders_table,
    moment,
    network_of,
    paragraph,
    place_of,
    quoted_blocks,
    span_of,
    timeline_picture,
    witness_table,
)
from relaytrap.web.report.told import tell_what_happened
from relaytrap.web.window import Window
from relaytrap.wording import counted

__all__ = ["whole_sections"]

Row = Mapping[str, Any]
SURE: Final = 70
WITNESSES: Final = 8


def whole_sections(facts: Row, window: Window) -> list[Section]:
    """Every section, in the order in which people ask."""
    if facts["span"]["first_hour"] is None:
        nothing = paragraph("No message that asks for something was ever stored: there is nothing to report.")
        return [Section("What happened", "happened", (nothing,))]
    return [
        Section("What happened", "happened", tuple(_happened(facts, window))),
        Section("Where it came from", "countries", tuple(_countries(facts))),
        Section("When", "when", (_activity(facts, window),)),
        Section("Networks, tools and sources", "networks", tuple(_networks(facts))),
        Section("Numbers dialled", "numbers", tuple(_numbers(facts))),
        Section("Campaigns", "campaigns", tuple(_campaigns(facts))),
        Section("Who is behind the relays", "origins", tuple(_origins(facts))),
        Section("Relays: whose servers are abused", "relays", tuple(_relays(facts, window))),
        Section("What is not known", "unknown", tuple(_unknown(facts, window))),
        Section("Sensors", "sensors", tuple(_sensors(facts))),
    ]


def _happened(facts: Row, window: Window) -> list[Block]:
    blocks: list[Block] = [paragraph(sentence) for sentence in tell_what_happened(facts, window)]
    relays, origins = facts["relays"], facts["origins"]
    if relays:
        named = _busiest(relays, "country")
        most = f", most of them in {country_name(named[0][0])} ({named[0][1]:,})" if named and named[0][0] else ""
        blocks.append(
            paragraph(
                Strong(f"{counted(len(relays), 'open relay')} forwarded for others"),
                f"{most}. They are victims: what helps is that their owners close them.",
            )
        )
    if origins:
        sure = [row for row in origins if (row["confidence"] or 0) >= SURE]
        blocks.append(
            paragraph(
                f"Behind them stand {counted(len(origins), 'origin')}, {len(sure):,} of them with a confidence of "
                f"{SURE} or more. The strongest: ",
                *_first_origin(origins),
            )
        )
    return blocks


def _first_origin(origins: Sequence[Row]) -> Words:
    best = max(origins, key=lambda row: (row["confidence"] or 0, row["messages"]))
    vouch = f", for which {counted(best['relays'], 'relay')} in {counted(best['networks'], 'network')} vouch."
    return words(*address_of(best), vouch)


def _busiest(rows: Sequence[Row], key: str) -> list[tuple[Any, int]]:
    counts: dict[Any, int] = {}
    for row in rows:
        counts[row[key]] = counts.get(row[key], 0) + 1
    return sorted(counts.items(), key=lambda each: (-each[1], str(each[0])))


def _countries(facts: Row) -> list[Block]:
    rows = facts["countries"]
    if not rows:
        return [paragraph("Nothing arrived.")]
    columns = (
        Column("Country", 26),
        Column("Messages", 14, True),
        Column("Share", 12, True),
        Column("Sources", 12, True),
        Column("For others", 14, True),
        Column("Busiest tool", 22),
    )
    cells = tuple(
        (
            words(country_name(row["country"])),
            words(row["messages"]),
            words(percent(row["share"])),
            words(row["sources"]),
            words(percent(row["through_others"], row["messages"])),
            words(cut(row["tool"], 40) or "–"),
        )
        for row in rows[:ROWS]
    )
    caption = "Messages by the country of the source. For a relayed message that is the relay's, not the sender's."
    return [
        Picture("world", "world", rows, "World map: messages by country of the source address", caption),
        Table(columns, cells, f"{len(rows) - ROWS:,} more countries" if len(rows) > ROWS else ""),
    ]


def _activity(facts: Row, window: Window) -> Block:
    made = stack_timeline(facts["timeline"], window.steps, window.step_s)
    return timeline_picture("activity", made, "Messages over time, by method", "Messages by method; times are UTC.")


def _networks(facts: Row) -> list[Block]:
    whole, leaders = facts["totals"]["messages"], facts["leaders"]
    networks = tuple(
        (
            words(network_of(row)),
            words(row["messages"]),
            words(row["sources"]),
            words(", ".join(map(country_name, row["countries"][:4]))),
        )
        for row in facts["networks"][:ROWS]
    )
    sources = tuple(
        (words(Mono(row["address"])), words(place_of(row)), words(row["messages"]), words(row["relayed"]))
        for row in facts["sources"]
    )
    columns = (
        Column("Network", 46),
        Column("Messages", 16, True),
        Column("Sources", 14, True),
        Column("Countries", 24),
    )
    blocks: list[Block] = [Table(columns, networks)] if networks else [paragraph("Nothing arrived.")]
    if leaders["tool"]:
        blocks += [
            Subheading("Tools, by the structure of their messages"),
            *leaders_table("Tool", leaders["tool"], whole),
        ]
    if leaders["user_agent"]:
        blocks += [
            Subheading("What senders call themselves"),
            *leaders_table("User-Agent", leaders["user_agent"], whole),
        ]
    if sources:
        columns = (
            Column("Source", 24),
            Column("Where", 44),
            Column("Messages", 16, True),
            Column("For others", 16, True),
        )
        blocks += [Subheading("Busiest sources"), Table(columns, sources)]
    return blocks


def _numbers(facts: Row) -> list[Block]:
    rows = facts["numbers"]
    if not rows:
        return [paragraph("Nobody tried to call a number.")]
    columns = (
        Column("Number", 22),
        Column("Leads to", 24),
        Column("Tries", 10, True),
        Column("Sources", 10, True),
        Column("Prefixes tried", 34),
    )
    cells = tuple(
        (
            words(Mono(cut(row["dialled"] or row["core"], 40))),
            words(
                " ".join(filter(None, (country_name(row["country"]), row["kind"] if row["kind"] != "unknown" else "")))
            ),
            words(row["messages"]),
            words(row["sources"]),
            joined([prefix or "none" for prefix in row["prefixes"]], 8),
        )
        for row in _told_apart(rows)[:ROWS]
    )
    leads = facts["leaders"]["dialled_country"]
    said = (
        "A number is listed once, whatever prefixes were put before it. Many belong to people who know nothing of it."
    )
    blocks: list[Block] = [Paragraph(words(said)), Table(columns, cells)]
    if leads:
        named = [{**row, "value": country_name(row["value"])} for row in leads]
        blocks += [
            Subheading("Where the calls would have gone"),
            *leaders_table("Country", named, sum(row["messages"] for row in leads)),
        ]
    return blocks


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """Numbers of which only the hidden digits differ, as one; of their sources as many as the most of one has."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault((row["dialled"] or row["core"], row["country"]), {**row, "messages": 0, "prefixes": []})
        one["messages"] += row["messages"]
        one["sources"] = max(one["sources"], row["sources"])
        one["prefixes"] = sorted({*one["prefixes"], *row["prefixes"]})
    return sorted(found.values(), key=lambda row: -int(row["messages"]))


def _campaigns(facts: Row) -> list[Block]:
    rows = facts["campaigns"]
    if not rows:
        return [paragraph("Nothing was found to belong together.")]
    blocks: list[Block] = [
        paragraph(
            "A campaign is what belongs together although source, Call-ID, User-Agent and sensor differ. Numbers are "
            "of its whole time, also where that began earlier. Its identifier names it on the page and in ",
            Mono("relaytrap show"),
            ".",
        ),
        campaign_table(rows),
    ]
    for number, told in enumerate(facts["campaigns_told"], 1):
        blocks += [
            Subheading(f"{told['row']['title']} ({told['row']['id']})"),
            *campaign_blocks(told, f"campaign-{number}"),
        ]
        if not told["row"]["relays"]:  # what came through relays is quoted where their origins are
            blocks += quoted_blocks(told["quoted"])
    return blocks


def _origins(facts: Row) -> list[Block]:
    rows = facts["origins"]
    if not rows:
        return [paragraph("No relay named anybody behind it.")]
    columns = (
        Column("Origin", 20),
        Column("Where", 30),
        Column("Confidence", 16),
        Column("Relays that vouch", 12, True),
        Column("Against it", 10, True),
        Column("Requests", 12, True),
    )
    cells = tuple(
        (
            words(Mono(row["address"])),
            words(place_of(row)),
            words(confidence(row["confidence"])),
            words(row["relays"]),
            words(row["contradictions"]),
            words(row["messages"]),
        )
        for row in rows[:ROWS]
    )
    blocks: list[Block] = [
        paragraph(
            "A relay writes down from where a request reached it. One can lie; independent ones that say the same "
            "cannot all. The person may be further behind, at a VPN or a NAT: an origin is “at or behind” its address."
        ),
        Table(columns, cells),
    ]
    for told in facts["origins_told"]:
        row = told["row"]
        blocks += [
            Subheading(f"Evidence for {row['address']}"),
            paragraph(
                *address_of(row),
                f": {row['messages']:,} requests, {span_of(row)}, confidence {confidence(row['confidence'])}.",
            ),
            witness_table(row["by_relays"], WITNESSES),
            *quoted_blocks(told["quoted"][:1]),
        ]
    return blocks


def _relays(facts: Row, window: Window) -> list[Block]:
    rows = facts["relays"]
    if not rows:
        return [paragraph("No message is known to have come through somebody else's server.")]
    hours = [
        {"start": row["start"], "value": country_name(row["country"]), "messages": row["relays"]}
        for row in facts["relays_by_time"]
    ]
    made = stack_timeline(hours, window.steps, window.step_s)
    columns = (
        Column("Relay", 18),
        Column("Where", 32),
        Column("Product", 16),
        Column("Kind", 12),
        Column("Requests", 10, True),
        Column("Last seen (UTC)", 16),
    )
    cells = tuple(
        (
            words(Mono(row["address"])),
            words(place_of(row)),
            words(cut(row["product"], 40) or "unknown"),
            words(row["kind"], None if row["reliable"] else ", unreliable"),
            words(row["messages"]),
            words(moment(row["last_seen"])[:16]),
        )
        for row in rows[: 2 * ROWS]
    )
    kinds = tuple(
        words(Strong(kind), f": {KINDS[kind]}") for kind in dict.fromkeys(row["kind"] for row in rows[: 2 * ROWS])
    )
    more = f"{len(rows) - 2 * ROWS:,} more; relaytrap relays lists all" if len(rows) > 2 * ROWS else ""
    return [
        paragraph(
            "Hosts that forward for strangers are victims. Their owners, and these networks' abuse desks, are whom to "
            "write to."
        ),
        timeline_picture(
            "relays", made, "Different relays over time, by country", "Different relays in each step, by country."
        ),
        Table(columns, cells, more),
        Bullets(kinds),
        Subheading("Networks with most relays"),
        _relay_networks(rows),
        *_advice(rows),
    ]


def _relay_networks(rows: Sequence[Row]) -> Table:
    by_number: dict[tuple[Any, Any, Any], list[Row]] = {}
    for row in rows:
        by_number.setdefault((row["asn"], row["as_name"], row["country"]), []).append(row)
    ranked = sorted(by_number.values(), key=lambda each: (-len(each), each[0]["asn"]))
    columns = (Column("Network", 46), Column("Country", 20), Column("Relays", 12, True), Column("Requests", 22, True))
    cells = tuple(
        (
            words(network_of(each[0])),
            words(country_name(each[0]["country"])),
            words(len(each)),
            words(sum(row["messages"] for row in each)),
        )
        for each in ranked[:ROWS]
    )
    return Table(columns, cells, f"{len(ranked) - ROWS:,} more networks" if len(ranked) > ROWS else "")


def _advice(rows: Sequence[Row]) -> list[Block]:
    """How each product among the relays is closed, the most frequent first."""
    counts: dict[str, int] = {}
    steps: dict[str, tuple[str, ...]] = {}
    for row in rows:
        advice = advice_for(row["product"] or "")[0] if row["product"] else advice_for("")[-1]
        counts[advice.product] = counts.get(advice.product, 0) + 1
        steps[advice.product] = advice.steps
    blocks: list[Block] = []
    for product, count in sorted(counts.items(), key=lambda each: -each[1])[:3]:
        blocks.append(Subheading(f"How to close one: {product} ({count:,} of these)"))
        blocks.append(Bullets(tuple(words(step) for step in steps[product])))
    test = words("After the change the owner can test it: ", Mono("relaytrap probe HOST --i-run-this-server"), ".")
    return [*blocks, Paragraph(test)]


def _unknown(facts: Row, window: Window) -> list[Block]:
    totals, leaders = facts["totals"], facts["leaders"]
    whole = totals["messages"]
    verdicts = {row["value"]: row["messages"] for row in leaders["verdict"]}
    unplaced = sum(row["messages"] for row in facts["countries"] if not row["country"])
    without_tool = whole - sum(row["messages"] for row in leaders["tool"])
    hidden = [row for row in facts["campaigns"] if not row["origin"]]
    lying = [row for row in facts["relays"] if not row["reliable"]]
    facts_list = [
        ("Way that cannot be told", words(_of(verdicts.get("unknown", 0), whole))),
        ("Came through a server that hides for whom", words(_of(verdicts.get("hidden", 0), whole))),
        ("Campaigns whose origin is hidden", words(len(hidden))),
        ("No tool recognised, or a rarer one", words(_of(max(without_tool, 0), whole))),
        ("Country unknown", words(_of(unplaced, whole))),
        ("No SIP, or beyond reading", words(facts["unread"]["messages"])),
        ("Relays whose word is not believed", joined([row["address"] for row in lying], 6) if lying else ("none",)),
    ]
    begin = facts["span"]["first_hour"]
    items = [
        words(
            "Who is behind a VPN, a NAT or a server that makes requests anew leaves nothing to see: none is guessed."
        ),
        words("The source of a single UDP datagram can be forged by whoever needs no answer."),
        words("Sensors see what is sent to them: who scans other networks alone is not in this report."),
    ]
    if window.since is not None and begin is not None and begin[:19] > rfc3339(window.since)[:19]:
        items.insert(
            0,
            words(f"Messages before {moment(begin)[:16]} UTC are not stored: of that time this report knows nothing."),
        )
    return [FactList(tuple(facts_list)), Bullets(tuple(items))]


def _of(part: int, whole: int) -> str:
    return f"{part:,} messages, {percent(part, whole)}" if whole else f"{part:,} messages"


def _sensors(facts: Row) -> list[Block]:
    rows = facts["sensors"]
    if not rows:
        return [paragraph("No sensor saw anything.")]
    columns = (
        Column("Sensor", 30),
        Column("Messages", 15, True),
        Column("Sources", 15, True),
        Column("First and last seen (UTC)", 40),
    )
    cells = tuple(
        (
            words(cut(row["sensor"], 60)),
            words(row["messages"]),
            words(row["sources"]),
            words(f"{moment(row['first_seen'])} to {moment(row['last_seen'])}"),
        )
        for row in rows[: 3 * ROWS]
    )
    return [
        paragraph(
            "Both directions: also what sensors answered. All times in this report are UTC, by the sensors' clocks."
        ),
        Table(columns, cells, f"{len(rows) - 3 * ROWS:,} more sensors" if len(rows) > 3 * ROWS else ""),
    ]
