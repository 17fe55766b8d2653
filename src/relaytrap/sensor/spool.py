"""The sensor's spool: what was received and sent, as pcapng segments on disk, until the hub has acknowledged it.

    <spool>/<sensor>/00000017.pcapng         closed, waiting to be shipped
                     00000016.pcapng.acked   the hub has it; kept in case the hub loses it
                     00000018.pcapng.open    being written
                     state.json              next number, what was lost
                     spool-id                the spool's name, should that file be lost
                     lock                    held by the one process that writes here

Written so that `kill -9` leaves a readable file: bytes go to the file at least every flush interval, and a file that a
dead process left open is cut behind its last whole block and closed at the next start. A segment number is never used
twice. When the disk is full the sensor goes on: what fits in memory waits, the rest is counted as lost, and the count
is kept where the hub and the operator see it.
"""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relaytrap.errors import DiskError
from relaytrap.observation import Observation
from relaytrap.sensor.backlog import Backlog, ClosedSegment
from relaytrap.sensor.open_segment import Carried, OpenSegment
from relaytrap.sensor.segment import whole_blocks
from relaytrap.sensor.shelf import Shelf
from relaytrap.sensor.spool_folder import (
    SUFFIX,
    close_left_open,
    count_spool,
    highest_number,
    lock_folder,
    segment_files,
    segment_number,
)
from relaytrap.sensor.spool_state import SpoolState

__all__ = ["ClosedSegment", "Spool", "SpoolLimits", "count_spool", "segment_files"]

log = logging.getLogger(__name__)

PENDING_MAX_BYTES: Final = 8 << 20
"""What may wait in memory while the disk takes nothing."""
FLUSH_AT_BYTES: Final = 256 << 10
"""Enough to be worth a system call before the flush interval ends."""
SECONDS_PER_DAY: Final = 86_400
DISK_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """When to write, when to close a segment, how much to keep; see the `[sensor]` settings of the same names."""

    flush_interval_s: float = 0.2
    segment_max_bytes: int = 8 << 20
    segment_max_age_s: float = 2.0
    spool_max_bytes: int = 2 << 30
    spool_max_days: float = 30.0
    spool_kept_bytes: int = 256 << 20


class Spool:
    """One sensor's segments.

    One thread writes; `acknowledge`, `reconcile` and what takes from `backlog` are for the uplink's. `now` is monotonic
    seconds, for ages; `now_ns` the wall clock, for what is older than `spool_max_days`.
    Raises DiskError when the folder cannot be used, StoreLocked when another process writes there.
    """

    def __init__(self, folder: Path, sensor: str, limits: SpoolLimits, *, on_closed: Callable[[], None] = lambda: None):
        self.folder = folder
        self.sensor = sensor
        self.limits = limits
        self.recorded = 0
        self.is_full = False
        self.backlog = Backlog(self._count_dropped)
        self._on_closed = on_closed
        self._segment: OpenSegment | None = None
        self._carried = Carried()
        self._guard = threading.Lock()
        self._saving = threading.Lock()
        self._lost_while_full = 0
        self._try_again_at = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(folder)
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
        self.backlog.look_at_clock(now, now_ns)
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
        return max(self.limits.segment_max_age_s, len(self.backlog) / 10)

    def _open_segment(self, now: float) -> OpenSegment | None:
        if now < self._try_again_at:
            return None
        with self._guard:
            number = self.state.next_segment
            self.state.next_segment = number + 1
        try:
            segment = OpenSegment.create(self.folder, number, self.sensor, now, self._carried)
        except OSError as error:
            self._disk_failed(error, now)
            return None
        self._save_state()
        self._carried = Carried()
        self._segment = segment
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
            self._carried = segment.take_unwritten()
            observations -= self._carried.observations
        if not observations:
            segment.path.unlink(missing_ok=True)
            return
        path = segment.path.with_name(f"{segment.number:08d}{SUFFIX}")
        try:
            segment.path.rename(path)
            self.backlog.keep(segment.number, path, observations, segment.opened_at)
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
        return self.backlog.size_bytes + (self._segment.writer.size if self._segment else 0)

    def acknowledge(self, segment: ClosedSegment) -> None:
        """The hub has this segment: keep it only as long as there is room."""
        if not self.backlog.forget(segment):
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
            self.backlog.keep(number, path, None)
        self.backlog.sort()
        with self._guard:
            state.next_segment = max(state.next_segment, highest + 1)
            if is_behind or hub_id != state.hub_id:
                state.hub_id, state.acknowledged = hub_id, highest
            state.begun_anew = False
        self._save_state()
        return len(back)

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
            "waiting_segments": len(self.backlog),
            "next_segment": self.state.next_segment,
            "hub": self.state.hub_id,
            "acknowledged": self.state.acknowledged,
            "kept": self.shelf.numbers,
            "kept_bytes": self.shelf.size_bytes,
            "is_full": self.is_full,
            "begun_anew": self.state.begun_anew,
            **self.lost(),
        }

    def _keep_limits(self, now: float) -> None:
        """Drop what is beyond the limits: what was acknowledged first, then the oldest closed segments, as loss."""
        limits = self.limits
        self.shelf.trim(max(0, limits.spool_max_bytes - self.size_bytes))
        open_bytes = self._segment.writer.size if self._segment else 0
        self.backlog.trim(limits.spool_max_bytes - open_bytes, now - limits.spool_max_days * SECONDS_PER_DAY)

    def _count_dropped(self, observations: int) -> None:
        self.state.dropped_segments += 1
        self.state.dropped_observations += observations
        self._save_state()

    # What survives a start

    def _recover(self) -> None:
        """Close what a dead process left open, and number on beyond everything that was ever here."""
        close_left_open(self.folder)
        self.state.next_segment = max(self.state.next_segment, highest_number(self.folder) + 1)
        for path in segment_files(self.folder):
            self.backlog.keep(segment_number(path), path, None)
        self._save_state()

    def _save_state(self) -> None:
        with self._saving:
            self.state.save(self.folder)
