"""A spool's folder: the names in it, whose it is, and what an earlier run left open there."""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Final

from relaytrap.errors import StoreLocked
from relaytrap.sensor.segment import count_received, whole_blocks

__all__ = [
    "OPEN_SUFFIX",
    "SUFFIX",
    "close_left_open",
    "count_spool",
    "highest_number",
    "is_locked",
    "lock_folder",
    "segment_files",
    "segment_number",
]

log = logging.getLogger(__name__)

SUFFIX: Final = ".pcapng"
OPEN_SUFFIX: Final = ".pcapng.open"


def lock_folder(folder: Path) -> int:
    """The descriptor that keeps this folder ours until it is closed. Raises StoreLocked when it is another's."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise StoreLocked(
            f"{folder}: another sensor process writes this spool; stop it, or give this sensor another name"
        ) from None
    return fd


def is_locked(folder: Path) -> bool:
    """Whether a sensor process has this folder now."""
    try:
        fd = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def close_left_open(folder: Path) -> None:
    """Close what a dead process left open, behind its last whole observation; what holds none is removed."""
    for path in folder.glob(f"*{OPEN_SUFFIX}"):
        if not cut_to_whole(path):
            path.unlink()
            continue
        path.rename(path.with_name(path.name.removesuffix(".open")))
        log.info("closed a segment that an earlier run left open: segment=%s", path.name)


def cut_to_whole(path: Path) -> int:
    """Cut a file behind its last whole observation; how many it holds."""
    blocks = whole_blocks(path)
    os.truncate(path, blocks.octets)
    return blocks.observations


def highest_number(folder: Path) -> int:
    """The highest number of a segment in whichever state; 0 when there is none."""
    named = [path.name.partition(".")[0] for path in folder.glob(f"*{SUFFIX}*")]
    return max((int(name) for name in named if name.isdecimal()), default=0)


def segment_number(path: Path) -> int:
    """The number in a segment's file name."""
    return int(path.name.partition(".")[0])


def segment_files(folder: Path) -> list[Path]:
    """Closed segments of a folder, in the order of their numbers."""
    files = [path for path in folder.glob(f"*{SUFFIX}") if path.name.partition(".")[0].isdecimal()]
    return sorted(files, key=segment_number)


def count_spool(folder: Path) -> int:
    """Messages received that stand in the segments of every sensor below this folder."""
    return sum(count_received(path) for path in folder.rglob("*.pcapng*"))
