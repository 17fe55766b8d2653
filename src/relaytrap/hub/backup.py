"""A hub's whole memory in one file: the store, the sensors and their tokens, its certificate. Made while it runs.

The file is a plain tar: `manifest.json` first, then the files as they stand in the data directory, `SHA256SUMS` last
(so a file that was cut shows). What sensors shipped and the ledger of it are taken in the same moment; what they ship
later is not lost when the backup is restored, as long as they keep it (sensor.spool_kept_bytes): they find out by
themselves.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, Final

from relaytrap import __version__
from relaytrap.clock import now_ns, rfc3339
from relaytrap.errors import DiskError
from relaytrap.hub.certificate import CERTIFICATE, KEY
from relaytrap.hub.parcel import REFUSED
from relaytrap.store import Store
from relaytrap.store.gate import Gate
from relaytrap.store.snapshot import snapshot_store

__all__ = ["CHUNK_BYTES", "FORMAT", "MANIFEST", "SUMS", "Backup"]

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
CHUNK_BYTES: Final = 1 << 20
PREFIX: Final = ".relaytrap-backup-"


class Backup:
    """A consistent copy, ready to be read out once as a tar; close it to remove the copy.

    gate: of the running hub's ingest, so that store and ledger are of one moment. total_bytes: of the tar, nearly.
    Raises DiskError when there is no room.
    """

    def __init__(self, store: Store, data_dir: Path, gate: Gate | None = None) -> None:
        for left in data_dir.glob(f"{PREFIX}*"):  # by one that was killed; only the owner of the directory comes here
            shutil.rmtree(left, ignore_errors=True)
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=data_dir))
        try:
            with gate.alone() if gate else nullcontext():
                messages = self._take(store, data_dir)
        except BaseException:
            self.close()
            raise
        self._paths = sorted(path for path in self._folder.rglob("*") if path.is_symlink() or not path.is_dir())
        self.total_bytes = sum(path.lstat().st_size + tarfile.BLOCKSIZE for path in self._paths)
        self.manifest = {
            "format": FORMAT,
            "version": __version__,
            "made": rfc3339(now_ns()),
            "embedded": store.embedded,
            "messages": messages,
            "files": len(self._paths),
        }

    def _take(self, store: Store, data_dir: Path) -> int:
        # The store first: an import notes a segment before it stores it, so whatever is in the copy is noted in it.
        messages = snapshot_store(store, self._folder / "store") if store.embedded else 0
        for path in data_dir.glob("*.sqlite3"):
            _copy_database(path, self._folder / path.name)
        for name in (CERTIFICATE, KEY):
            if (data_dir / name).exists():
                shutil.copy2(data_dir / name, self._folder / name)
        for path in (data_dir / REFUSED).glob("*.pcapng"):  # nobody changes them
            (self._folder / REFUSED).mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # but an operator may take one away
                os.link(path, self._folder / REFUSED / path.name)
        return messages

    def chunks(self) -> Iterator[bytes]:
        """The tar, piece by piece."""
        yield from _member(tarfile.TarInfo(MANIFEST), json.dumps(self.manifest, indent=1).encode())
        sums = []
        for path in self._paths:
            name = path.relative_to(self._folder).as_posix()
            digest = hashlib.sha256()
            yield from _file(name, path, digest)
            if not path.is_symlink():
                sums.append(f"{digest.hexdigest()}  {name}\n")
        yield from _member(tarfile.TarInfo(SUMS), "".join(sums).encode())
        yield bytes(2 * tarfile.BLOCKSIZE)

    def close(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _copy_database(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    target.chmod(0o600)


def _file(name: str, path: Path, digest: Any) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o600, int(path.lstat().st_mtime)
    if path.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        yield info.tobuf(tarfile.PAX_FORMAT)
        return
    with path.open("rb") as file:
        info.size = left = os.fstat(file.fileno()).st_size
        yield info.tobuf(tarfile.PAX_FORMAT)
        while left:
            data = file.read(min(CHUNK_BYTES, left))
            if not data:
                raise DiskError(f"{path} became shorter while it was read; look at the disk")
            digest.update(data)
            left -= len(data)
            yield data
    yield bytes(-info.size % tarfile.BLOCKSIZE)


def _member(info: tarfile.TarInfo, data: bytes) -> Iterator[bytes]:
    info.size, info.mtime = len(data), now_ns() // 1_000_000_000
    yield info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
