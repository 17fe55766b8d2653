"""What a guard remembers of endless traffic: so much and no more, the oldest forgotten first, and how far back it goes.

Keys are chosen by whoever sends. They are kept as `hash` gives them: 64 bits, with a secret that differs with every
start, so that nobody can aim at a key of another's.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

__all__ = ["Recent", "key_of"]

V = TypeVar("V")
KEPT: Final = 1 << 17


def key_of(*parts: Hashable) -> int:
    """A short key of parts of any length."""
    return hash(parts)


class Recent(Generic[V]):
    """Values by key, those touched longest ago forgotten first.

    keep_ns: what nobody touched for so long is forgotten, too, when something else is put; 0: never.
    since_ns: nothing that was touched after this is missing; 0 until something is forgotten.
    """

    def __init__(self, most: int = KEPT, *, keep_ns: int = 0) -> None:
        self.since_ns = 0
        self._keep_ns = keep_ns
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[int, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable) -> V | None:
        """What is remembered under a key, without touching it."""
        found = self._kept.get(key)
        return None if found is None else found[1]

    def put(self, key: Hashable, value: V, now_ns: int) -> None:
        """Remember, or touch what is remembered."""
        self._kept[key] = now_ns, value
        self._kept.move_to_end(key)
        while len(self._kept) > self._most or self._is_stale(now_ns):
            _, (touched_ns, _) = self._kept.popitem(last=False)
            self.since_ns = max(self.since_ns, touched_ns)

    def _is_stale(self, now_ns: int) -> bool:
        """Whether the one touched longest ago is too old."""
        touched_ns, _ = next(iter(self._kept.values()))
        return 0 < self._keep_ns < now_ns - touched_ns
