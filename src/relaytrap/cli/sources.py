"""`relaytrap sources`: addresses that sent something."""

from collections.abc import Iterable, Iterator
from typing import Any

import click

from relaytrap.cli.filtering import filter_options
from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, output_options
from relaytrap.cli.session import open_session

__all__ = ["command"]

TABLE_ROWS = 50
COLUMNS = (
    ("address", "source"),
    ("country", "country"),
    ("asn", "AS"),
    ("as_name", "network"),
    ("messages", "messages"),
    ("relayed", "for others"),
    ("targets", "targets"),
    ("methods", "methods"),
    ("tools", "tools"),
    ("sensors", "sensors"),
    ("first_seen", "first seen (UTC)"),
    ("last_seen", "last seen (UTC)"),
)


@click.command(name="sources")
@click.option(
    "--limit", type=click.IntRange(min=0), help="At most this many; 0: all. Default: 50, or all as JSON or CSV."
)
@click.option(
    "--sort",
    type=click.Choice(["messages", "last_seen", "first_seen", "relayed"]),
    default="messages",
    help="What counts, largest first.",
)
@filter_options()
@output_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, sort: str, as_json: bool, as_csv: bool, **given: Any) -> None:
    """Addresses that sent something, busiest first."""
    wanted = {**given, "sort": sort, "limit": limit if limit is not None else 0 if as_json or as_csv else TABLE_ROWS}
    with open_session(settings.load()) as session:
        rows = session.query("sources", wanted)
        emit(rows if as_json or as_csv else _told(rows), COLUMNS, as_json=as_json, as_csv=as_csv, empty="no sources")


def _told(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows in the form that a terminal has room for: times to the second."""
    for row in rows:
        times = {name: row[name][:19].replace("T", " ") for name in ("first_seen", "last_seen")}
        yield {**row, **times}
