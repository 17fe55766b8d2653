"""`relaytrap numbers`: what was dialled, and where it leads."""

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
    ("dialled", "number"),
    ("country", "leads to"),
    ("kind", "kind"),
    ("messages", "messages"),
    ("sources", "sources"),
    ("sensors", "sensors"),
    ("spellings", "spellings"),
    ("prefixes", "prefixes"),
    ("first_seen", "first seen (UTC)"),
    ("last_seen", "last seen (UTC)"),
)


@click.command(name="numbers")
@click.option(
    "--limit", type=click.IntRange(min=0), help="At most this many; 0: all. Default: 50, or all as JSON or CSV."
)
@filter_options()
@output_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool, **given: Any) -> None:
    """Numbers that were dialled, by the part that recurs under many prefixes; most dialled first."""
    wanted = {**given, "limit": limit if limit is not None else 0 if as_json or as_csv else TABLE_ROWS}
    with open_session(settings.load()) as session:
        rows = session.query("numbers", wanted)
        emit(rows if as_json or as_csv else _told(rows), COLUMNS, as_json=as_json, as_csv=as_csv, empty="no numbers")


def _told(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows in the form that a terminal has room for: times to the second."""
    for row in rows:
        times = {name: row[name][:19].replace("T", " ") for name in ("first_seen", "last_seen")}
        yield {**row, **times, "prefixes": [prefix or "(none)" for prefix in row["prefixes"]]}
