"""`relaytrap relays`: hosts that forwarded traffic for others."""

from typing import Any

import click

from relaytrap.cli.filtering import place_options
from relaytrap.cli.listing import list_rows, listing_options, sort_option
from relaytrap.cli.main import Settings

__all__ = ["command"]

COLUMNS = (
    ("address", "relay"),
    ("country", "country"),
    ("asn", "AS"),
    ("as_name", "network"),
    ("kind", "kind"),
    ("product", "product"),
    ("messages", "requests"),
    ("origins", "origins"),
    ("campaigns", "campaigns"),
    ("confidence", "confidence"),
    ("first_seen", "first seen (UTC)"),
    ("last_seen", "last seen (UTC)"),
)


@click.command(name="relays")
@sort_option("messages", "last_seen", "first_seen", "origins")
@place_options
@listing_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool, **given: Any) -> None:
    """Hosts that forwarded traffic for others: victims, not attackers.

    `relaytrap show ADDRESS` explains one with its evidence.
    """
    list_rows(settings, "relays", given, COLUMNS, limit=limit, as_json=as_json, as_csv=as_csv)
