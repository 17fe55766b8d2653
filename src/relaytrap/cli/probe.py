"""`relaytrap probe HOST`: the open-relay test from the command line, and what belongs to it.

A monitor reads the exit status, so whatever goes wrong ends with 3, "not run": Python's own 1 would say open, click's 2
undecided, and the 0 of a pipe whose reader left early would say closed.
"""

import asyncio
import contextlib
import getpass
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from relaytrap.cli.main import Group, Settings
from relaytrap.cli.monitored import output_keeps_status, usage_is_not_run
from relaytrap.cli.output import TEXT, for_terminal
from relaytrap.cli.probe_log import log_command
from relaytrap.cli.probe_opt_out import opt_out
from relaytrap.cli.probe_result import print_result
from relaytrap.cli.probe_schedule import schedule
from relaytrap.cli.progress import shown_bars
from relaytrap.clock import now_ns, rfc3339
from relaytrap.errors import RelaytrapError
from relaytrap.probe.conduct import Options
from relaytrap.probe.logged import conduct_logged
from relaytrap.probe.plan import Progress
from relaytrap.probe.register import COMMAND_LIMITS, Register
from relaytrap.probe.report import not_run
from relaytrap.probe.request import METHODS
from relaytrap.probe.schedule import STATED
from relaytrap.probe.target import TRANSPORTS, resolve_target
from relaytrap.probe.tricks import STANDARD, TRICKS
from relaytrap.probe.verdict import EXIT_NOT_RUN

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

__all__ = ["command"]

log = logging.getLogger(__name__)

KINDS = (".html", ".pdf")


