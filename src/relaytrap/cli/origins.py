"""`relaytrap origins`: addresses behind the relays, and who vouches for them."""

from typing import Any

import click

from relaytrap.cli.filtering import place_options
from relaytrap.cli.listing import list_rows, listing_options
from relaytrap.cli.main import Settings

__all__ = ["command"]

COLUMNS = (
    ("address", "origin"),
    ("country", "country"),
    ("asn", "AS"),
    ("as_name", "network"),
    ("confidence", "confidence"),
    ("relays", "relays"),
    ("networks", "networks"),
    ("countries", "countries"),
    ("contradictions", "against"),
    ("vouched", "vouched"),
    ("associated", "associated"),
    ("direct", "direct"),
    ("campaign", "campaign"),
    ("first_seen", "first seen (UTC)"),
    ("last_seen", "last seen (UTC)"),
)


@click.command(name="origins")
@place_options
@listing_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool, **given: Any) -> None:
    """Addresses behind the relays, and how many relays, networks and countries vouch for each.

    `relaytrap show ADDRESS` names the relays.
    """
    list_rows(settings, "origins", given, COLUMNS, limit=limit, as_json=as_json, as_csv=as_csv)
