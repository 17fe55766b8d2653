"""`relaytrap probe log`: every open-relay test of this installation."""

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, output_options
from relaytrap.clock import rfc3339
from relaytrap.probe.register import Register

__all__ = ["log_command"]

COLUMNS = [
    ("started", "started (UTC)"),
    *((name, name) for name in ("target", "verdict", "user", "proof", "sent", "page")),
]


@click.command("log")
@click.option(
    "--limit", default=50, type=click.IntRange(min=0), metavar="N", help="At most this many; 0: all. Default: 50."
)
@output_options
@click.pass_obj
def log_command(settings: Settings, limit: int, as_json: bool, as_csv: bool) -> None:
    """Every open-relay test of this installation, newest first."""
    rows = [
        {
            "started": rfc3339(entry.started_at_ns),
            "ended": rfc3339(entry.ended_at_ns) if entry.ended_at_ns else None,
            "target": entry.target,
            "verdict": entry.verdict or "running",
            "user": entry.user,
            "proof": entry.proof,
            "sent": entry.report["sent"] if entry.report else None,
            "page": f"/probe/{entry.secret}",
        }
        for entry in Register(settings.load().data_dir).latest(limit or -1)
    ]
    emit(rows, COLUMNS, as_json=as_json, as_csv=as_csv, empty="nothing was tested yet")
