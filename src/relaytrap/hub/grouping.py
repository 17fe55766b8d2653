"""Batches that wait while an insert is under way go into the next one together.

An insert costs the engine 30 to 60 ms of CPU before its first row and 15 us for each: with a hundred sensors that each
ship a segment every two seconds, inserts of single segments would keep a machine busy alone.

Where few would wait, groups leave at a distance in time. Nobody waits behind a long silence.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from relaytrap.clock import monotonic
from relaytrap.errors import RelaytrapError, StoreError

__all__ = ["Grouping"]

Item = TypeVar("Item")

GROUP_ROWS: Final = 200_000


class _Waiting(Generic[Item]):
    def __init__(self, item: Item, rows: int) -> None:
        self.item = item
        self.rows = rows
        self.woken = threading.Event()
        self.is_done = False
        self.error: RelaytrapError | None = None


class Grouping(Generic[Item]):
    """Hands items of many threads to one function, as many at a time as have come meanwhile. Thread-safe."""

    def __init__(
        self,
        store: Callable[[Sequence[Item]], None],
        most_rows: int = GROUP_ROWS,
        *,
        apart_s: float = 0.0,
        enough: int = sys.maxsize,
    ) -> None:
        """store: called with one group after the other; what it raises, all of the group get.

        most_rows: a group has no more, unless it is one item. apart_s: a group leaves no sooner after the one before,
        unless it is full. enough: items that are worth no more waiting.
        """
        self._store = store
        self._most_rows = most_rows
        self._apart_s = apart_s
        self._enough = enough
        self._left_at = float("-inf")
        self._waiting: list[_Waiting[Item]] = []
        self._mutex = threading.Condition()
        self._is_led = False

    def add(self, item: Item, rows: int) -> None:
        """Returns when the item is stored. rows: how much of a group it is."""
        mine = _Waiting(item, rows)
        with self._mutex:
            self._waiting.append(mine)
            self._mutex.notify()
            leads, self._is_led = not self._is_led, True
        # One thread stores for all that wait. The others sleep until theirs is done, or it is their turn to store.
        if not leads:
            mine.woken.wait()
        if not mine.is_done:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error

    def _lead(self, mine: _Waiting[Item]) -> None:
        try:
            while not mine.is_done:
                self._store_group(self._next_group())
        finally:
            with self._mutex:
                if self._waiting:
                    self._waiting[0].woken.set()
                else:
                    self._is_led = False

    def _next_group(self) -> list[_Waiting[Item]]:
        with self._mutex:
            while not self._is_full() and (left := self._left_at + self._apart_s - monotonic()) > 0:
                self._mutex.wait(left)
            self._left_at = monotonic()
            rows = 0
            for count, each in enumerate(self._waiting):
                rows += each.rows
                if count and rows > self._most_rows:
                    break
            else:
                count = len(self._waiting)
            group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._enough or sum(each.rows for each in self._waiting) >= self._most_rows

    def _store_group(self, group: list[_Waiting[Item]]) -> None:
        error: RelaytrapError | None = StoreError("an insert failed; the hub's log says why")
        try:
            self._store([each.item for each in group])
            error = None
        except RelaytrapError as told:
            error = told
        finally:
            for each in group:
                each.error, each.is_done = error, True
                each.woken.set()
