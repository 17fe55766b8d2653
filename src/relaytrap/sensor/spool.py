"""The sensor's spool: what was received and sent, as pcapng segments on disk, until the hub has acknowledged it.

    <spool>/<sensor>/00000017.pcapng         closed, waiting to be shipped
                     00000016.pcapng.acked   the hub has it; kept in case the hub loses it
                     00000018.pcapng.open    being written
                     state.json              next number, what was lost
                     lock                    held by the one process that writes here

Written so that `kill -9` leaves a readable file: bytes go to the file at least every flush interval, and a file that a
dead process left open is cut behind its last whole block and closed at the next start. A segment number is never used
twice. When the disk is full the sensor goes on: what fits in memory waits, the rest is counted as lost, and the count
is kept where the hub and the operator see it.
"""

import contextlib
import errno
import fcntl
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from relaytrap.capture.pcapng import SegmentWriter
from relaytrap.errors import DiskError, StoreLocked
from relaytrap.observation import Observation
from relaytrap.sensor.segment import count_received, whole_blocks
from relaytrap.sensor.shelf import Shelf
from relaytrap.sensor.spool_state import SpoolState

__all__ = ["ClosedSegment", "Spool", "SpoolLimits", "count_spool", "segment_files"]

log = logging.getLogger(__name__)

PENDING_MAX_BYTES: Final = 8 << 20
"""What may wait in memory while the disk takes nothing."""
FLUSH_AT_BYTES: Final = 256 << 10
"""Enough to be worth a system call before the flush interval ends."""
SUFFIX: Final = ".pcapng"
OPEN_SUFFIX: Final = ".pcapng.open"
SECONDS_PER_DAY: Final = 86_400
DISK_RETRY_S: Final = 1.0
CLOCK_STEP_NS: Final = 60_000_000_000
"""More than any slewing: somebody set the clock."""


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """When to write, when to close a segment, how much to keep; see the `[sensor]` settings of the same names."""

    flush_interval_s: float = 0.2
    segment_max_bytes: int = 8 << 20
    segment_max_age_s: float = 2.0
    spool_max_bytes: int = 2 << 30
    spool_max_days: float = 30.0
    spool_kept_bytes: int = 256 << 20


