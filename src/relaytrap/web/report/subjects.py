"""The sections of a report of one thing: a campaign, an origin, a relay, a source or a message."""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from relaytrap.evidence.product import KINDS
from relaytrap.probe.advice import advice_for
from relaytrap.sip import ANOMALIES, parse_message
from relaytrap.web.pictures.fan import draw_fan
from relaytrap.web.pictures.ladder import draw_ladder
from relaytrap.web.pictures.timeline import stack_timeline
from relaytrap.web.report.blocks import (
    Banner,
    Block,
    Bullets,
    Column,
    FactList,
    Mono,
    Paragraph,
    Picture,
    Section,
    Subheading,
    Table,
    Verbatim,
    Words,
    cut,
    words,
)
from relaytrap.web.report.parts import (
    campaign_blocks,
    confidence,
    joined,
    leaders_table,
    message_blocks,
    moment,
    paragraph,
    place_of,
    quoted_blocks,
    span_of,
    timeline_picture,
    witness_table,
)
from relaytrap.wording import counted

__all__ = ["subject_sections"]

Facts = Mapping[str, Any]
WITNESSES: Final = 200
FACETS: Final = {
    "method": "Method",
    "tool": "Tool",
    "user_agent": "User-Agent",
    "sensor": "Sensor",
    "verdict": "Way it came",
    "dialled_core": "Number dialled",
}


def subject_sections(facts: Facts) -> list[Section]:
    """A section for each thing that an identifier or address turned out to be, and its evidence behind it."""
    found: list[Section] = []
    for kind in ("campaign", "origin", "relay", "source", "message"):
        if kind in facts:
            found += SECTIONS[kind](facts[kind])
    return found


def _campaign(facts: Facts) -> list[Section]:
    row = facts["row"]
    sections = [Section(f"Campaign {row['id']}: {row['title']}", "campaign", tuple(campaign_blocks(facts, "campaign")))]
    if facts["quoted"]:
        sections.append(Section("One of its requests", "campaign-bytes", tuple(quoted_blocks(facts["quoted"]))))
    return sections


def _origin(facts: Facts) -> list[Section]:
    row = facts["row"]
    known = [each["how"] for each in row["by_relays"]]
    said = (
        f"Of {counted(len(known), 'relay')} {known.count('vouched'):,} wrote this address into the request, "
        f"{known.count('through'):,} handed on what a relay before wrote, {known.count('association'):,} belong here "
        "by association. One can lie; independent ones cannot all."
    )
    against = row["contradicted_by"]
    rows: tuple[tuple[str, Words], ...] = (
        ("Where", words(place_of(row))),
        ("Confidence", words(confidence(row["confidence"]))),
        ("Requests", words(f"{row['messages']:,}, {span_of(row)}")),
        (
            "Vouched for",
            words(
                f"{row['vouched']:,} requests, by {counted(row['relays'], 'relay')} in ",
                counted(row["networks"], "network"),
            ),
        ),
        ("By association", words(row["associated"])),
        ("Straight from it", words(row["direct"])),
        ("Name somebody else", joined(against) if against else ("no relay",)),
        ("Campaign", words(Mono(row["campaign"]))),
    )
    caption = "From the origin (left) through relays to sensors (right); dashed is by association."
    blocks: list[Block] = [
        paragraph("At or behind this address: a VPN or a NAT may stand before the person."),
        FactList(rows),
        Picture(
            "origin-fan", "fan", draw_fan(facts["fan"]), f"From {row['address']} through relays to sensors", caption
        ),
        paragraph(said),
        witness_table(row["by_relays"], WITNESSES),
    ]
    sections = [Section(f"Origin {row['address']}", "origin", tuple(blocks))]
    if facts["quoted"]:
        sections.append(
            Section("What relays wrote about it", "origin-bytes", (
                paragraph("One request each of the relays that carried most: independent witnesses."),
                *quoted_blocks(facts["quoted"]),
            ))
        )  # fmt: skip
    return sections


def _relay(facts: Facts) -> list[Section]:
    row = facts["row"]
    rows: list[tuple[str, Words]] = [
        ("Where", words(place_of(row))),
        ("What it does", words(f"{row['kind']}: it {KINDS[row['kind']]}")),
        ("Product", words(cut(row["product"], 80) or "unknown")),
        ("Confidence that it relays", words(confidence(row["confidence"]))),
        ("Requests handed on", words(f"{row['messages']:,}, {span_of(row)}")),
        ("For", words(f"{counted(row['origins'], 'origin')} in {counted(row['campaigns'], 'campaign')}")),
        ("Over", joined(row["transports"])),
    ]
    blocks: list[Block] = []
    if not row["reliable"]:
        named = cut(", ".join(row["contradicts"]), 200)
        blocks.append(
            Banner(words(f"Do not believe what it says of others: it alone names {named}; other relays contradict it."))
        )
    blocks += [
        paragraph("A host that forwards for strangers is a victim. Whoever runs it can close it; how is below."),
        FactList(tuple(rows)),
    ]
    if row["for_origins"]:
        columns = (
            Column("Origin", 26),
            Column("Known how", 26),
            Column("Requests", 14, True),
            Column("Seen (UTC)", 34),
        )
        cells = tuple(
            (
                words(Mono(each["origin"])),
                words("it wrote so" if each["how"] == "vouched" else "by association"),
                words(each["requests"]),
                words(f"{moment(each['first_seen'])} to {moment(each['last_seen'])}"),
            )
            for each in row["for_origins"]
        )
        blocks += [Subheading("For whom it forwarded"), Table(columns, cells)]
    made = stack_timeline(facts["timeline"], facts["steps"], facts["step_s"])
    if made.columns:
        blocks.append(
            timeline_picture(
                "relay-activity",
                made,
                "What came from it, by the path of each message",
                "What came from it, by the path of each message.",
            )
        )
    sections = [Section(f"Relay {row['address']}", "relay", tuple(blocks))]
    if facts["quoted"]:
        sections.append(Section("What it handed on", "relay-bytes", tuple(quoted_blocks(facts["quoted"]))))
    return [*sections, Section("How to close it", "close", tuple(_closing(row["product"] or "")))]


