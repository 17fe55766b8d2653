"""What a sensor says of itself every few seconds, so that its hub can tell what is wrong before anybody asks.

`run` and `beat` name this process and count its words: a second machine with the same token, or a copy restored from a
snapshot, cannot go on where another one is.
"""

import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from relaytrap import clock
from relaytrap.observation import FORMAT_VERSION

__all__ = ["Heartbeat"]

PACE_S: Final = 60.0
STEP_NS: Final = 2_000_000_000
"""Slewing and a busy machine stay below; somebody who sets the clock does not."""


class Heartbeat:
    """Makes the body of one heartbeat after the other; for one thread.

    status: what there is to tell; `messages.received` in it is a counter. trust: how the hub is recognised.
    """

    def __init__(self, status: Callable[[], Mapping[str, Any]], trust: str) -> None:
        self._status = status
        self._trust = trust
        self._run = secrets.token_hex(8)
        self._beat = 0
        self._counts: deque[tuple[float, int]] = deque()
        self._offset_ns: int | None = None
        self._steps = 0
        self._last_step_s = 0

    def body(self, now_ns: int, now: float) -> bytes:
        """The next heartbeat as JSON."""
        self._beat += 1
        self._look_at_clock(now_ns, now)
        status = dict(self._status())
        told = {
            **status,
            "run": self._run,
            "beat": self._beat,
            "format": FORMAT_VERSION,
            "hub_trust": self._trust,
            "messages_a_minute": self._pace(int(status.get("messages", {}).get("received", 0)), now),
            "clock_steps": self._steps,
            "clock_last_step_s": self._last_step_s,
            "clock": clock.rfc3339(now_ns),
        }
        return json.dumps(told).encode()

    def _pace(self, received: int, now: float) -> int:
        """Messages received a minute, over the last minute or as long as we run."""
        counts = self._counts
        counts.append((now, received))
        while len(counts) > 2 and counts[1][0] <= now - PACE_S:
            counts.popleft()
        (then, before), seconds = counts[0], now - counts[0][0]
        return round((received - before) * 60 / seconds) if seconds > 0 and then < now else 0

    def _look_at_clock(self, now_ns: int, now: float) -> None:
        offset_ns = now_ns - int(now * 1e9)
        if self._offset_ns is not None and abs(offset_ns - self._offset_ns) >= STEP_NS:
            self._steps += 1
            self._last_step_s = (offset_ns - self._offset_ns) // 1_000_000_000
        self._offset_ns = offset_ns
