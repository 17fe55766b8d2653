"""`relaytrap origins`: addresses behind the relays, and who vouches for them."""

from typing import Any

import click

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
@listing_options
@click.pass_obj
def command(settings: Settings, /, **output: Any) -> None:
    """Addresses behind the relays, and how many relays, networks and countries vouch for each.

    `relaytrap show ADDRESS` names the relays.
    """
    list_rows(settings, "origins", {}, COLUMNS, **output)
