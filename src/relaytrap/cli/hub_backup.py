"""`relaytrap hub backup FILE`, `relaytrap hub restore FILE`: everything that a hub keeps, in one file and back."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.progress import byte_bars
from relaytrap.cli.session import HubSession, open_session
from relaytrap.config import Config
from relaytrap.errors import DiskError, InputError
from relaytrap.wording import counted

__all__ = ["backup", "restore"]

Advance = Callable[[int], None]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup(settings: Settings, file: Path) -> None:
    """Write everything that the hub of this data keeps into a new file, whether the hub runs or not.

    Of one moment: messages, findings, sensors and their tokens, the hub's certificate. The file is read back and
    checked at the end. It is as secret as the hub itself.
    """
    from relaytrap.hub.restore import check_backup

    config: Config = settings.load()
    if file.exists():
        raise InputError(f"{file} exists already, and a backup overwrites nothing; name a new file")
    part = file.with_name(f"{file.name}.part")
    try:
        with _source(config) as (total, pieces), _progress("writing", total) as advance:
            _write(part, pieces, advance)
        with _progress("checking", part.stat().st_size) as advance:
            manifest = check_backup(part, advance)
        os.link(part, file)  # unlike a rename it overwrites nothing that came meanwhile
    except FileExistsError:
        raise InputError(f"{file} was made by somebody else meanwhile; name a new file") from None
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{file}: {_content(manifest)}, {file.stat().st_size / 1e6:,.1f} MB, checked")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def restore(settings: Settings, file: Path) -> None:
    """Bring a backup back into a data directory that holds no hub's data. Overwrites nothing.

    Sensors find out by themselves that the hub has less than it acknowledged, and ship again what they keep.
    """
    from relaytrap.hub.restore import restore_backup

    config: Config = settings.load()
    total = file.stat().st_size if file.exists() else 0
    with _progress("restoring", total) as advance:
        manifest = restore_backup(file, config.data_dir, advance)
    click.echo(f"{config.data_dir}: {_content(manifest)}, as of {manifest['made']}")


@contextlib.contextmanager
def _source(config: Config) -> Iterator[tuple[int, Iterable[bytes]]]:
    """About how many bytes a backup will have, and its pieces: from the running hub, or made here."""
    from relaytrap.hub.backup import Backup

    with open_session(config) as session:
        if isinstance(session, HubSession):
            with session.download("/api/backup") as told:
                yield told
            return
        with contextlib.closing(Backup(session.store, config.data_dir)) as made:
            yield made.total_bytes, made.chunks()


def _write(path: Path, pieces: Iterable[bytes], advance: Advance) -> None:
    done = 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            for piece in pieces:
                file.write(piece)
                advance(done := done + len(piece))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DiskError(f"{path}: cannot be written ({error.strerror}); free space or name another place") from None


def _content(manifest: dict[str, Any]) -> str:
    if manifest.get("embedded"):
        return counted(manifest.get("messages", 0), "message")
    return "sensors and settings without messages, which a ClickHouse server keeps: back that up with its own BACKUP"


@contextlib.contextmanager
def _progress(what: str, total: int) -> Iterator[Advance]:
    """What takes how many bytes are done."""
    with byte_bars() as advance:
        yield lambda done: advance(what, done, total or None)
