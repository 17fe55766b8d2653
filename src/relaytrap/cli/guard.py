"""`relaytrap guard`: the relay signs on the traffic of one's own edge, from captures or live.

A monitor reads the exit status: 0 no alarm, 1 an alarm, 2 undecided, 3 not run.
"""

import heapq
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import click

from relaytrap.cli.guard_result import print_finding, print_result, status_line
from relaytrap.cli.main import Settings, explain_missing
from relaytrap.cli.monitored import output_keeps_status, usage_is_not_run
from relaytrap.cli.output import TEXT
from relaytrap.cli.service import notify_ready, start_log
from relaytrap.clock import now_ns, rfc3339
from relaytrap.errors import InputError, RelaytrapError
from relaytrap.probe.verdict import EXIT_NOT_RUN

if TYPE_CHECKING:
    from relaytrap.config import Config
    from relaytrap.guard import Finding, Guard
    from relaytrap.observation import Observation

__all__ = ["command"]

log = logging.getLogger(__name__)

EXIT_QUIET, EXIT_ALARM, EXIT_UNDECIDED = 0, 1, 2
SIP_PORT: Final = 5060
ANY_SERVER: Final = "any other server or SBC"
"""Whom the advice is for where the edge does not say what it is, or what nobody wrote advice for."""


class GuardCommand(click.Command):
    """Wrong usage is "not run"."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with usage_is_not_run():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with usage_is_not_run():
            return super().invoke(ctx)


@click.command(cls=GuardCommand)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=str)
@click.option(
    "--listen",
    "hep",
    multiple=True,
    type=TEXT,
    metavar="WHERE",
    help="Take in HEP there: udp:, tcp: or tls:address:port.",
)
@click.option("--interface", default="", type=TEXT, metavar="IFACE", help="Read SIP off an interface; sends nothing.")
@click.option(
    "--port",
    "ports",
    multiple=True,
    type=click.IntRange(1, 65535),
    metavar="NUMBER",
    help="SIP's ports there; default 5060.",
)
@click.option("--own-network", "own_networks", multiple=True, type=TEXT, help="Addresses of your edge and your users.")
@click.option("--own-domain", "own_domains", multiple=True, type=TEXT, help="A domain that is yours.")
@click.option(
    "--known-proxy", "known_proxies", multiple=True, type=TEXT, help="Address or network of who forwards to you."
)
@click.option("--trunk", "trunks", multiple=True, type=TEXT, help="Address or network of a carrier.")
@click.option(
    "--expected-hops",
    type=click.IntRange(0, 255),
    metavar="NUMBER",
    help="Vias that a stranger's request may have; 0: any.",
)
@click.option("--suggest", is_flag=True, help="Propose a policy from captures of honest traffic; judge nothing.")
@click.option(
    "--every", "every_s", type=click.FloatRange(0), default=60.0, show_default=True, metavar="SECONDS",
    help="Live: a line with the counts so often; 0: none.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="What others tried in vain counts for the exit status, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: findings, undecided, summary.")
@click.pass_obj
def command(settings: Settings, /, strict: bool, as_json: bool, suggest: bool, **given: Any) -> None:
    """What does my own edge's traffic show: does it relay for strangers, and what do they try?

    Reads captures of the edge, both sides of it (- is standard input), or live traffic until Ctrl-C, and holds it
    against your policy: [network] and [guard] of the settings, or the options. Exit status: 0 no alarm, 1 an alarm,
    2 undecided, 3 not run.
    """
    asked = Asked(**given)
    if bool(asked.files) == asked.is_live:
        raise click.UsageError("name capture files, or live traffic with --listen or --interface; one of both")
    if suggest and asked.is_live:
        raise click.UsageError("--suggest reads capture files")
    sys.exit(_guarded(settings, asked, strict=strict, as_json=as_json, suggest=suggest))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for; the policy's parts win over the settings where they are given."""

    files: tuple[str, ...]
    hep: tuple[str, ...]
    interface: str
    ports: tuple[int, ...]
    every_s: float
    own_networks: tuple[str, ...]
    own_domains: tuple[str, ...]
    known_proxies: tuple[str, ...]
    trunks: tuple[str, ...]
    expected_hops: int | None

    @property
    def is_live(self) -> bool:
        return bool(self.hep or self.interface)

    def config(self, settings: Settings) -> "Config":
        """The effective settings."""
        config: Config = settings.load(
            network__own_networks=list(self.own_networks) or None,
            network__own_domains=list(self.own_domains) or None,
            network__known_proxies=list(self.known_proxies) or None,
            guard__trunks=list(self.trunks) or None,
            guard__expected_hops=self.expected_hops,
        )
        return config