class Probe(Group):
    """`relaytrap probe HOST` is `relaytrap probe test HOST`; wrong usage is "not run"."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_known = args in (["--help"], ["-h"]) or (bool(args) and args[0] in self.commands)
        if not is_known and not ctx.resilient_parsing:  # which is how a shell asks what may follow
            args = ["test", *args]
        return super().parse_args(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with usage_is_not_run():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with usage_is_not_run():
            return super().invoke(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith("-"):
            return click.Command.shell_complete(test, ctx, incomplete)
        return super().shell_complete(ctx, incomplete)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] HOST")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Command.format_options(test, ctx, formatter)
        self.format_commands(ctx, formatter)


def _report_files(ctx: click.Context, param: click.Parameter, given: tuple[Path, ...]) -> tuple[Path, ...]:
    """Refuse, before anything is sent, what could not be written afterwards."""
    for path in given:
        if path.suffix.lower() not in KINDS:
            raise click.BadParameter(f"{for_terminal(path)}: a report is {' or '.join(KINDS)}")
        if not path.absolute().parent.is_dir():
            raise click.BadParameter(f"{for_terminal(path)}: there is no such directory")
    if given:
        try:
            import relaytrap.web.probe_pdf  # noqa: F401 - only whether its packages are here
        except ModuleNotFoundError as error:
            raise click.BadParameter(f"a report needs the package {error.name}; install relaytrap[hub]") from None
    return given


@click.group("probe", cls=Probe)
def command() -> None:
    """Is the server that I run an open relay?

    Sends OPTIONS, INVITE and REGISTER that lead to a witness of our own and watches what arrives there. Nothing is left
    ringing or registered. Exit status: 0 closed, 1 open, 2 undecided, 3 not run.
    """


@command.command(hidden=True)
@click.argument("host", type=TEXT)
@click.option("--i-run-this-server", "mine", is_flag=True, help="State that HOST is yours; without it nothing is sent.")
@click.option(
    "--transport", "transports", multiple=True, type=click.Choice(TRANSPORTS), help="Only these; default all."
)
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), help="Only these; default all three.")
@click.option("--domain", type=TEXT, default="", help="The server's own SIP domain, when HOST is not it.")
@click.option("--thorough", is_flag=True, help=f"All {len(TRICKS) - 1} tricks instead of {len(STANDARD)}.")
@click.option(
    "--number", type=TEXT, default="", metavar="+E164", help="Also try to call this number, which must be your own."
)
@click.option("--register-then-call", "register", is_flag=True, help="Also register a random user; taken back again.")
@click.option("--from", "tester", type=TEXT, default="", metavar="ADDR", help="Our own address to test from.")
@click.option(
    "--witness",
    type=TEXT,
    default="",
    metavar="ADDR[:PORT]",
    help="Where the witness listens; default: as --from, 5060.",
)
@click.option(
    "--witness-public", type=TEXT, default="", metavar="ADDR:PORT", help="How others reach the witness, behind a NAT."
)
@click.option(
    "--witness-token",
    type=TEXT,
    default="",
    metavar="TOKEN",
    help="--witness runs on another machine already; this joins it there.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    callback=_report_files,
    help="Also write the result as FILE.html or FILE.pdf.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole result as one JSON object.")
@click.pass_obj
def test(
    settings: Settings, /, host: str, mine: bool, reports: tuple[Path, ...], as_json: bool, **options: Any
) -> None:
    """Is the server that I run an open relay?

    Sends OPTIONS, INVITE and REGISTER that lead to a witness of our own and watches what arrives there. Nothing is left
    ringing or registered. Exit status: 0 closed, 1 open, 2 undecided, 3 not run.
    """
    if not mine:
        sentence = (
            f"nothing was sent: add --i-run-this-server if {for_terminal(host)} is yours; only your own server may be "
            "tested"
        )
        report = not_run(host, sentence, rfc3339(now_ns()))
    else:
        report = _run(settings, host, Options(**options))
    if report["exit_status"] == EXIT_NOT_RUN:
        click.echo(f"relaytrap: {for_terminal(report['sentence'], 1000)}", err=True)
        for why in report["not_tested"]:
            click.echo(f"  {for_terminal(why, 1000)}", err=True)
    else:
        _write_reports(report, reports)
    _print(report, as_json=as_json)
    sys.exit(report["exit_status"])


def _print(report: dict[str, Any], *, as_json: bool) -> None:
    with output_keeps_status():
        if as_json:
            click.echo(json.dumps(report))
        elif report["exit_status"] != EXIT_NOT_RUN:
            print_result(report)


command.add_command(log_command)
command.add_command(opt_out)
command.add_command(schedule)


def _run(settings: Settings, host: str, options: Options) -> dict[str, Any]:
    """The report of a test; one that could not be run or was broken off says why."""
    began = rfc3339(now_ns())
    try:
        config = settings.load()
        register = Register(config.data_dir, COMMAND_LIMITS)
        if not (options.witness or options.witness_token):
            named = config.probe
            options = replace(
                options,
                witness=named.witness,
                witness_public=options.witness_public or named.witness_public,
                witness_token=named.witness_token,
            )
        with _shown_progress() as progress:
            return asyncio.run(_test(register, host, options, progress))
    except RelaytrapError as error:
        return not_run(host, str(error), began)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return not_run(host, "stopped; what was open at the server was ended", began)
    except Exception:  # the edge of one unit of work: a traceback's status would tell a monitor that it is open
        log.exception("the test failed")
        return not_run(host, "Relaytrap made a mistake, see above", began)


async def _test(
    register: Register, host: str, options: Options, progress: Callable[[Progress], None]
) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    # Ctrl-C cancels by itself; a monitor that loses patience sends SIGTERM, and must leave nothing ringing either.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    target = await resolve_target(host, transports=options.transports or TRANSPORTS, domain=options.domain)
    register.end_abandoned(now_ns(), starting=True)
    asked = {"domain": options.domain, "transports": options.transports, "thorough": options.thorough}
    secret = register.begin(target, _user(), STATED, asked, now_ns())
    return await conduct_logged(register, secret, target, options, progress)


def _user() -> str:
    """Who uses the command line, for the log and the limits."""
    try:
        return f"{getpass.getuser()} on the command line"
    except (OSError, KeyError):  # a user without a name, as in many containers
        return f"user {os.getuid()} on the command line"


@contextlib.contextmanager
def _shown_progress() -> Iterator[Callable[[Progress], None]]:
    """A progress bar with the time left on a terminal, nothing elsewhere."""
    with shown_bars(_columns) as bars:
        task = bars.add_task("starting", total=None, left=0.0) if bars else None

        def advance(step: Progress) -> None:
            if bars and task is not None:
                done, total, left = step.settled, step.total or None, step.seconds_left
                bars.update(task, description=step.doing, completed=done, total=total, left=left)

        yield advance


def _columns() -> "Sequence[ProgressColumn]":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    left = TextColumn("at most {task.fields[left]:.0f} s left")
    return TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), left


def _write_reports(report: dict[str, Any], paths: tuple[Path, ...]) -> None:
    """A report that cannot be written is said, and changes no exit status: the result stands."""
    if not paths:
        return
    from relaytrap.web.probe_pdf import render_pdf
    from relaytrap.web.probe_report import render_html

    for path in paths:
        try:
            path.write_bytes(render_pdf(report) if path.suffix.lower() == ".pdf" else render_html(report).encode())
        except OSError as error:
            click.echo(f"relaytrap: {for_terminal(path)}: cannot be written ({error.strerror})", err=True)
