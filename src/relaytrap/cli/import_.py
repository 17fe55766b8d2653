"""`relaytrap import`: captures into the store, or only a look at what is in them."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import TEXT, for_terminal
from relaytrap.cli.progress import byte_bars, find_anew
from relaytrap.cli.session import HubSession, open_session
from relaytrap.config import Config
from relaytrap.errors import InputError, RelaytrapError
from relaytrap.garbage import spare_collections
from relaytrap.wording import counted

__all__ = ["command"]

Summary = dict[str, Any]
Progress = Callable[[str, int], None]


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=str)
@click.option("--dry-run", is_flag=True, help="Only look: say what is in the files, store nothing.")
@click.option(
    "--sensor",
    default="",
    metavar="NAME",
    type=TEXT,
    help="Sensor to keep the messages under. Default: the file's name, up to its first dot.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each file.")
@click.pass_obj
def command(settings: Settings, files: tuple[str, ...], dry_run: bool, sensor: str, as_json: bool) -> None:
    """Read captures: pcap, pcapng, HEP, spool segments, compressed or not; - is standard input.

    Importing a file again adds only what is new in it.
    """
    config = settings.load()
    failed: list[BaseException] = []
    with _shown_progress(files) as progress:
        summaries = _look(config, files, progress) if dry_run else _import(config, files, sensor, progress)
        try:
            for summary in summaries:
                if isinstance(summary, InputError):
                    failed.append(summary)
                else:
                    _tell(summary, as_json)
        except (RelaytrapError, KeyboardInterrupt) as error:
            failed.append(error)
    for earlier in failed[:-1]:
        click.echo(f"relaytrap: {earlier}", err=True)
    if failed:
        raise failed[-1]


def _look(config: Config, files: Sequence[str], progress: Progress) -> Iterator[Summary | InputError]:
    """What is in each file; needs no store."""
    from relaytrap.capture import inspect_capture
    from relaytrap.hub.capture_files import opened_capture, read_options

    options = read_options(config)
    for file in files:
        try:
            with opened_capture(file) as (stream, name):
                counted = _Counted(stream, name, progress)
                yield {"file": name, **inspect_capture(counted, name=name, options=options).as_dict()}
        except InputError as error:
            yield error


def _import(config: Config, files: Sequence[str], sensor: str, progress: Progress) -> Iterator[Summary | InputError]:
    from relaytrap.hub.database import HubDatabase
    from relaytrap.hub.importing import ImportOptions, import_each
    from relaytrap.hub.ledger import Ledger

    with open_session(config) as session:
        if isinstance(session, HubSession):
            yield from _send(session, files, sensor, progress)
            return
        spare_collections()
        with contextlib.closing(HubDatabase(config.data_dir)) as database:
            options = ImportOptions(sensor=sensor, progress=progress, ledger=Ledger(database))
            for imported in import_each(session.store, config, files, options):
                yield imported if isinstance(imported, InputError) else imported.as_dict()
        find_anew(session, config)


def _send(session: HubSession, files: Sequence[str], sensor: str, progress: Progress) -> Iterator[Summary | InputError]:
    """Hand the files to the running hub, which imports them."""
    from urllib.parse import urlencode

    from relaytrap.hub.capture_files import opened_capture

    for file in files:
        try:
            with opened_capture(file) as (stream, name):
                counted = _Counted(stream, name, progress)
                path = f"/api/import?{urlencode({'name': name, 'sensor': sensor})}"
                yield from session.lines("POST", path, counted, {"Content-Type": "application/octet-stream"})
        except InputError as error:
            yield error


class _Counted:
    """A stream that tells how much of it was read."""

    def __init__(self, stream: Any, name: str, progress: Progress) -> None:
        self._stream = stream
        self._name = name
        self._progress = progress
        self._bytes = 0

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except OSError as error:
            raise InputError(f"{self._name}: reading failed ({error.strerror}); name a readable capture file") from None
        self._bytes += len(data)
        self._progress(self._name, self._bytes)
        return data


@contextlib.contextmanager
def _shown_progress(files: Sequence[str]) -> Iterator[Progress]:
    """What takes a file's name and how much of it was read."""
    sizes = {Path(file).name: os.path.getsize(file) for file in files if os.path.isfile(file)}
    with byte_bars() as advance:
        yield lambda name, position: advance(name, position, sizes.get(name))


def _tell(summary: Summary, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary, ensure_ascii=True))
        return
    for line in _sentences(summary):
        click.echo(line)


def _sentences(summary: Summary) -> Iterator[str]:
    """What was read, what was not and why."""
    read = f"{counted(summary['messages'], 'SIP message')} in {counted(summary['packets'], 'packet')}"
    if "stored" in summary:
        read += f"; {summary['stored']:,} stored"
        if known := summary["known"]:
            read += f", {known:,} {'was' if known == 1 else 'were'} there already"
    yield f"{for_terminal(summary['file'])}: {read}"
    for label in ("methods", "status", "anomalies"):
        if counts := summary.get(label):
            yield f"  {label}: " + ", ".join(f"{for_terminal(name, 40)} {number:,}" for name, number in counts.items())
    if summary.get("incomplete"):
        yield f"  incomplete: {counted(summary['incomplete'], 'message')} with octets missing"
    for reason, number in summary["unread"].items():
        yield f"  not read: {number:,} × {for_terminal(reason)}"
