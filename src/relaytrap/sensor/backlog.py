"""The closed segments of a spool that wait for the hub: in order, dated, and dropped when too many or too old.

One leaves when the hub acknowledged it, when the hub cannot read it, or when it is dropped; only that is loss.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from relaytrap.sensor.segment import whole_blocks

__all__ = ["Backlog", "ClosedSegment"]

log = logging.getLogger(__name__)

CLOCK_STEP_NS: Final = 60_000_000_000
"""More than any slewing: somebody set the clock."""


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


class Backlog:
    """What waits, in the order in which it is shipped. Thread-safe.

    size_bytes: octets on disk. on_dropped: hears how many observations were lost with a segment, in the thread that
    dropped it. `now` is monotonic seconds, for ages; `now_ns` the wall clock, for what an earlier run wrote.
    """

    def __init__(self, on_dropped: Callable[[int], None]) -> None:
        self.size_bytes = 0
        self._on_dropped = on_dropped
        self._guard = threading.Lock()
        self._closed: dict[int, ClosedSegment] = {}
        self._clock_offset_ns: int | None = None
        self._undated = False

    def __len__(self) -> int:
        return len(self._closed)

    def oldest(self) -> ClosedSegment | None:
        """The next segment to ship."""
        with self._guard:
            return next(iter(self._closed.values()), None)

    def keep(self, number: int, path: Path, observations: int | None, since: float | None = None) -> None:
        """Have a closed file wait behind all others; fields as in ClosedSegment. Raises OSError."""
        status = path.stat()
        kept = ClosedSegment(number, path, status.st_size, status.st_mtime_ns, observations, since)
        with self._guard:
            self._closed[number] = kept
            self.size_bytes += status.st_size
            self._undated = self._undated or since is None

    def sort(self) -> None:
        """Put what came back from the shelf where its number belongs."""
        with self._guard:
            self._closed = dict(sorted(self._closed.items()))

    def forget(self, segment: ClosedSegment) -> bool:
        """Have it wait no longer, its file left as it is; False when it did not."""
        with self._guard:
            if self._closed.pop(segment.number, None) is None:
                return False
            self.size_bytes -= segment.octets
            return True

    def set_aside(self, segment: ClosedSegment) -> None:
        """The hub cannot read this segment: keep the file, ship it no more."""
        self.forget(segment)
        with contextlib.suppress(FileNotFoundError):
            segment.path.rename(segment.path.with_name(segment.path.name + ".refused"))

    def drop(self, segment: ClosedSegment) -> None:
        """Remove a segment that nobody acknowledged, or that somebody took away, and count it as lost."""
        if not self.forget(segment):  # acknowledged in this moment
            return
        observations = segment.observations
        if observations is None:
            observations = whole_blocks(segment.path).observations
        segment.path.unlink(missing_ok=True)
        self._on_dropped(observations)
        log.warning("dropped what nobody acknowledged: segment=%d observations=%d", segment.number, observations)

    def trim(self, most_bytes: int, oldest: float) -> None:
        """Drop from the front what is more than so many bytes, and what began before `oldest`."""
        while (segment := self.oldest()) is not None:
            if self.size_bytes <= most_bytes and (segment.since is None or segment.since >= oldest):
                return
            self.drop(segment)

    def look_at_clock(self, now: float, now_ns: int) -> None:
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
