"""Files that commands write for other programs: whole or not at all, and left alone when nothing changed."""

import contextlib
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import Final

from relaytrap.cli.output import for_terminal
from relaytrap.errors import DiskError

__all__ = ["STANDARD_OUTPUT", "write_whole"]

STANDARD_OUTPUT: Final = Path("-")
NEW_MODE: Final = 0o644


def write_whole(path: Path, data: bytes) -> bool:
    """Write a file so that a reader finds the old content or the new, never a part; False when it is the same.

    What is no regular file, such as a pipe, is written to as it is. A link stays one. `-` is standard output. Raises
    DiskError.
    """
    if path == STANDARD_OUTPUT:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return True
    try:
        target = path.resolve()
        mode = target.stat().st_mode if target.exists() else 0
        if mode and not stat.S_ISREG(mode):
            target.write_bytes(data)
            return True
        if mode and target.read_bytes() == data:
            return False
        _replace(target, data, stat.S_IMODE(mode) or NEW_MODE)
    except OSError as error:
        raise DiskError(
            f"{for_terminal(path)}: cannot be written ({error.strerror}); free space or name another place"
        ) from None
    return True


def _replace(path: Path, data: bytes, mode: int) -> None:
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
