"""How much of what is sent here may be in memory at a time, over all who send."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Room", "RoomFull"]


class RoomFull(Exception):
    """Others' bodies take all the room there is; send it again later."""

    retry_after_s = 5


class Room:
    """So many octets, lent to whoever holds a body. Thread-safe."""

    def __init__(self, octets: int) -> None:
        self._left = octets
        self._mutex = threading.Lock()

    @contextmanager
    def kept(self, octets: int) -> Iterator[None]:
        """Keep this many while the block runs; raises RoomFull when there are fewer."""
        with self._mutex:
            if octets > self._left:
                raise RoomFull
            self._left -= octets
        try:
            yield
        finally:
            with self._mutex:
                self._left += octets
