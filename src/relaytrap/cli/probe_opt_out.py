"""`relaytrap probe opt-out`: whom this installation never tests."""

import click

from relaytrap.cli.main import Group, Settings
from relaytrap.cli.output import TEXT, emit, output_options
from relaytrap.clock import now_ns, rfc3339
from relaytrap.probe.opt_out import OptOuts
from relaytrap.probe.records import Records

__all__ = ["opt_out"]


@click.group("opt-out", cls=Group)
def opt_out() -> None:
    """Addresses, networks and domains that this installation never tests, by page, command line or schedule."""


@opt_out.command()
@click.argument("name", type=TEXT, metavar="ADDRESS|NETWORK|DOMAIN")
@click.option("--note", type=TEXT, default="", help="Who asked for it, and how.")
@click.pass_obj
def add(settings: Settings, name: str, note: str) -> None:
    """Never test an address, a network, or a domain and all names below it."""
    click.echo(f"{_opt_outs(settings).add(name, note, now_ns())} is never tested from here")


@opt_out.command()
@click.argument("name", type=TEXT, metavar="ADDRESS|NETWORK|DOMAIN")
@click.pass_obj
def remove(settings: Settings, name: str) -> None:
    """Take an entry back."""
    click.echo(f"{_opt_outs(settings).remove(name)} may be tested again, by its owner")


@opt_out.command("list")
@output_options
@click.pass_obj
def list_opt_outs(settings: Settings, as_json: bool, as_csv: bool) -> None:
    """Who has opted out, since when, and who asked for it."""
    rows = [
        {"name": each.name, "since": rfc3339(each.since_ns), "note": each.note}
        for each in _opt_outs(settings).list_entries()
    ]
    columns = [("name", "never tested"), ("since", "since (UTC)"), ("note", "note")]
    emit(rows, columns, as_json=as_json, as_csv=as_csv, empty="nobody has opted out")


def _opt_outs(settings: Settings) -> OptOuts:
    return OptOuts(Records(settings.load().data_dir))
