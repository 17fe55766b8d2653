"""Answers kept for a few seconds: ten readers of one page cost one question, and the next one waits for none."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from relaytrap.clock import monotonic

__all__ = ["Answers"]

log = logging.getLogger(__name__)


class Answers:
    """What was asked lately and what the answer was. Thread-safe; the same question is asked once at a time.

    An answer is given as it is for `keep_s`; up to `stale_s` it is given once more, while a new one is fetched behind
    the reader's back; older than that the reader waits.
    """

    def __init__(
        self,
        *,
        keep_s: float = 5.0,
        stale_s: float = 60.0,
        at_most: int = 400,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._keep_s, self._stale_s, self._at_most, self._now = keep_s, stale_s, at_most, now
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._asking: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="answers")

    def get(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        """The kept answer, or a new one."""
        with self._lock:
            found = self._kept.get(key)
            age = self._now() - found[0] if found else None
            if found and age is not None and age < self._stale_s:
                if age >= self._keep_s and key not in self._asking:
                    self._asking[key] = threading.Lock()
                    self._behind.submit(self._renew, key, ask)
                return found[1]
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            with self._lock:
                found = self._kept.get(key)
            if found and self._now() - found[0] < self._keep_s:
                return found[1]
            return self._ask(key, ask)

    def forget(self) -> None:
        """Drop everything; the next question reaches the store."""
        with self._lock:
            self._kept.clear()

    def close(self) -> None:
        """Wait for what is being asked; nothing reaches the store afterwards from here."""
        self._behind.shutdown(cancel_futures=True)

    def _renew(self, key: Hashable, ask: Callable[[], Any]) -> None:
        try:
            self._ask(key, ask)
        except Exception:  # the edge of one unit of work: the next reader asks again and is told what is wrong
            log.exception("an answer could not be renewed")

    def _ask(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        try:
            answer = ask()
            with self._lock:
                self._kept[key] = (self._now(), answer)
                self._kept.move_to_end(key)
                while len(self._kept) > self._at_most:
                    self._kept.popitem(last=False)
        finally:
            with self._lock:
                self._asking.pop(key, None)
        return answer
