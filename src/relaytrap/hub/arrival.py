"""When a message was received: as its sender says while that can be, otherwise when it came here.

Every day that an insert touches costs the engine parts of its own: 1,500 messages on 1,500 days took it a minute, in
which nobody else's were stored, and one clock that was never set is enough. So a segment may lie on a few days only,
and on none that is long past or far ahead. A note keeps the time that a message came with, and its identifier goes by
that one: a segment that comes again later has the same identifiers, whatever was believed of it then.
"""

from contextlib import suppress
from typing import Final

from relaytrap.clock import parse_rfc3339, rfc3339
from relaytrap.observation import Observation
from relaytrap.store.queries.shape import NOT_BELIEVED

__all__ = [
    "EPOCH_MAX_NS",
    "NO_ZERO_NS",
    "NS_PER_DAY",
    "Calendar",
    "dated",
    "given_ns",
    "is_believed",
    "note_of",
    "own_ns",
    "storable",
    "stored_note",
]

EPOCH_MAX_NS: Final = (2**32 - 1) * 1_000_000_000
NS_PER_DAY: Final = 86_400_000_000_000

LONGEST_AGO_NS: Final = 366 * NS_PER_DAY
"""A hub that comes back from a backup is sent again what sensors keep, of quiet ones the traffic of months."""
LONGEST_AHEAD_NS: Final = 2 * NS_PER_DAY
"""A clock that shows local time for UTC, or is a day off, is still known for what it is."""
DAYS_MAX: Final = 4
"""A segment is closed after two seconds: it lies on one day, two at midnight, and more when its clock was set."""
NOTE: Final = f"{NOT_BELIEVED}: "
NO_ZERO_NS: Final = 1
"""A clock that stands at 1970, in the column in which 0 says that there is no such time."""


def own_ns(seen: Observation) -> int:
    """The time that a message came with, where a note keeps it because it is not believed; 0 where none does."""
    if not seen.notes:
        return 0
    for note in seen.notes:
        if note.startswith(NOTE):
            with suppress(ValueError):
                return storable(parse_rfc3339(note.removeprefix(NOTE))) or NO_ZERO_NS
    return 0


def given_ns(seen: Observation) -> int:
    """The time that a message came with, believed or not, as far as the store can hold it."""
    return own_ns(seen) or storable(seen.received_at_ns) or NO_ZERO_NS


def storable(moment_ns: int) -> int:
    """A time that the store can hold."""
    return moment_ns if 0 <= moment_ns <= EPOCH_MAX_NS else 0 if moment_ns < 0 else EPOCH_MAX_NS


def note_of(given: int) -> str:
    """The note that keeps a time."""
    return NOTE + rfc3339(given)


def stored_note(note: str) -> str:
    """A note as the store has it: without the time, which has a column of its own there."""
    return NOT_BELIEVED if note.startswith(NOTE) else note


def dated(seen: Observation, moment_ns: int) -> Observation:
    """The message with another time, and a note of its own."""
    return Observation(
        *(moment_ns, seen.sensor, seen.direction, seen.transport, seen.source, seen.source_port),
        *(seen.local, seen.local_port, seen.raw, seen.capture, seen.frame, (*seen.notes, note_of(given_ns(seen)))),
    )


def is_believed(received_ns: int, arrived_ns: int) -> bool:
    """Whether a message that came in at one time can have been received at the other, going by whole days."""
    first, last = arrived_ns - LONGEST_AGO_NS, arrived_ns + LONGEST_AHEAD_NS
    return first // NS_PER_DAY <= received_ns // NS_PER_DAY <= last // NS_PER_DAY


class Calendar:
    """The days of one segment. arrived_ns: when it came here; times that are not believed follow it, in their order."""

    def __init__(self, arrived_ns: int) -> None:
        self._arrived_ns = self._last_ns = arrived_ns
        self._days: set[int] = set()
        self._first_ns = self._end_ns = 0

    def dated(self, seen: Observation) -> Observation:
        """The message as it is, or with a time that is believed."""
        if self._first_ns <= seen.received_at_ns < self._end_ns or self._holds(seen.received_at_ns):
            return seen
        self._last_ns += 1
        return dated(seen, self._last_ns)

    def _holds(self, received_ns: int) -> bool:
        """Whether a time is on one of the segment's days, or makes one more; the next ones are likely there."""
        day = received_ns // NS_PER_DAY
        if day not in self._days:
            if len(self._days) == DAYS_MAX or not is_believed(received_ns, self._arrived_ns):
                return False
            self._days.add(day)
        self._first_ns, self._end_ns = day * NS_PER_DAY, (day + 1) * NS_PER_DAY
        return True
