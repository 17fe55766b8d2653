"""A hub out of one file again: everything is read and checked beside its place before anything is put there.

What the file may hold is backup.py's; nothing in it is believed, since it may be a stranger's. It is unpacked into
`.relaytrap-restore-…` within the data directory; checked, that folder becomes `.relaytrap-restored-…`, and from then on
it may hold what is nowhere else: nobody removes it, and the next start of a hub brings the restore to its end.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Final

from relaytrap.clock import parse_rfc3339
from relaytrap.config import StoreConfig
from relaytrap.errors import DiskError, InputError, StoreLocked
from relaytrap.hub.backup import CHUNK_BYTES, FORMAT, MANIFEST, SUMS
from relaytrap.hub.certificate import CERTIFICATE, KEY
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.parcel import REFUSED
from relaytrap.store import Store
from relaytrap.store.lock import DirectoryLock, owner_of

__all__ = ["check_backup", "finish_restore", "restore_backup"]

MANIFEST_BYTES_MAX: Final = 1 << 20
SUMS_BYTES_MAX: Final = 1 << 28
UNPACKING: Final = ".relaytrap-restore-"
CHECKED: Final = ".relaytrap-restored-"

Progress = Callable[[int], None]


def check_backup(path: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Read a backup to its end; its manifest. Raises InputError for one that is damaged, cut or of a newer format."""
    return _unpack(path, None, progress)


