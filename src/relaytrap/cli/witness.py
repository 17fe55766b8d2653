"""`relaytrap witness`: the receiving side of open-relay tests that run on other machines."""

import asyncio
import contextlib
import logging
import secrets
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from relaytrap.certificate import write_private
from relaytrap.cli.main import Settings
from relaytrap.cli.output import TEXT
from relaytrap.cli.service import start_log
from relaytrap.errors import DiskError, InputError, ListenError
from relaytrap.probe.certificate import server_context, server_fingerprint
from relaytrap.probe.channel import reason_of
from relaytrap.probe.outpost import Outpost
from relaytrap.probe.place import Place, parse_place
from relaytrap.probe.remote import CONTROL_PORT, JoinToken
from relaytrap.probe.target import version_of
from relaytrap.probe.witness import WITNESS_PORT, Witness
from relaytrap.sip.uri import host_port

__all__ = ["command"]

EVERYWHERE = ("0.0.0.0", "[::]")


@click.command()
@click.option(
    "--listen",
    type=TEXT,
    multiple=True,
    metavar="ADDR[:PORT]",
    help=f"Where relayed probes arrive, by UDP, TCP, TLS and WebSocket; default every address, port {WITNESS_PORT}.",
)
@click.option(
    "--join",
    "door",
    type=TEXT,
    multiple=True,
    metavar="ADDR[:PORT]",
    help=f"Where testers join; default the addresses of --listen, port {CONTROL_PORT}.",
)
@click.option(
    "--public",
    type=TEXT,
    multiple=True,
    metavar="ADDR[:PORT]",
    help="As others reach --listen, behind a NAT that forwards a port; default as testers reach --join.",
)
@click.option("--token", "show", is_flag=True, help="Print the token by which testers join, and end.")
@click.option("--new-token", "renew", is_flag=True, help="Make a new token; the old one is worth nothing from then on.")
@click.pass_obj
def command(
    settings: Settings, listen: tuple[str, ...], door: tuple[str, ...], public: tuple[str, ...], show: bool, renew: bool
) -> None:
    """Stand by as the witness of open-relay tests that run elsewhere: `relaytrap probe HOST --witness …`.

    For a tester behind a NAT or a firewall: run this where the servers under test can reach it. It answers nobody but
    requests of tests whose tester knows the token. Runs until Ctrl-C or SIGTERM.
    """
    folder: Path = settings.load().data_dir / "witness"
    context = server_context(folder)
    read_secret = partial(_read_secret, folder / "secret")
    if renew:
        _renew_secret(folder / "secret")
    token = JoinToken(read_secret(), server_fingerprint(folder))
    if show:
        click.echo(str(token))
        return
    start_log(logging.INFO)
    where = [parse_place(text, WITNESS_PORT) for text in listen or EVERYWHERE]
    doors = [parse_place(text, CONTROL_PORT) for text in door] or [(place[0], CONTROL_PORT) for place in where]
    named = {version_of(place[0]): place for place in (parse_place(text, WITNESS_PORT) for text in public)}
    if unknown := named.keys() - {version_of(place[0]) for place in where}:
        raise InputError(f"--public names an IPv{min(unknown)} address, but --listen has none")
    asyncio.run(_stand_by(where, doors, named, token, read_secret, context, must=bool(listen)))


async def _stand_by(
    where: list[Place],
    doors: list[Place],
    named: dict[int, Place],
    token: JoinToken,
    read_secret: Callable[[], str],
    context: ssl.SSLContext,
    *,
    must: bool,
) -> None:
    """Serve until a signal. must: each place was asked for, and is no guess at what this machine has."""
    with contextlib.ExitStack() as stack:
        witnesses = []
        for place in where:
            with _explained(place, "--listen", must=must or len(where) == 1):
                witness = Witness()
                await witness.open(*place)
                stack.callback(witness.close)
                witnesses.append(witness)
        outpost = Outpost(witnesses, named, read_secret)
        stack.callback(outpost.close)
        joins = []
        for place in doors:
            with _explained(place, "--join", must=must):
                joins.append(host_port(place[0], await outpost.open(*place, context)))
        if not witnesses or not joins:
            raise ListenError("this machine has no address to listen on; name one with --listen")
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        _tell([host_port(*each.place) for each in witnesses], joins, token)
        await stopped.wait()


@contextlib.contextmanager
def _explained(place: Place, option: str, *, must: bool) -> Iterator[None]:
    """An address that cannot be had as one sentence; unless it was asked for, a missing IP version is none."""
    try:
        yield
    except OSError as error:
        if must or version_of(place[0]) == 4:
            where = host_port(*place)
            raise ListenError(f"cannot listen on {where} ({reason_of(error)}); choose another with {option}") from None


def _tell(listening: list[str], joins: list[str], token: JoinToken) -> None:
    click.echo(f"relaytrap witness: listening on {' and '.join(listening)}; testers join at {' and '.join(joins)}")
    line = "relaytrap probe SERVER --i-run-this-server --witness THIS-HOST --witness-token"
    # A terminal's owner may see it; a log file is no place for a secret.
    if sys.stdout.isatty():
        click.echo(f"On the tester's machine: {line} {token}")
    else:
        click.echo(f"On the tester's machine: {line} TOKEN (relaytrap witness --token prints it, here)")


def _read_secret(path: Path) -> str:
    """The secret in a file that its owner alone can read; made when there is none. Raises DiskError."""
    try:
        if not path.exists():
            _renew_secret(path)
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise _unkept(path, error) from None


def _renew_secret(path: Path) -> None:
    """A new secret in place of the old one, at once for a witness that runs. Raises DiskError."""
    try:
        write_private(path, secrets.token_urlsafe(24).encode())
    except OSError as error:
        raise _unkept(path, error) from None


def _unkept(path: Path, error: OSError) -> DiskError:
    return DiskError(f"{path}: the token cannot be kept ({error.strerror}); give access")
