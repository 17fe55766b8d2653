"""What was made of a key, kept for the next time: attack traffic says the same few things over and over."""

from collections.abc import Callable
from typing import TypeVar

__all__ = ["Kept"]

K = TypeVar("K", bytes, str)
V = TypeVar("V")


class Kept(dict[K, V]):
    """`kept[key]` is looked up, or made and kept.

    Forgets everything when it is full, which an LRU would take three times as long to avoid. An attacker chooses the
    keys: long ones are made anew each time.
    """

    def __init__(self, make: Callable[[K], V], *, most: int = 512, longest: int = 64) -> None:
        """make: pure. most: keys that are kept. longest: length of a key that is."""
        super().__init__()
        self._make: Callable[[K], V] = make
        self._most = most
        self._longest = longest

    def __missing__(self, key: K) -> V:
        made = self._make(key)
        if len(key) <= self._longest:
            if len(self) >= self._most:
                self.clear()
            self[key] = made
        return made
