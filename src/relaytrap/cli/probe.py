"""`relaytrap probe HOST`: the open-relay test from the command line."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, for_terminal
from relaytrap.errors import RelaytrapError
from relaytrap.probe.conduct import Options, conduct
from relaytrap.probe.plan import Progress
from relaytrap.probe.report import Report
from relaytrap.probe.request import METHODS
from relaytrap.probe.target import TRANSPORTS, resolve_target
from relaytrap.probe.tricks import STANDARD, TRICKS
from relaytrap.probe.verdict import EXIT_NOT_RUN

__all__ = ["command"]

log = logging.getLogger(__name__)

COLOURS = {0: "green", 1: "red", 2: "yellow", 3: "yellow"}


@click.command()
@click.argument("host")
@click.option("--i-run-this-server", "mine", is_flag=True, help="State that HOST is yours; without it nothing is sent.")
@click.option(
    "--transport", "transports", multiple=True, type=click.Choice(TRANSPORTS), help="Only these; default all."
)
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), help="Only these; default all three.")
@click.option("--domain", default="", help="The server's own SIP domain, when HOST is not it.")
@click.option("--thorough", is_flag=True, help=f"All {len(TRICKS) - 1} tricks instead of {len(STANDARD)}.")
@click.option("--number", default="", metavar="+E164", help="Also try to call this number, which must be your own.")
@click.option("--register-then-call", "register", is_flag=True, help="Also register a random user; taken back again.")
@click.option("--from", "tester", default="", metavar="ADDR", help="Our own address to test from.")
@click.option(
    "--witness", default="", metavar="ADDR[:PORT]", help="Where the witness listens; default: as --from, 5060."
)
@click.option("--witness-public", default="", metavar="ADDR:PORT", help="How others reach the witness, behind a NAT.")
@click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON object.")
@click.pass_obj
def command(settings: Settings, /, host: str, mine: bool, as_json: bool, **options: Any) -> None:
    """Is the server that I run an open relay?

    Sends OPTIONS, INVITE and REGISTER that lead to a witness of our own and watches what arrives there. Nothing is left
    ringing or registered. Exit status: 0 closed, 1 open, 2 undecided, 3 not run.
    """
    if not mine:
        click.echo(
            f"relaytrap: nothing was sent: add --i-run-this-server if {for_terminal(host)} is yours; only your own "
            "server may be tested",
            err=True,
        )
        sys.exit(EXIT_NOT_RUN)
    quiet = as_json or not sys.stderr.isatty()
    try:
        data_dir: Path = settings.load().data_dir
        report = asyncio.run(_test(host, Options(**options), quiet=quiet))
    except RelaytrapError as error:
        click.echo(f"relaytrap: {error}", err=True)
        sys.exit(EXIT_NOT_RUN)
    except Exception:  # Python's own status for it, 1, would tell a monitor that the server is open
        log.exception("the test failed")
        sys.exit(EXIT_NOT_RUN)
    if not quiet:
        click.echo("\r\033[K", nl=False, err=True)
    _keep_log(data_dir, report)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        _print(report)
    sys.exit(report.exit_status)


async def _test(host: str, options: Options, *, quiet: bool) -> Report:
    target = await resolve_target(host, transports=options.transports or TRANSPORTS, domain=options.domain)
    return await conduct(target, options, _quiet if quiet else _progress)


def _progress(progress: Progress) -> None:
    share = progress.settled / progress.total if progress.total else 0.0
    bar = "#" * round(share * 30)
    click.echo(
        f"\r\033[K[{bar:<30}] {progress.settled}/{progress.total} {progress.doing}, {progress.seconds_left:.0f} s left",
        nl=False,
        err=True,
    )


def _quiet(progress: Progress) -> None:
    return


def _print(report: Report) -> None:
    click.secho(f"{report.target}: {report.verdict}", bold=True, fg=COLOURS[report.exit_status])
    for name, sentence in report.classes:
        click.echo(f"  {sentence}" if name == report.verdict else f"  Also {name}: {sentence}")
    if report.exit_status == EXIT_NOT_RUN:
        _print_list("", report.not_tested)
        return
    click.echo(f"  {report.sent} probes from {report.tested_from}, witness {report.witness}, {report.seconds:.0f} s\n")
    methods = [method for method in METHODS if any(method in row for row in report.table)]
    columns = [("transport", "by"), ("what", "tried"), *((method, method) for method in methods)]
    emit(report.table, columns, as_json=False, as_csv=False)
    for proof in report.proof[:3]:
        click.echo(f"\nProof: {proof['method']} by {proof['sent_by'].upper()}, {TRICKS[proof['trick']].text}")
        click.echo(f"  arrived at the witness from {proof['arrived_from']} after {proof['after_s']} s")
        for via in proof["vias"]:
            click.echo(f"  Via: {for_terminal(via)}")
    _print_list("Hints", report.hints)
    if report.advice:
        first = report.advice[0]
        _print_list(f"What to change on {first['product']}", first["steps"])
        click.echo(f"  (other products: {', '.join(each['product'] for each in report.advice[1:])}; see --json)")
    _print_list("Not tested", report.not_tested)


def _print_list(title: str, lines: tuple[str, ...]) -> None:
    if lines:
        click.echo(f"\n{title}" if title else "")
    for line in lines:
        click.echo(f"  - {for_terminal(line)}")


def _keep_log(data_dir: Path, report: Report) -> None:
    """Every test leaves a line in the data directory's log; a test that cannot be logged says so."""
    line = {key: getattr(report, key) for key in ("started_at", "target", "tested_from", "verdict", "sent", "seconds")}
    path = data_dir / "probe-log.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
    except OSError as error:
        click.echo(f"relaytrap: this test is not in the log: {path}: {error.strerror}", err=True)
