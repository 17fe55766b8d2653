"""One at a time of whatever bears a name: whoever comes meanwhile is sent away, or waits."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["HubBusy", "Turns"]


class HubBusy(Exception):
    """Too much waits, or another of the same name is at work; come again later. Nothing was stored."""

    retry_after_s = 2


class Turns:
    """Who is at work, by name. Thread-safe."""

    def __init__(self) -> None:
        self._at_work: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, name: str, *, wait_s: float = 0.0) -> Iterator[None]:
        """Be the one at work while the block runs; raises HubBusy when another one is, and does not end in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: name not in self._at_work, wait_s):
                raise HubBusy
            self._at_work.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._at_work.remove(name)
                self._changed.notify_all()
