"""`relaytrap tail`: messages as they come in."""

import json
from typing import Any

import click

from relaytrap.cli.filtering import filter_options
from relaytrap.cli.main import Settings
from relaytrap.cli.output import for_terminal
from relaytrap.cli.session import HubSession, awaited_hub
from relaytrap.errors import InputError

__all__ = ["command"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@filter_options(without=("since", "until"))
@click.pass_obj
def command(settings: Settings, /, as_json: bool, **given: Any) -> None:
    """Messages as they come in, until Ctrl-C. Asks the hub that runs on this data.

    Leaves out what was received more than an hour before it came here: captures, a sensor that was away.
    """
    data_dir = settings.load().data_dir
    hub = awaited_hub(data_dir)
    if hub is None:
        raise InputError(f"no hub runs on {data_dir}, so nothing comes in; start one with relaytrap up")
    for row in HubSession(hub).events("live", given):
        click.echo(json.dumps(row) if as_json else line_of(row))
    click.echo("the hub has ended", err=True)


def line_of(row: dict[str, Any]) -> str:
    """One message as one line: time, way, where from, what, whom, and what made it."""
    what = row["method"] or (f"{row['status_code']}" if row["status_code"] else row["kind"])
    way = "←" if row["direction"] == "out" else "→"
    parts = (
        row["received_at"][11:23],
        row["sensor"],
        f"{row['source']}:{row['source_port']} {row['country']}".strip(),
        f"{way} {what}",
        row["dialled"] or row["target"] or row["request_uri"],
        row["tool"] or row["user_agent"],
        row["path_verdict"],
    )
    return "  ".join(for_terminal(part, 60) for part in parts if part)
