"""`relaytrap campaigns`: what belongs together across sources and sensors."""

from typing import Any

import click

from relaytrap.cli.filtering import seen_options
from relaytrap.cli.listing import list_rows, listing_options, sort_option
from relaytrap.cli.main import Settings

__all__ = ["command"]

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
@sort_option("messages", "last_seen", "first_seen", "relays")
@click.option("--relayed", is_flag=True, help="Only those that came through relays.")
@seen_options
@listing_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool, **given: Any) -> None:
    """What belongs together although source, Call-ID, User-Agent and sensor differ.

    Confidence is in the origin, of 100; none where no relay vouches for one: it came direct, or nobody knows.
    `relaytrap show ID` tells what one is after, when it works and why we say so.
    """
    list_rows(settings, "campaigns", given, COLUMNS, limit=limit, as_json=as_json, as_csv=as_csv)