class Pending:
    """Bytes on their way to a file: what SegmentWriter writes to."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


@dataclass(slots=True)
class OpenSegment:
    """The one segment that grows."""

    number: int
    path: Path
    fd: int
    pending: Pending
    writer: SegmentWriter
    opened_at: float


class Carried(NamedTuple):
    """Blocks of a segment that was closed before the disk had taken them: the next one begins with them."""

    blocks: bytes = b""
    observations: int = 0


class ClosedSegment(NamedTuple):
    """A segment that waits to be shipped.

    observations: None when an earlier run wrote it and nobody counted. since: when it began, in monotonic seconds; None
    for one of an earlier run that was not dated yet.
    """

    number: int
    path: Path
    octets: int
    modified_ns: int
    observations: int | None
    since: float | None


class Spool:
    """One sensor's segments.

    One thread writes; `oldest_closed`, `acknowledge` and `set_aside` are for the uplink's. `now` is monotonic seconds,
    for ages; `now_ns` the wall clock, for what is older than `spool_max_days`.
    Raises DiskError when the folder cannot be used, StoreLocked when another process writes there.
    """

    def __init__(self, folder: Path, sensor: str, limits: SpoolLimits, *, on_closed: Callable[[], None] = lambda: None):
        self.folder = folder
        self.sensor = sensor
        self.limits = limits
        self.recorded = 0
        self.is_full = False
        self._on_closed = on_closed
        self._segment: OpenSegment | None = None
        self._carried = Carried()
        self._closed: dict[int, ClosedSegment] = {}
        self._closed_bytes = 0
        self._guard = threading.Lock()
        self._saving = threading.Lock()
        self._lost_while_full = 0
        self._try_again_at = 0.0
        self._clock_offset_ns: int | None = None
        self._undated = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder)
            self.state = SpoolState.load(folder)
            self.shelf = Shelf(folder)
            self._recover()
        except OSError as error:
            raise DiskError(
                f"{error.filename or folder}: the spool cannot be used ({error.strerror}); "
                "mend that, or name another folder with --data"
            ) from None

    # Writing

    def write(self, observation: Observation, now: float) -> bool:
        """Append one observation; False when it is lost because neither disk nor memory has room."""
        segment = self._segment
        if segment is None:
            segment = self._open_segment(now)
            if segment is None:
                self._lose(1)
                return False
        waiting = len(segment.pending.data)
        if self.is_full and waiting + len(observation.raw) > PENDING_MAX_BYTES:
            self._lose(1)
            return False
        segment.writer.write(observation)
        self.recorded += 1
        if waiting >= FLUSH_AT_BYTES or self.limits.flush_interval_s <= 0:
            self._flush(segment, now)
            if segment.writer.size >= self.limits.segment_max_bytes and not segment.pending.data:
                self._close_segment(segment)
        return True

    def write_blocks(self, blocks: bytes, observations: int, now: float) -> bool:
        """Append and flush what a worker made of so many observations; False when they are lost, as for `write`."""
        segment = self._segment or self._open_segment(now)
        if segment is None or (self.is_full and len(segment.pending.data) + len(blocks) > PENDING_MAX_BYTES):
            self._lose(observations)
            return False
        segment.writer.append_blocks(blocks, observations)
        self.recorded += observations
        self._flush(segment, now)
        if segment.writer.size >= self.limits.segment_max_bytes and not segment.pending.data:
            self._close_segment(segment)
        return True

    def tick(self, now: float, now_ns: int) -> None:
        """Write what waits, close what is old or large enough, keep the limits. Call it every flush interval."""
        self._look_at_clock(now, now_ns)
        segment = self._segment
        if segment is not None:
            self._flush(segment, now)
            is_ripe = (
                now - segment.opened_at >= self._ripe_age_s() or segment.writer.size >= self.limits.segment_max_bytes
            )
            if is_ripe and segment.writer.count and not segment.pending.data:
                self._close_segment(segment)
            elif is_ripe and self.is_full and whole_blocks(segment.path).observations:
                # Else it would never be shipped, and the room that it takes never be free again.
                self._close_segment(segment)
                self._try_again_at = 0.0
                self._open_segment(now)
        self._keep_limits(now)

    def finish(self, now: float) -> None:
        """Write and close the open segment, for good. The uplink may still ship it."""
        if self._segment is not None:
            self._try_again_at = 0.0
            self._flush(self._segment, now)
            self._close_segment(self._segment)
        self._lose(self._carried.observations)
        self._save_state()

    def release(self) -> None:
        """Let the folder go: from now on another process may write there, and nobody in this one."""
        os.close(self._lock)

    def _ripe_age_s(self) -> float:
        """The age at which a segment is closed: higher while many wait, lest a hub's absence makes a million files."""
        return max(self.limits.segment_max_age_s, len(self._closed) / 10)

    def _open_segment(self, now: float) -> OpenSegment | None:
        if now < self._try_again_at:
            return None
        with self._guard:
            number = self.state.next_segment
            self.state.next_segment = number + 1
        path = self.folder / f"{number:08d}{OPEN_SUFFIX}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except OSError as error:
            self._disk_failed(error, now)
            return None
        self._save_state()
        pending = Pending()
        writer = SegmentWriter(pending, sensor=self.sensor, segment=number)
        pending.data += self._carried.blocks
        writer.size += len(self._carried.blocks)
        writer.count += self._carried.observations
        self._carried = Carried()
        segment = self._segment = OpenSegment(number, path, fd, pending, writer, now)
        self._flush(segment, now)  # from its first moment on the file is a capture file
        return segment

    def _flush(self, segment: OpenSegment, now: float) -> None:
        """Hand waiting bytes to the kernel. A partial write is gone on with later from where it stopped."""
        if now < self._try_again_at:
            return
        data = segment.pending.data
        while data:
            try:
                written = os.write(segment.fd, data)
            except OSError as error:
                self._disk_failed(error, now)
                return
            del data[:written]
        self._disk_works()

    def _close_segment(self, segment: OpenSegment) -> None:
        os.close(segment.fd)
        self._segment = None
        observations = segment.writer.count
        if segment.pending.data:  # the disk is full
            whole = whole_blocks(segment.path)
            begun = _cut_off(segment.path, whole.octets)
            self._carried = Carried(begun + segment.pending.data, observations - whole.observations)
            observations = whole.observations
        if not observations:
            segment.path.unlink(missing_ok=True)
            return
        path = segment.path.with_name(f"{segment.number:08d}{SUFFIX}")
        try:
            segment.path.rename(path)
            self._keep(segment.number, path, observations, segment.opened_at)
        except OSError as error:  # it stays open on disk, and the next start closes it
            log.error("cannot close a segment: segment=%d reason=%s", segment.number, error.strerror)
            return
        self._on_closed()

    def _lose(self, observations: int) -> None:
        self.state.lost_observations += observations
        self._lost_while_full += observations

    def _disk_failed(self, error: OSError, now: float) -> None:
        self._try_again_at = now + DISK_RETRY_S
        self.shelf.trim(0)
        if not self.is_full:
            self.is_full = True
            log.error("cannot write the spool, answering goes on: folder=%s reason=%s", self.folder, error.strerror)

    def _disk_works(self) -> None:
        if self.is_full:
            self.is_full = False
            log.warning("the spool can be written again: folder=%s lost=%d", self.folder, self._lost_while_full)
            self._lost_while_full = 0
            self._save_state()

    # What is kept

    @property
    def size_bytes(self) -> int:
        """Octets on disk, the open segment included."""
        return self._closed_bytes + (self._segment.writer.size if self._segment else 0)

    @property
    def waiting_segments(self) -> int:
        """Closed segments that nobody acknowledged."""
        return len(self._closed)

    def oldest_closed(self) -> ClosedSegment | None:
        """The next segment to ship."""
        with self._guard:
            return next(iter(self._closed.values()), None)

    def acknowledge(self, segment: ClosedSegment) -> None:
        """The hub has this segment: keep it only as long as there is room."""
        if not self._forget(segment):
            return
        self.state.acknowledged = max(self.state.acknowledged, segment.number)
        self._save_state()
        if self.limits.spool_kept_bytes:
            self.shelf.put(segment.number, segment.path)
            self.shelf.trim(self.limits.spool_kept_bytes)
        else:
            segment.path.unlink(missing_ok=True)

    def reconcile(self, hub_id: str, highest: int) -> int:
        """Hear which hub this is, and the highest number that it has of this spool; how many segments come again.

        A hub that knows less than it acknowledged was restored from a backup: what the shelf has beyond is
        shipped again. One that knows more saw this spool before it was set back: its numbers are not used again.
        """
        state = self.state
        is_behind = hub_id == state.hub_id and highest < state.acknowledged
        back = self.shelf.take_back(highest) if is_behind else []
        for number, path in back:
            self._keep(number, path, None)
        with self._guard:
            self._closed = dict(sorted(self._closed.items()))
            state.next_segment = max(state.next_segment, highest + 1)
            if is_behind or hub_id != state.hub_id:
                state.hub_id, state.acknowledged = hub_id, highest
        self._save_state()
        return len(back)

    def set_aside(self, segment: ClosedSegment) -> None:
        """The hub cannot read this segment: keep the file, ship it no more."""
        self._forget(segment)
        with contextlib.suppress(FileNotFoundError):
            segment.path.rename(segment.path.with_name(segment.path.name + ".refused"))

    def lost(self) -> dict[str, int]:
        """What is gone for good, for whoever looks."""
        state = self.state
        return {
            "lost_observations": state.lost_observations,
            "dropped_segments": state.dropped_segments,
            "dropped_observations": state.dropped_observations,
        }

    def status(self) -> dict[str, Any]:
        """What a heartbeat tells of it."""
        return {
            "id": self.state.spool_id,
            "bytes": self.size_bytes,
            "waiting_segments": self.waiting_segments,
            "next_segment": self.state.next_segment,
            "hub": self.state.hub_id,
            "acknowledged": self.state.acknowledged,
            "kept": self.shelf.numbers,
            "kept_bytes": self.shelf.size_bytes,
            "is_full": self.is_full,
            **self.lost(),
        }

    def _keep(self, number: int, path: Path, observations: int | None, since: float | None = None) -> None:
        status = path.stat()
        kept = ClosedSegment(number, path, status.st_size, status.st_mtime_ns, observations, since)
        with self._guard:
            self._closed[number] = kept
            self._closed_bytes += status.st_size
            self._undated = self._undated or since is None

    def _forget(self, segment: ClosedSegment) -> bool:
        with self._guard:
            if self._closed.pop(segment.number, None) is None:
                return False
            self._closed_bytes -= segment.octets
            return True

    def _keep_limits(self, now: float) -> None:
        """Drop what is beyond the limits: what was acknowledged first, then the oldest closed segments, as loss."""
        self.shelf.trim(max(0, self.limits.spool_max_bytes - self.size_bytes))
        oldest = now - self.limits.spool_max_days * SECONDS_PER_DAY
        while (segment := self.oldest_closed()) is not None:
            if self.size_bytes <= self.limits.spool_max_bytes and (segment.since is None or segment.since >= oldest):
                return
            self.drop(segment)

    def _look_at_clock(self, now: float, now_ns: int) -> None:
        """Date segments on the clock that is never set; one that jumps by a month must not make all of them too old."""
        offset_ns = now_ns - int(now * 1e9)
        before, self._clock_offset_ns = self._clock_offset_ns, offset_ns
        with self._guard:
            if self._undated:
                self._undated = False
                for number, segment in self._closed.items():
                    if segment.since is None:
                        age_s = max(0, now_ns - segment.modified_ns) / 1e9
                        self._closed[number] = segment._replace(since=now - age_s)
            if before is None or abs(offset_ns - before) < CLOCK_STEP_NS:
                return
            log.warning("the clock was set: by_s=%d", (offset_ns - before) // 1_000_000_000)
            for segment in self._closed.values():  # the next start knows them by their files' times alone
                modified_ns = max(0, now_ns - int((now - (segment.since or now)) * 1e9))
                with contextlib.suppress(OSError):
                    os.utime(segment.path, ns=(modified_ns, modified_ns))

    def drop(self, segment: ClosedSegment) -> None:
        """Remove a segment that nobody acknowledged, or that somebody took away, and count it as lost."""
        if not self._forget(segment):  # acknowledged in this moment
            return
        observations = segment.observations
        if observations is None:
            observations = whole_blocks(segment.path).observations
        segment.path.unlink(missing_ok=True)
        self.state.dropped_segments += 1
        self.state.dropped_observations += observations
        self._save_state()
        log.warning("dropped what nobody acknowledged: segment=%d observations=%d", segment.number, observations)

    # What survives a start

    def _recover(self) -> None:
        """Close what a dead process left open, and number on beyond everything that was ever here."""
        for path in self.folder.glob(f"*{OPEN_SUFFIX}"):
            if not cut_to_whole(path):
                path.unlink()
                continue
            path.rename(path.with_name(path.name.removesuffix(".open")))
            log.info("closed a segment that an earlier run left open: segment=%s", path.name)
        named = [path.name.partition(".")[0] for path in self.folder.glob(f"*{SUFFIX}*")]
        highest = max((int(name) for name in named if name.isdecimal()), default=0)
        self.state.next_segment = max(self.state.next_segment, highest + 1)
        for path in segment_files(self.folder):
            self._keep(segment_number(path), path, None)
        self._save_state()

    def _save_state(self) -> None:
        with self._saving:
            self.state.save(self.folder)


def segment_number(path: Path) -> int:
    """The number in a segment's file name."""
    return int(path.name.partition(".")[0])


def segment_files(folder: Path) -> list[Path]:
    """Closed segments of a folder, in the order of their numbers."""
    files = [path for path in folder.glob(f"*{SUFFIX}") if path.name.partition(".")[0].isdecimal()]
    return sorted(files, key=segment_number)


def cut_to_whole(path: Path) -> int:
    """Cut a file behind its last whole observation; how many it holds."""
    blocks = whole_blocks(path)
    os.truncate(path, blocks.octets)
    return blocks.observations


def _cut_off(path: Path, octets: int) -> bytes:
    """Cut a file to so many octets; what stood behind."""
    with path.open("r+b") as file:
        file.seek(octets)
        behind = file.read()
        file.truncate(octets)
    return behind


def _lock(folder: Path) -> int:
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


def count_spool(folder: Path) -> int:
    """Messages received that stand in the segments of every sensor below this folder."""
    return sum(count_received(path) for path in folder.rglob("*.pcapng*"))
