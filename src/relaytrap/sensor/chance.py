"""Chance that is the same for the same datagram: what lets a server without memory repeat itself word for word.

A stateless server has to give a retransmission the To tag that it gave the original (RFC 3261 8.2.7). So an answer's
tags and nonces are drawn from a hash of the request under a key that only this process knows: nobody else can
guess them, two requests never share them, and the same octets from the same place draw the same ones again.
"""

import hashlib

from relaytrap.sensor.flow import Flow

__all__ = ["Chance"]


class Chance:
    """Octets for one request, drawn in order. Calling it gives the next so many."""

    __slots__ = ("_at", "_data", "_flow", "_key", "_pool")

    def __init__(self, key: bytes, data: bytes, flow: Flow) -> None:
        self._key = key
        self._data = data
        self._flow = flow
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
        flow = self._flow
        # The datagram last: before anything else, its end would be the sender's to choose, and with it whose place
        # seems to follow.
        drawn_from = b"%b %d %d %b" % (flow.source.encode(), flow.source_port, len(self._pool), self._data)
        self._pool += hashlib.blake2b(drawn_from, key=self._key).digest()
