"""`relaytrap sources`: addresses that sent something."""

from typing import Any

import click

from relaytrap.cli.filtering import filter_options
from relaytrap.cli.listing import list_rows, listing_options, sort_option
from relaytrap.cli.main import Settings

__all__ = ["command"]

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
@sort_option("messages", "last_seen", "first_seen", "relayed")
@filter_options()
@listing_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool, **given: Any) -> None:
    """Addresses that sent something, busiest first."""
    list_rows(settings, "sources", given, COLUMNS, limit=limit, as_json=as_json, as_csv=as_csv)
