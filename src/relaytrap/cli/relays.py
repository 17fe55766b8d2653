"""`relaytrap relays`: hosts that forwarded traffic for others."""

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, output_options
from relaytrap.cli.session import open_session

__all__ = ["command"]

TABLE_ROWS = 50
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
@click.option(
    "--limit", type=click.IntRange(min=0), help="At most this many; 0: all. Default: 50, or all as JSON or CSV."
)
@click.option(
    "--sort",
    type=click.Choice(["messages", "last_seen", "first_seen", "origins"]),
    default="messages",
    help="What counts, largest first.",
)
@output_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, sort: str, as_json: bool, as_csv: bool) -> None:
    """Hosts that forwarded traffic for others: victims, not attackers.

    `relaytrap show ADDRESS` explains one with its evidence.
    """
    wanted = {"sort": sort, "limit": limit if limit is not None else 0 if as_json or as_csv else TABLE_ROWS}
    with open_session(settings.load()) as session:
        emit(session.query("relays", wanted), COLUMNS, as_json=as_json, as_csv=as_csv, empty="no relays")
