"""Who owns a data directory: an advisory lock that dies with its process, and the pid that holds it."""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from relaytrap.errors import DiskError, StoreLocked

__all__ = ["DirectoryLock", "owner_of"]

LOCK_NAME: Final = "hub.lock"
LOOKS: Final = 30
LOOK_S: Final = 0.01


class DirectoryLock:
    """Exclusive ownership of a data directory, from construction to close(); safe against kill -9."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / LOCK_NAME
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DiskError(
                f"{data_dir}: cannot be used for data ({error.strerror}); choose another with --data"
            ) from None
        if not self._locked():
            owner = _read_pid(self._file)
            os.close(self._file)
            raise StoreLocked(
                f"{data_dir} is in use by process {owner or 'unknown'}; stop that process or choose another --data"
            )
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def _locked(self) -> bool:
        """Whether the lock is ours; who only looks for its owner (owner_of) has it as well, for a moment."""
        for _ in range(LOOKS):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(LOOK_S)
            else:
                return True
        return False

    def close(self) -> None:
        """Give the directory back; further calls do nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def owner_of(data_dir: Path) -> int | None:
    """Pid of the process that owns a data directory now; None when nobody does."""
    try:
        descriptor = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read_pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
