"""How much of what is sent here may be in memory at a time, over all who send."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

__all__ = ["Room", "RoomFull"]


LOOK_S: Final = 0.05


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
        if not self._take(octets):
            raise RoomFull
        try:
            yield
        finally:
            self._give_back(octets)

    @asynccontextmanager
    async def kept_soon(self, octets: int, wait_s: float) -> AsyncIterator[None]:
        """The same, but RoomFull only when there are fewer all the while. Those who wait may be of several loops."""
        end = asyncio.get_running_loop().time() + wait_s
        while not self._take(octets):
            if asyncio.get_running_loop().time() >= end:
                raise RoomFull
            await asyncio.sleep(LOOK_S)
        try:
            yield
        finally:
            self._give_back(octets)

    def _take(self, octets: int) -> bool:
        with self._mutex:
            if octets > self._left:
                return False
            self._left -= octets
            return True

    def _give_back(self, octets: int) -> None:
        with self._mutex:
            self._left += octets
