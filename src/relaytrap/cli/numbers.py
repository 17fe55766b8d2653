"""`relaytrap numbers`: what was dialled, and where it leads."""

from collections.abc import Iterable, Iterator
from typing import Any

import click

from relaytrap.cli.filtering import filter_options
from relaytrap.cli.listing import list_rows, listing_options
from relaytrap.cli.main import Settings

__all__ = ["command"]

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
@filter_options()
@listing_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool, **given: Any) -> None:
    """Numbers that were dialled, by the part that recurs under many prefixes; most dialled first."""
    list_rows(settings, "numbers", given, COLUMNS, limit=limit, as_json=as_json, as_csv=as_csv, told=_told)


def _told(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows in which the empty prefix can be seen."""
    for row in rows:
        yield {**row, "prefixes": [prefix or "(none)" for prefix in row["prefixes"]]}
