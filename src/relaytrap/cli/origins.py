"""`relaytrap origins`: addresses behind the relays, and who vouches for them."""

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, output_options
from relaytrap.cli.session import open_session

__all__ = ["command"]

TABLE_ROWS = 50
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
@click.option(
    "--limit", type=click.IntRange(min=0), help="At most this many; 0: all. Default: 50, or all as JSON or CSV."
)
@output_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool) -> None:
    """Addresses behind the relays, and how many relays, networks and countries vouch for each.

    `relaytrap show ADDRESS` names the relays.
    """
    wanted = {"limit": limit if limit is not None else 0 if as_json or as_csv else TABLE_ROWS}
    with open_session(settings.load()) as session:
        emit(session.query("origins", wanted), COLUMNS, as_json=as_json, as_csv=as_csv, empty="no origins")
