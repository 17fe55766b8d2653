"""Answers kept for a few seconds, so that ten readers of one page cost one question."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from relaytrap.clock import monotonic

__all__ = ["Answers"]


class Answers:
    """What was asked lately and what the answer was. Thread-safe; the same question is asked once at a time."""

    def __init__(self, *, keep_s: float = 5.0, at_most: int = 400, now: Callable[[], float] = monotonic) -> None:
        self._keep_s, self._at_most, self._now = keep_s, at_most, now
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._asking: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        """The kept answer, or a new one."""
        with self._lock:
            found = self._fresh(key)
            if found is not None:
                return found[1]
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            with self._lock:
                found = self._fresh(key)
            if found is not None:
                return found[1]
            try:
                answer = ask()
                with self._lock:
                    self._keep(key, answer)
            finally:
                with self._lock:
                    self._asking.pop(key, None)
            return answer

    def forget(self) -> None:
        """Drop everything; the next question reaches the store."""
        with self._lock:
            self._kept.clear()

    def _keep(self, key: Hashable, answer: Any) -> None:
        self._kept[key] = (self._now() + self._keep_s, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > self._at_most:
            self._kept.popitem(last=False)

    def _fresh(self, key: Hashable) -> tuple[float, Any] | None:
        found = self._kept.get(key)
        return found if found is not None and found[0] > self._now() else None
