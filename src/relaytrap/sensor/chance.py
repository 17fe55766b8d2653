"""Chance that is the same for the same datagram, for a while: what lets a server without transactions repeat itself.

A stateless server has to give a retransmission the To tag that it gave the original (RFC 3261 8.2.7). So an answer's
tags and nonces are drawn from a hash of the request under a key that only this process knows: nobody else can
guess them, two requests never share them, and the same octets from the same place draw the same ones again. Once a
transaction's life is over they draw others, as from any server that has forgotten it: who asks the same again an hour
later would else know us by the answer, and could still prove an address that is somebody else's by now.
"""

import hashlib
from collections import OrderedDict
from typing import Final

from relaytrap.sensor.flow import Flow

__all__ = ["REPEATS_FOR_S", "Chance", "Chances"]

REPEATS_FOR_S: Final = 32.0
"""64*T1, RFC 3261 17.2.2."""
KEPT_MAX: Final = 8192


class Chances:
    """The chance of every request. key: what nobody else knows."""

    def __init__(self, key: bytes, kept_max: int = KEPT_MAX) -> None:
        self._key = key
        self._max = kept_max
        self._begun: OrderedDict[bytes, tuple[float, int]] = (
            OrderedDict()
        )  # by request: when it was first seen, and its number
        self._count = 0

    def __len__(self) -> int:
        return len(self._begun)

    def of(self, data: bytes, flow: Flow, now: float) -> "Chance":
        """The chance of one request; nothing is worked out before something is drawn."""
        return Chance(self, data, flow, now)

    def seed(self, data: bytes, flow: Flow, now: float) -> bytes:
        """What a request's octets are drawn from. The oldest request is forgotten when there are too many."""
        # The datagram last: before anything else, its end would be the sender's to choose, and with it whose place
        # seems to follow.
        asked = b"%b %d %b" % (flow.source.encode(), flow.source_port, data)
        request = hashlib.blake2b(asked, key=self._key, digest_size=32).digest()
        begun, number = self._begun.get(request, (0.0, 0))
        if not number or now - begun > REPEATS_FOR_S:
            self._count = number = self._count + 1
            self._begun.pop(request, None)
            if len(self._begun) >= self._max:
                self._begun.popitem(last=False)
            self._begun[request] = now, number
        return request + number.to_bytes(8, "big")


class Chance:
    """Octets for one request, drawn in order. Calling it gives the next so many."""

    __slots__ = ("_asked", "_at", "_chances", "_pool", "_seed")

    def __init__(self, chances: Chances, data: bytes, flow: Flow, now: float) -> None:
        self._chances = chances
        self._asked = data, flow, now
        self._seed = b""
        self._pool = b""
        self._at = 0

    def __call__(self, octets: int) -> bytes:
        end = self._at + octets
        while end > len(self._pool):
            self._grow()
        drawn = self._pool[self._at : end]
        self._at = end
        return drawn

    def _grow(self) -> None:
        if not self._seed:
            self._seed = self._chances.seed(*self._asked)
        self._pool += hashlib.blake2b(b"%d" % len(self._pool), key=self._seed).digest()
