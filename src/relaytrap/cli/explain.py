"""Findings in words for the terminal: a source, a relay, an origin, a campaign, and why it is said. Text only; every
value of a message passes `for_terminal`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from relaytrap.cli.output import for_terminal, moment
from relaytrap.evidence.product import KINDS
from relaytrap.wording import counted

__all__ = ["finding_lines", "place_of"]

Row = dict[str, Any]
LISTED: Final = 12


def finding_lines(kind: str, row: Row) -> Iterator[str]:
    """The lines of one finding; kind: source, relay, origin or campaign."""
    yield from LINES[kind](row)


def source_lines(row: Row) -> Iterator[str]:
    """An address that sent us something, whatever it is."""
    yield heading("Source", row["address"])
    yield from place_lines(row)
    yield field("Messages", f"{row['messages']:,}, {span(row)}")
    if row["relayed"]:
        yield field("", f"{row['relayed']:,} of them it handed on for others")
    yield from listed("Sensors", row["sensors"])
    yield from listed("Methods", row["methods"])
    yield from listed("Tools", row["tools"])
    yield from listed("Calls itself", row["user_agents"])
    if row["targets"]:
        yield field("Tried", f"{row['targets']:,} different users or numbers")


def relay_lines(row: Row) -> Iterator[str]:
    """A host that forwarded for others: a victim."""
    yield heading("Relay", row["address"], f"confidence {row['confidence']}")
    yield field("Kind", f"{row['kind']}: {KINDS[row['kind']]}")
    yield from place_lines(row)
    yield from listed("Product", [row["product"]])
    yield field("Requests", f"{row['messages']:,}, {span(row)}")
    if row["contradicts"]:
        named = ", ".join(map(for_terminal, row["contradicts"]))
        yield field("Unreliable", f"it alone names {named}, against what others vouch for")
    yield field("Forwarded", f"for {counted(row['origins'], 'origin')} in {counted(row['campaigns'], 'campaign')}")
    for each in row["for_origins"][:LISTED]:
        known = f"{HOW[each['how']]}, campaign {each['campaign']}"
        yield f"  {each['requests']:8,}  {for_terminal(each['origin'])}  {known}"
    yield from more(row["for_origins"])


def origin_lines(row: Row) -> Iterator[str]:
    """An address behind relays."""
    yield heading("Origin", row["address"], f"confidence {row['confidence']}")
    yield from place_lines(row)
    yield field("Requests", f"{row['messages']:,}, {span(row)}")
    yield field("", ways(row) + ("" if row["direct"] else ", none straight from it"))
    witnesses = f"{counted(row['relays'], 'relay')} in {counted(row['networks'], 'network')}"
    yield field("Vouched by", witnesses + (f", {counted(row['countries'], 'country')}" if row["countries"] else ""))
    for relay in row["contradicted_by"][:LISTED]:
        yield field("Against it", f"{for_terminal(relay)} names somebody else")
    yield field("Campaign", row["campaign"])
    yield "  Requests by relay, and how that is known"
    for each in row["by_relays"][:LISTED]:
        yield f"  {each['requests']:8,}  {for_terminal(each['relay'])}  {HOW[each['how']]}"
    yield from more(row["by_relays"])


def campaign_lines(row: Row) -> Iterator[str]:
    """What belongs together, what it tried, and why we say so."""
    by = f"from {row['origin']}" if row["origin"] else f"behind {row['behind']}"
    sure = "" if row["confidence"] is None else f", confidence {row['confidence']}"
    yield heading("Campaign", row["id"], f"{row['title']} {for_terminal(by)}{sure}")
    yield field(
        "Requests", f"{row['messages']:,}, {span(row)}; {row['per_hour']:,.0f} an hour{rhythm(row['schedule'])}"
    )
    yield field("", ways(row))
    relays = (
        f"{counted(row['relays'], 'relay')}, {row['relays_per_hour']} in the busiest hour, to " if row["relays"] else ""
    )
    yield field("Through", f"{relays}{counted(len(row['sensors']), 'sensor')}: {for_terminal(row['sensors'])}")
    yield field("Tried", tried(row))
    yield from listed("Methods", tally(row["methods"]))
    yield from listed("Tools", tally(row["tools"]))
    yield from listed("User-Agents", row["user_agents"])
    for each in row["numbers"][:LISTED]:
        ways_out = ", ".join(prefix or "none" for prefix in each["prefixes"])
        number = " ".join(filter(None, (each["dialled"] or each["core"], each["country"], each["kind"])))
        yield f"  {each['requests']:8,}  {for_terminal(number)}, prefixes: {for_terminal(ways_out)}"
    yield from more(row["numbers"])
    if row["passwords"]:
        yield from listed("Passwords", [f"{each['tried']} ({each['requests']})" for each in row["passwords"]])
    yield click.style("Why", bold=True)
    for each in row["evidence"]:
        association = "by association: " if each["association"] else ""
        yield f"  {each['requests']:8,}  {association}{for_terminal(each['why'], 400)}"


HOW: Final = {
    "vouched": "it wrote so",
    "through": "a relay before it wrote so",
    "association": "by association",
}
"""How it is known that a relay's requests came from an origin; as on the page."""