def restore_backup(path: Path, data_dir: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Bring a backup back into a data directory without a hub's data; its manifest.

    Everything is checked before anything is put in place. Raises InputError for a backup that cannot be used or a
    directory that holds something, StoreLocked while a hub runs there, DiskError without room.
    """
    if owner := owner_of(data_dir):
        raise StoreLocked(f"{data_dir} is in use by process {owner}; stop it, or restore into another with --data")
    _look_for_data(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(DirectoryLock(data_dir)):
            return _restore(path, data_dir, progress)
    except OSError as error:
        raise DiskError(f"{data_dir}: cannot be written ({error.strerror}); give permission or free space") from None


def finish_restore(data_dir: Path) -> None:
    """Clear up behind a restore that was killed, before a hub starts; nothing is done when there was none.

    What was not checked yet is removed. What was being put in place is brought there: InputError when there is
    something else by now. Raises StoreLocked while somebody has the directory, DiskError when it cannot be written.
    """
    if not any(data_dir.glob(".relaytrap-restore*")):
        return
    try:
        with closing(DirectoryLock(data_dir)):
            _remove_unpacked(data_dir)
            for folder in data_dir.glob(f"{CHECKED}*"):
                _put_in_place(folder, data_dir)
    except OSError as error:
        raise DiskError(f"{data_dir}: cannot be written ({error.strerror}); give permission or free space") from None


def _restore(path: Path, data_dir: Path, progress: Progress | None) -> dict[str, Any]:
    _remove_unpacked(data_dir)
    folder = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=data_dir))
    try:
        manifest = _unpack(path, folder, progress)
        _check_restored(folder, manifest)
        if not manifest.get("embedded"):
            with closing(HubDatabase(folder)) as database:
                Ledger(database).mark_restored()
        _look_for_data(data_dir)
        _put_in_place(folder.rename(data_dir / folder.name.replace(UNPACKING, CHECKED)), data_dir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return manifest


def _remove_unpacked(data_dir: Path) -> None:
    """Remove what a killed restore unpacked; only for who has the directory's lock, so that none is at work there."""
    for left in data_dir.glob(f"{UNPACKING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _put_in_place(folder: Path, data_dir: Path) -> None:
    """Move what was restored to where a hub looks for it, and remove what else its check left in the folder."""
    ours = [each for each in folder.iterdir() if _is_a_hubs(each.name)]
    if taken := sorted(each.name for each in ours if os.path.lexists(data_dir / each.name)):
        raise InputError(
            f"{folder} holds the rest of a restore that was cut off, and {data_dir} has its own {', '.join(taken)} by "
            "now; move away what you do not want, and start the hub again"
        )
    for each in ours:
        each.rename(data_dir / each.name)
    shutil.rmtree(folder, ignore_errors=True)


def _look_for_data(data_dir: Path) -> None:
    """Raise InputError when there is anything that a hub keeps, be it a database's log that a crash left behind."""
    try:
        there = [each.name for each in data_dir.iterdir()]
    except FileNotFoundError:
        return
    except OSError as error:
        raise DiskError(
            f"{data_dir}: cannot be read ({error.strerror}); name a directory, or give permission"
        ) from None
    if found := sorted(name for name in there if _is_a_hubs(name) or name.startswith(CHECKED)):
        names = ", ".join(found)
        raise InputError(f"{data_dir} holds a hub's data ({names}); move it away, or restore elsewhere with --data")


def _is_a_hubs(name: str) -> bool:
    return name in ("store", REFUSED, CERTIFICATE, KEY) or ".sqlite3" in name


def _check_restored(folder: Path, manifest: dict[str, Any]) -> None:
    """Open what was unpacked, and count."""
    for path in folder.glob("*.sqlite3"):
        with closing(sqlite3.connect(path)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise InputError(f"{path.name} in the backup is damaged; take another backup")
    if not manifest.get("embedded"):
        return
    with Store(StoreConfig(), folder) as store:
        found = store.row("SELECT count() AS n FROM messages")["n"]
    if found != manifest.get("messages"):
        raise InputError(
            f"the backup should hold {manifest.get('messages')} messages and holds {found}; take another backup"
        )


def _unpack(path: Path, folder: Path | None, progress: Progress | None) -> dict[str, Any]:
    """Read a tar through, checking every sum; write its files when a folder is given."""
    manifest: dict[str, Any] = {}
    sums: list[str] = []
    links: dict[str, str] = {}
    told = ""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                if progress:
                    progress(member.offset)
                if member.name == MANIFEST:
                    manifest = _read_manifest(path, _small(archive, member, MANIFEST_BYTES_MAX))
                elif member.name == SUMS:
                    told = _small(archive, member, SUMS_BYTES_MAX).decode()
                elif member.issym():
                    links[member.name] = _inside(member)
                else:
                    sums.append(f"{_take_out(archive, member, folder)}  {member.name}\n")
        if told != "".join(sums) or len(sums) + len(links) != manifest.get("files"):
            raise InputError(f"{path}: is cut or damaged; take another backup")
        if folder:
            _make_links(folder, links)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (tarfile.TarError, EOFError, ValueError, FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: is no whole backup of a hub ({error}); take another") from None
    return manifest


def _read_manifest(path: Path, data: bytes) -> dict[str, Any]:
    manifest = json.loads(data)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise ValueError("its manifest says nothing")
    if manifest["format"] > FORMAT:
        raise InputError(f"{path}: made by Relaytrap {manifest.get('version')}, which is newer; update this one")
    parse_rfc3339(str(manifest.get("made")))
    if not isinstance(manifest.get("messages", 0), int):
        raise ValueError("its manifest counts no messages")
    return manifest


def _small(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file = archive.extractfile(member)
    if file is None or member.size > most:
        raise ValueError(f"{member.name} is no such file")
    return file.read()


def _take_out(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path | None) -> str:
    """SHA-256 of one file, which is written below the folder for its owner alone; nothing ever leaves it."""
    parts = _parts(member.name)
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name!r} is no file")
    with _opened(_place(folder, parts)) if folder else io.BytesIO() as out:
        return _copied(file, out, keep=folder is not None)


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _parts(name: str) -> tuple[str, ...]:
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        raise ValueError(f"{name!r} is no name in a backup")
    return parts


def _place(folder: Path, parts: tuple[str, ...]) -> Path:
    """Where a member goes; its folders are made, and no link leads on the way there."""
    target = folder.joinpath(*parts)
    if target.parent.resolve() != folder.resolve().joinpath(*parts[:-1]):
        raise ValueError(f"{os.path.join(*parts)!r} leads through a link")
    if target.parent != folder:
        (folder / parts[0]).mkdir(exist_ok=True, mode=0o700)
        target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _inside(link: tarfile.TarInfo) -> str:
    """Where a link points that lies in the store and, as it reads, stays there."""
    folders = _parts(link.name)[:-1]
    inside = os.path.normpath(os.path.join(*folders, link.linkname))
    if folders[:1] != ("store",) or os.path.isabs(link.linkname) or not inside.startswith("store" + os.sep):
        raise ValueError(f"{link.name!r} points out of the backup")
    return link.linkname


def _make_links(folder: Path, links: dict[str, str]) -> None:
    """Make them when all files are written, so that none is written through one. Raises ValueError when one leads out
    of the store: what it reads like says little once others lead on the way."""
    store = os.path.realpath(folder / "store")
    for name, target in links.items():
        _place(folder, _parts(name)).symlink_to(target)
    for name in links:
        if not os.path.realpath(folder / name).startswith(store + os.sep):
            raise ValueError(f"{name!r} points out of the backup")


def _copied(source: IO[bytes], target: IO[bytes], *, keep: bool) -> str:
    digest = hashlib.sha256()
    while data := source.read(CHUNK_BYTES):
        digest.update(data)
        if keep:
            target.write(data)
    return digest.hexdigest()