def _closing(product: str) -> list[Block]:
    """Advice for a product, its own first."""
    advice = advice_for(product)[0] if product else advice_for("")[-1]
    tried = " (tried on a real one)" if advice.tried else ""
    blocks: list[Block] = [Subheading(f"{advice.product}{tried}"), Bullets(tuple(words(step) for step in advice.steps))]
    if advice.snippet:
        blocks.append(Verbatim(advice.snippet))
    test = words("Then test it: ", Mono("relaytrap probe HOST --i-run-this-server"), ".")
    return [*blocks, Paragraph(test)]


def _source(facts: Facts) -> list[Section]:
    row = facts["row"]
    rows = (
        ("Where", words(place_of(row))),
        ("Messages", words(f"{row['messages']:,}, {span_of(row)}")),
        ("Handed on for others", words(row["relayed"])),
        ("Sensors", joined(row["sensors"], 12)),
        ("Methods", joined(row["methods"])),
        ("Tools", joined(row["tools"])),
        ("Calls itself", joined(row["user_agents"])),
        ("Different targets", words(row["targets"])),
    )
    made = stack_timeline(facts["timeline"], facts["steps"], facts["step_s"])
    blocks: list[Block] = [
        FactList(rows),
        timeline_picture("source-activity", made, "What it sent, by method", "Messages by method."),
    ]
    for facet, title in FACETS.items():
        name = "dialled" if facet == "dialled_core" else "value"
        blocks += leaders_table(title, facts["leaders"][facet], row["messages"], name)
    sections = [Section(f"Source {row['address']}", "source", tuple(blocks))]
    if facts["quoted"]:
        sections.append(Section("Its newest requests", "source-bytes", tuple(quoted_blocks(facts["quoted"]))))
    return sections


def _message(facts: Facts) -> list[Section]:
    row = facts["row"]
    what = row["method"] or (f"Answer {row['status_code']}" if row["status_code"] else "No SIP")
    rows: list[tuple[str, Words]] = [
        ("Source", words(Mono(f"{row['source']} port {row['source_port']}"), f", {place_of(row)}")),
        (
            "Received",
            words(
                f"{row['received_at'].replace('T', ' ').rstrip('Z')} UTC by {row['sensor']} over ",
                row["transport"].upper(),
            ),
        ),
        ("Path", words(row["path_verdict"] or "not judged")),
    ]
    if row["relay"]:
        rows.append(("Relay", words(Mono(row["relay"]))))
    if row["origin"]:
        rows.append(("Origin", words(Mono(row["origin"]), f", confidence {confidence(row['origin_confidence'])}")))
    if row["campaign"]:
        rows.append(("Campaign", words(Mono(row["campaign"]), ", by association" if row["association"] else None)))
    if row["tool"] or row["tool_claimed"]:
        faked = ", which it is not" if row["tool_faked"] else ""
        claimed = words("; calls itself ", Mono(cut(row["tool_claimed"], 60)), faked) if row["tool_claimed"] else ()
        rows.append(("Tool", words(Mono(row["tool"] or "unknown"), *claimed)))
    if row["dialled"]:
        way = f" after {row['dialled_prefix']}" if row["dialled_prefix"] else ""
        rows.append(("Number dialled", words(Mono(cut(row["dialled"], 60)), way)))
    blocks: list[Block] = [FactList(tuple(rows)), *message_blocks(row)]
    anomalies = tuple(
        _anomaly(each)
        for each in dict.fromkeys(each.name for each in parse_message(base64.b64decode(row["raw"])).anomalies)
    )
    if anomalies:
        blocks += [Subheading("What is odd about its bytes"), Bullets(anomalies)]
    if facts["conversation"]:
        caption = (
            "Same Call-ID, source and sensor. Solid is what our socket saw; dashed is what hops claim of each other."
        )
        ladder = draw_ladder(facts["conversation"], row["id"])
        blocks += [
            Subheading("Conversation"),
            Picture("conversation", "ladder", ladder, "Messages between the source and the sensor", caption),
        ]
    return [Section(f"{cut(what, 40)} from {row['source']}", "message", tuple(blocks))]


def _anomaly(name: str) -> Words:
    kind = ANOMALIES.get(name)
    return words(Mono(name), f": {kind.text}" if kind else None)


SECTIONS: Final[Mapping[str, Callable[[Facts], list[Section]]]] = {
    "campaign": _campaign,
    "origin": _origin,
    "relay": _relay,
    "source": _source,
    "message": _message,
}
