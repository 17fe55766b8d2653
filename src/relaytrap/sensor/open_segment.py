"""The one segment of a spool that grows: its file, what waits to be written there, what a full disk does not take."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from relaytrap.capture.pcapng import SegmentWriter
from relaytrap.sensor.segment import whole_blocks
from relaytrap.sensor.spool_folder import OPEN_SUFFIX

__all__ = ["Carried", "OpenSegment", "Pending"]


class Pending:
    """Bytes on their way to a file: what SegmentWriter writes to."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


class Carried(NamedTuple):
    """Blocks of a segment that was closed before the disk had taken them: the next one begins with them."""

    blocks: bytes = b""
    observations: int = 0


@dataclass(slots=True)
class OpenSegment:
    """The one segment that grows. opened_at: monotonic seconds."""

    number: int
    path: Path
    fd: int
    pending: Pending
    writer: SegmentWriter
    opened_at: float

    @classmethod
    def create(cls, folder: Path, number: int, sensor: str, now: float, carried: Carried) -> "OpenSegment":
        """Make its file; what begins it waits to be written. Raises OSError."""
        path = folder / f"{number:08d}{OPEN_SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        pending = Pending()
        writer = SegmentWriter(pending, sensor=sensor, segment=number)
        pending.data += carried.blocks
        writer.size += len(carried.blocks)
        writer.count += carried.observations
        return cls(number, path, fd, pending, writer, now)

    def take_unwritten(self) -> Carried:
        """What the disk has not taken, with the block that it took in part, which is cut off the file."""
        whole = whole_blocks(self.path)
        begun = _cut_off(self.path, whole.octets)
        return Carried(begun + self.pending.data, self.writer.count - whole.observations)


def _cut_off(path: Path, octets: int) -> bytes:
    """Cut a file to so many octets; what stood behind."""
    with path.open("r+b") as file:
        file.seek(octets)
        behind = file.read()
        file.truncate(octets)
    return behind