LINES: Final = {"source": source_lines, "relay": relay_lines, "origin": origin_lines, "campaign": campaign_lines}


def heading(kind: str, name: str, more: str = "") -> str:
    """The first line of a finding."""
    return click.style(f"{kind} {for_terminal(name)}", bold=True) + (f"  {more}" if more else "")


def field(name: str, text: str) -> str:
    """One fact on a line; name: empty to go on with the fact before."""
    return f"  {name:13}{text}"


def place_lines(row: Row) -> Iterator[str]:
    """Country and network of an address, if known."""
    if place := place_of(row):
        yield field("Network", place)


def place_of(row: Row) -> str:
    """Country and network of an address on one line; "" when neither is known."""
    return for_terminal(
        " ".join(filter(None, (row["country"], f"AS{row['asn']}" if row["asn"] else "", row["as_name"])))
    )


def span(row: Row) -> str:
    """From when to when."""
    return f"{moment(row['first_seen'])} to {moment(row['last_seen'])} UTC"


def ways(row: Row) -> str:
    """How the requests of an origin or campaign are known to be its own."""
    parts = (("vouched", "vouched for by relays"), ("associated", "by association"), ("direct", "straight from it"))
    return ", ".join(f"{row[key]:,} {text}" for key, text in parts if row[key])


def tried(row: Row) -> str:
    """How much of which range."""
    targets = counted(row["targets"], "different target")
    if row["range"] is None:
        return targets
    return f"{targets}; {row['coverage'] or 0:.0%} of {row['range'][0]} to {row['range'][1]}"


def rhythm(schedule: Mapping[str, Any]) -> str:
    """When it works, as far as that shows."""
    if schedule["continuous"]:
        return ", without rest"
    return f", every day in {sum(1 for each in schedule['hours_of_day'] if each)} hours" if schedule["daily"] else ""


def listed(name: str, values: list[str]) -> Iterator[str]:
    """Values on one line, if there are any."""
    if kept := [value for value in values if value]:
        yield field(
            name, for_terminal(kept[:LISTED]) + (f" and {len(kept) - LISTED} more" if len(kept) > LISTED else "")
        )


def more(rows: list[Row]) -> Iterator[str]:
    """What a list leaves out."""
    if len(rows) > LISTED:
        yield f"            … and {len(rows) - LISTED} more (--json has all)"


def tally(counts: Mapping[str, int]) -> list[str]:
    """Names with how often, the most frequent first."""
    return [f"{name} {number:,}" for name, number in sorted(counts.items(), key=lambda each: (-each[1], each[0]))]
