"""How many in the last minute, second by second, in fixed memory."""

from typing import Final

from relaytrap.clock import NS_PER_S

__all__ = ["Rate"]

SECONDS: Final = 60


class Rate:
    """Events of the last 60 seconds. A clock that steps back leaves what it knows where it is."""

    __slots__ = ("_counts", "_newest")

    def __init__(self) -> None:
        self._counts = [0] * SECONDS
        self._newest = 0

    def count(self, now_ns: int) -> None:
        """One more, now."""
        self._advance(now_ns)
        self._counts[self._newest % SECONDS] += 1

    def a_minute(self, now_ns: int) -> int:
        """How many in the minute until now; changes nothing, so any thread may ask."""
        newest = self._newest
        first = max(now_ns // NS_PER_S, newest) - SECONDS + 1
        return sum(self._counts[second % SECONDS] for second in range(first, newest + 1))

    def _advance(self, now_ns: int) -> None:
        second = now_ns // NS_PER_S
        for passed in range(max(self._newest + 1, second - SECONDS + 1), second + 1):
            self._counts[passed % SECONDS] = 0
        self._newest = max(self._newest, second)
