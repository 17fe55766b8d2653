"""`relaytrap show ID`: one message, source, relay, origin or campaign, explained with its evidence."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import click

from relaytrap.cli.explain import finding_lines, place_of
from relaytrap.cli.main import Settings
from relaytrap.cli.output import TEXT, for_terminal
from relaytrap.cli.picture import dot_chart
from relaytrap.cli.session import open_session
from relaytrap.clock import parse_rfc3339
from relaytrap.errors import InputError
from relaytrap.sip import Unparsed, parse_message
from relaytrap.sip.text import display, visible
from relaytrap.store.queries.subject import find_known

__all__ = ["command"]

Row = dict[str, Any]
WIDE = 400
SWEEP_POINTS_MIN = 5
STANDING = {"fact": "our socket saw it", "vouched": "vouched for by", "claim": "only claimed"}


@click.command()
@click.argument("what", type=TEXT)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@click.pass_obj
def command(settings: Settings, what: str, as_json: bool) -> None:
    """Explain one thing with its evidence.

    WHAT is a message's identifier (16 hex digits), an address (as source, relay and origin), or a campaign's
    identifier.
    """
    with open_session(settings.load()) as session:
        found = find_known(session.query, what)
        sweep = list(session.query("sweep", {"id": found["campaign"]["id"]})) if _has_range(found) else []
    if not found:
        raise InputError(
            f"nothing is known of {what!r}; relaytrap messages, sources, relays and campaigns list what is"
        )
    if as_json:
        click.echo(json.dumps(found))
        return
    for kind, row in found.items():
        lines = message_lines(row) if kind == "message" else finding_lines(kind, row)
        click.echo("\n".join(lines) + "\n")
    if sweep:
        click.echo("\n".join(sweep_lines(sweep)))


def _has_range(found: dict[str, Row]) -> bool:
    return "campaign" in found and found["campaign"]["range"] is not None


def message_lines(row: Row) -> Iterator[str]:
    """One message: what it is, the way it came, why we say so, and its bytes."""
    what = row["method"] or row["status_code"] or row["kind"]
    ends = f"{row['source']}:{row['source_port']} {'←' if row['direction'] == 'out' else '→'} {row['sensor']}"
    yield click.style(f"{what} {for_terminal(row['request_uri'], WIDE)}".strip(), bold=True)
    yield f"{row['received_at']}  {ends} ({row['transport'].upper()} {row['local']}:{row['local_port']})"
    if row["own_at"]:
        yield f"Own time   {row['own_at']}"
    if place := place_of(row):
        yield f"Source     {place}"
    if row["tool"] or row["tool_claimed"]:
        faked = ", which it is not" if row["tool_faked"] else ""
        claim = f" (calls itself {for_terminal(row['tool_claimed'])}{faked})" if row["tool_claimed"] else ""
        yield f"Tool       {for_terminal(row['tool'] or 'unknown')}{claim}"
        if row["tool_faked"]:
            yield f"  {for_terminal(why_faked(row), WIDE)}"
    if row["dialled"]:
        way = f", after {row['dialled_prefix']}" if row["dialled_prefix"] else ""
        number = " ".join(filter(None, (row["dialled"], row["dialled_country"], row["dialled_kind"])))
        yield f"Dialled    {for_terminal(number + way)}"
    yield from path_lines(row)
    for decoded in row["decoded"]:
        mark = " = the source" if decoded["is_source"] else " = our own" if decoded["is_local"] else ""
        text = f"{decoded['field']}: {decoded['kind']} {decoded['value']}{mark} ({decoded['encoding']})"
        yield f"Decoded    {for_terminal(text, WIDE)}"
    yield from anomaly_lines(row)
    yield ""
    for line in display(base64.b64decode(row["raw"])).splitlines():
        yield f"  {visible(line)}"


def why_faked(row: Row) -> str:
    """Why a message's tool is not what its User-Agent says, found again in its bytes."""
    from relaytrap.evidence.fingerprint import find_tool

    message = parse_message(base64.b64decode(row["raw"]))
    return "" if isinstance(message, Unparsed) else find_tool(message).why


def anomaly_lines(row: Row) -> Iterator[str]:
    """What is odd about a message's bytes, where it shows first and which rule it breaks; what their reader noted."""
    shown = {each.name: each for each in reversed(parse_message(base64.b64decode(row["raw"])).anomalies)}
    for name in row["anomalies"]:
        where = f" at octet {shown[name].offset:,} ({shown[name].section})" if name in shown else ""
        yield f"Anomaly    {for_terminal(name)}{where}"
    for note in row["notes"]:
        yield f"Note       {for_terminal(note, WIDE)}"


def path_lines(row: Row) -> Iterator[str]:
    """The way a message came, hop by hop, and each reason with the bytes it rests on."""
    if not row["path_verdict"]:
        return
    origin = f", from {row['origin']} (confidence {row['origin_confidence']})" if row["origin"] else ""
    relay = f" by {row['relay']}" if row["relay"] else ""
    association = " by association" if row["association"] else ""
    campaign = f"; campaign {row['campaign']}{association}" if row["campaign"] else ""
    yield f"Path       {row['path_verdict']}{relay}{origin}{campaign}"
    for number, hop in enumerate(row["hops"]):
        standing = STANDING.get(hop["standing"], hop["standing"])
        by = f" {hop['by']}" if hop["by"] else ""
        software = f", {hop['software']}" if hop["software"] else ""
        place = f"{hop['address']}:{hop['port']}" if hop["port"] else hop["address"]
        yield f"  {'  ' * number}└ {for_terminal(place or hop['sent_by'])}  {standing}{by}{for_terminal(software)}"
    for reason in row["evidence"]:
        quote = f"  «{for_terminal(reason['quote'], 100)}»" if reason["quote"] else ""
        yield f"  {reason['weight']:+4d} {reason['rule']}: {for_terminal(reason['text'], WIDE)}{quote}"


def sweep_lines(points: list[Row]) -> Iterator[str]:
    """What a campaign tried against time: a sweep shows as a diagonal."""
    numbered = [(parse_rfc3339(point["received_at"]) / 1e9, point["number"]) for point in points if point["number"]]
    if len(numbered) < SWEEP_POINTS_MIN:
        return
    tried = [number for _, number in numbered]
    yield f"Tried, from {min(tried)} (below) to {max(tried)} (above), against time:"
    for line in dot_chart(numbered):
        yield f"  {line}"
    yield f"  {points[0]['received_at'][:19]}Z … {points[-1]['received_at'][:19]}Z"