def _guarded(settings: Settings, asked: Asked, *, strict: bool, as_json: bool, suggest: bool) -> int:
    """Run it, and give the exit status: whatever goes wrong is "not run"."""
    try:
        config = asked.config(settings)
        if suggest:
            _suggest(config, asked.files)
            return EXIT_QUIET
        told = Told(_guard_of(config), as_json=as_json)
        if asked.is_live:
            _watch(config, asked, told)
        else:
            _read(config, asked.files, told)
        with output_keeps_status():
            told.finish()
        return told.status(strict=strict)
    except RelaytrapError as error:
        click.echo(f"relaytrap: {error}", err=True)
    except ModuleNotFoundError as error:
        click.echo(f"relaytrap: {explain_missing(error)}", err=True)
    except KeyboardInterrupt:
        click.echo("relaytrap: stopped; nothing was judged", err=True)
    except Exception:  # the edge of one unit of work: a traceback's status would be an alarm
        log.exception("the traffic could not be judged")
    return EXIT_NOT_RUN


def _guard_of(config: "Config") -> "Guard":
    from relaytrap.enrich import Enricher
    from relaytrap.guard import Guard, Policy

    if config.network.home_region:  # then nothing asks where an edge is
        return Guard(Policy.of(config))
    enricher = Enricher.open(config.enrich, config.network, config.data_dir / "tables")
    return Guard(Policy.of(config, region_of=lambda address: enricher.network(address).country))


def _messages(config: "Config", files: Sequence[str], told: Callable[[Counter[str]], None]) -> "Iterator[Observation]":
    """The messages of all captures in order of time: one file for each side of the edge, or one after the other.

    told: takes what could not be read, when all is.
    """
    from relaytrap.capture import read_capture
    from relaytrap.hub.capture_files import opened_capture, read_options

    options = read_options(config)
    with ExitStack() as stack:
        opened = [stack.enter_context(opened_capture(file)) for file in files]
        readers = [read_capture(stream, name=name, sensor="", options=options) for stream, name in opened]
        try:
            yield from heapq.merge(*readers, key=attrgetter("received_at_ns"))
        except OSError as error:
            raise InputError(f"reading failed ({error.strerror}); nothing was judged") from None
        for reader in readers:
            told(reader.report.unread)


def _read(config: "Config", files: Sequence[str], told: "Told") -> None:
    """Judge captures."""
    for seen in _messages(config, files, told.guard.note_unread):
        for _ in told.guard.take(seen):
            pass
    for _ in told.guard.finish():
        pass


def _watch(config: "Config", asked: Asked, told: "Told") -> None:
    """Judge live traffic until a signal."""
    from relaytrap.cli.guard_live import Live

    def ready(what: str) -> None:
        click.echo(f"relaytrap guard: reads {what}; Ctrl-C ends it with a summary", err=True)
        notify_ready(what)

    start_log(logging.INFO)
    Live(config, told.guard, told.new, told.now_and_then, every_s=asked.every_s).run(
        asked.hep, asked.interface, asked.ports or (SIP_PORT,), ready
    )
    for finding in told.guard.finish():
        told.new(finding)


def _suggest(config: "Config", files: Sequence[str]) -> None:
    from relaytrap.guard.suggest import Suggestion

    suggestion = Suggestion()
    for seen in _messages(config, files, lambda unread: None):
        suggestion.take(seen)
    click.echo("\n".join(suggestion.lines()))


class Told:
    """What leaves: each finding as it comes up when live, all of them at the end."""

    def __init__(self, guard: "Guard", *, as_json: bool) -> None:
        self.guard = guard
        self._as_json = as_json

    def new(self, finding: "Finding") -> None:
        """A finding came up."""
        from relaytrap.guard.told import finding_dict

        if self._as_json:
            self._line(finding_dict(finding))
        else:
            print_finding(finding_dict(finding), brief=True)
        sys.stdout.flush()

    def now_and_then(self) -> None:
        """The counts of this moment, beside what a program reads."""
        from relaytrap.guard.told import summary_dict

        click.echo(f"{rfc3339(now_ns())[:19]}Z  {status_line(summary_dict(self.guard.summary()))}", err=True)

    def finish(self) -> None:
        """All findings as they stand at the end, what is undecided, the counts."""
        from relaytrap.guard.told import finding_dict, summary_dict, undecided_dict

        findings = [self._advised(finding_dict(each)) for each in self.guard.findings]
        undecided = [undecided_dict(each) for each in self.guard.undecided]
        summary = summary_dict(self.guard.summary())
        if self._as_json:
            for row in (*findings, *undecided, summary):
                self._line(row)
        else:
            print_result(findings, undecided, summary)

    def status(self, *, strict: bool) -> int:
        """The exit status for what was found."""
        summary = self.guard.summary()
        if summary.alarms or (strict and summary.attempts):
            return EXIT_ALARM
        is_judged = summary.has_policy and summary.ours and not summary.undecided
        return EXIT_QUIET if is_judged else EXIT_UNDECIDED

    def _advised(self, row: dict[str, Any]) -> dict[str, Any]:
        """A finding with what to change on the server that its edge says it is."""
        if row["level"] != "alarm":
            return row
        from relaytrap.probe.advice import advice_for

        return row | {"advice": asdict(advice_for(f"{row['server']} {ANY_SERVER}")[0])}

    def _line(self, row: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(row) + "\n")
