"""`relaytrap probe schedule`: tests that the hub runs again and again."""

import sys
from pathlib import Path

import click

from relaytrap.cli.main import Group, Settings
from relaytrap.cli.output import TEXT, emit, for_terminal, output_options
from relaytrap.clock import now_ns, rfc3339
from relaytrap.errors import InputError
from relaytrap.probe.register import Register
from relaytrap.probe.schedule import STATED, Schedule, Schedules, parse_every
from relaytrap.probe.service import Asked
from relaytrap.probe.target import TRANSPORTS, check_host
from relaytrap.probe.verdict import EXIT_NOT_RUN

__all__ = ["schedule"]

USER = "the command line"
COLUMNS = [(name, name) for name in ("target", "every", "next", "verdict", "changed", "was", "problem", "page")]


@click.group(cls=Group)
def schedule() -> None:
    """Servers that the hub of this data tests again and again, and says so when a result changes."""


@schedule.command()
@click.argument("host", type=TEXT)
@click.option(
    "--every", type=TEXT, default="1d", show_default=True, metavar="12h|1d|1w", help="How often; an hour at least."
)
@click.option("--i-run-this-server", "mine", is_flag=True, help="State that HOST is yours; without it nothing is sent.")
@click.option(
    "--transport", "transports", multiple=True, type=click.Choice(TRANSPORTS), help="Only these; default all."
)
@click.option("--domain", type=TEXT, default="", help="The server's own SIP domain, when HOST is not it.")
@click.option("--thorough", is_flag=True, help="All tricks.")
@click.pass_obj
def add(
    settings: Settings, host: str, every: str, mine: bool, transports: tuple[str, ...], domain: str, thorough: bool
) -> None:
    """Test a server from now on again and again; asked again for the same HOST, changes how."""
    if not mine:
        click.echo(f"relaytrap: add --i-run-this-server if {for_terminal(host)} is yours", err=True)
        sys.exit(EXIT_NOT_RUN)
    data_dir: Path = settings.load().data_dir
    check_host(host)
    if domain:
        check_host(domain)
    asked, now = Asked(host, domain, transports, thorough), now_ns()
    _schedules(data_dir).add(asked.host, USER, STATED, asked.options, parse_every(every), now, now)
    click.echo(f"{for_terminal(host)} is tested every {every}, by the hub of {for_terminal(data_dir)} while it runs")


@schedule.command()
@click.argument("host", type=TEXT)
@click.pass_obj
def remove(settings: Settings, host: str) -> None:
    """End every schedule for HOST; its tests stay in the log."""
    schedules = _schedules(settings.load().data_dir)
    found = [each for each in schedules.list_schedules() if each.target.lower() == host.lower()]
    if not found:
        raise InputError(f"nothing is scheduled for {host}; `relaytrap probe schedule list` shows what is")
    for each in found:
        schedules.remove(each.secret)
    click.echo(f"{for_terminal(host)} is no longer tested by itself")


@schedule.command("list")
@output_options
@click.pass_obj
def list_schedules(settings: Settings, as_json: bool, as_csv: bool) -> None:
    """What is scheduled, the latest result, and when a result last changed."""
    register = Register(settings.load().data_dir)
    schedules = Schedules(register.records)
    rows = [_row(each, register, schedules) for each in schedules.list_schedules()]
    emit(rows, COLUMNS, as_json=as_json, as_csv=as_csv, empty="nothing is scheduled")


def _row(each: Schedule, register: Register, schedules: Schedules) -> dict[str, object]:
    latest = next(iter(register.history(each.secret, limit=1)), None)
    notice = next(iter(schedules.notices(each.secret, limit=1)), None)
    return {
        "target": each.target,
        "every": f"{each.every_s // 3600} h",
        "next": rfc3339(each.next_at_ns),
        "verdict": (latest.verdict or "running") if latest else None,
        "changed": rfc3339(notice.at_ns) if notice else None,
        "was": notice.before if notice else None,
        "problem": each.problem,
        "user": each.user,
        "page": f"/probe/schedule/{each.secret}",
    }


def _schedules(data_dir: Path) -> Schedules:
    return Schedules(Register(data_dir).records)
