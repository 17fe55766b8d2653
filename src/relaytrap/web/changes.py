"""Since when what is served has been as it is: what `Last-Modified` says where no file has a date."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from relaytrap.clock import NS_PER_S, now_ns

__all__ = ["Changes"]

REMEMBERED: Final = 256


class Changes:
    """What was served lately, and when it began to be so. Thread-safe."""

    def __init__(self, now_ns: Callable[[], int] = now_ns, *, at_most: int = REMEMBERED) -> None:
        self._now_ns, self._at_most = now_ns, at_most
        self._known: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._guard = threading.Lock()

    def since_s(self, what: str, tag: str) -> int:
        """When something was first served with this tag, in seconds since the epoch."""
        with self._guard:
            before, since_s = self._known.pop(what, ("", 0))
            if before != tag:
                since_s = self._now_ns() // NS_PER_S
            self._known[what] = (tag, since_s)
            while len(self._known) > self._at_most:
                self._known.popitem(last=False)
            return since_s
