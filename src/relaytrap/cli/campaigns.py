"""`relaytrap campaigns`: what belongs together across sources and sensors."""

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, output_options
from relaytrap.cli.session import open_session

__all__ = ["command"]

TABLE_ROWS = 50
COLUMNS = (
    ("id", "campaign"),
    ("title", "what"),
    ("origin", "origin"),
    ("behind", "behind"),
    ("confidence", "confidence"),
    ("messages", "requests"),
    ("associated", "by association"),
    ("relays", "relays"),
    ("targets", "targets"),
    ("range", "range"),
    ("coverage", "coverage"),
    ("per_hour", "an hour"),
    ("sensors", "sensors"),
    ("first_seen", "first seen (UTC)"),
    ("last_seen", "last seen (UTC)"),
)


@click.command(name="campaigns")
@click.option(
    "--limit", type=click.IntRange(min=0), help="At most this many; 0: all. Default: 50, or all as JSON or CSV."
)
@click.option(
    "--sort",
    type=click.Choice(["messages", "last_seen", "first_seen", "relays"]),
    default="messages",
    help="What counts, largest first.",
)
@click.option("--relayed", is_flag=True, help="Only those that came through relays.")
@output_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, sort: str, relayed: bool, as_json: bool, as_csv: bool) -> None:
    """What belongs together although source, Call-ID, User-Agent and sensor differ.

    Confidence is in the origin, of 100; none where no relay vouches for one: it came direct, or nobody knows.
    `relaytrap show ID` tells what one is after, when it works and why we say so.
    """
    wanted = {
        "sort": sort,
        "relayed": relayed,
        "limit": limit if limit is not None else 0 if as_json or as_csv else TABLE_ROWS,
    }
    with open_session(settings.load()) as session:
        emit(session.query("campaigns", wanted), COLUMNS, as_json=as_json, as_csv=as_csv, empty="no campaigns")
