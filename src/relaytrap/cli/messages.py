"""`relaytrap messages`: what came in and what was answered, newest first."""

from collections.abc import Iterable, Iterator
from typing import Any

import click

from relaytrap.cli.filtering import filter_options
from relaytrap.cli.listing import list_rows, listing_options
from relaytrap.cli.main import Settings
from relaytrap.cli.output import TEXT, moment

__all__ = ["command"]

COLUMNS = (
    ("time", "received (UTC)"),
    ("sensor", "sensor"),
    ("source", "source"),
    ("country", "country"),
    ("what", "what"),
    ("whom", "whom"),
    ("user_agent", "user agent"),
    ("tool", "tool"),
    ("path_verdict", "path"),
    ("id", "id"),
)
# What of a whole row is named when there is none.
NAMED = ("received_at", "sensor", "source", "country", "method", "target", "user_agent", "tool", "path_verdict", "id")
WHOLE = tuple((name, name) for name in NAMED)


@click.command(name="messages")
@click.option("--before", type=TEXT, default="", metavar="CURSOR", help="Only older than TIME_ID of a listed message.")
@filter_options()
@listing_options
@click.pass_obj
def command(settings: Settings, /, limit: int | None, as_json: bool, as_csv: bool, **given: Any) -> None:
    """Messages, newest first; as JSON with everything that was found out and the bytes themselves (base64)."""
    whole = as_json or as_csv
    wanted = {**given, "with_raw": whole}
    columns = WHOLE if whole else COLUMNS
    list_rows(settings, "messages", wanted, columns, limit=limit, as_json=as_json, as_csv=as_csv, told=_told)


def _told(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows with the few columns that a terminal has room for."""
    for row in rows:
        what = row["method"] or (row["status_code"] and f"{row['status_code']} {row['cseq_method']}") or row["kind"]
        yield {
            **row,
            "time": moment(row["received_at"], 23),
            "what": f"← {what}" if row["direction"] == "out" else what,
            "whom": row["dialled"] or row["target"] or row["request_uri"],
        }
