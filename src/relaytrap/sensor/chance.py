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
        self._keyed = hashlib.blake2b(key=key)
        self._max = kept_max
        self._begun: OrderedDict[int, float] = OrderedDict()
        """When each request was first seen, by a digest that need not be safe: everything is drawn from the octets."""

    def __len__(self) -> int:
        return len(self._begun)

    def of(self, data: bytes, flow: Flow, now: float) -> "Chance":
        """The chance of one request; nothing is worked out before something is drawn."""
        return Chance(self, data, flow, now)

    def octets(self, data: bytes, flow: Flow, now: float) -> bytes:
        """A request's first 64. The oldest request is forgotten when there are too many."""
        source, port = flow.source, flow.source_port
        request = hash((data, source, port))
        begun = self._begun.get(request)
        if begun is None or now - begun > REPEATS_FOR_S:
            if begun is not None:
                del self._begun[request]
            elif len(self._begun) >= self._max:
                self._begun.popitem(last=False)
            self._begun[request] = begun = now
        # The datagram last: before anything else, its end would be the sender's to choose, and with it whose place
        # seems to follow.
        return self.behind(b"%b %d %d %b" % (source.encode(), port, begun * 1000, data))

    def behind(self, octets: bytes) -> bytes:
        """The 64 that follow these."""
        drawn = self._keyed.copy()  # a key is a block of its own to digest
        drawn.update(octets)
        return drawn.digest()


class Chance:
    """Octets for one request, drawn in order. Calling it gives the next so many."""

    __slots__ = ("_asked", "_at", "_chances", "_pool")

    def __init__(self, chances: Chances, data: bytes, flow: Flow, now: float) -> None:
        self._chances = chances
        self._asked = data, flow, now
        self._pool = b""
        self._at = 0

    def __call__(self, octets: int) -> bytes:
        """The next so many octets."""
        while len(self._pool) < self._at + octets:
            pool = self._pool
            self._pool += self._chances.behind(pool) if pool else self._chances.octets(*self._asked)
        drawn = self._pool[self._at : self._at + octets]
        self._at += octets
        return drawn
