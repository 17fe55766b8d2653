"""Connections: framed, recorded, answered; and none of them can hold the sensor up.

Bounded in number (the longest idle goes first), in idle time, in how long one message may take to arrive (slow
loris), in octets held back for unfinished messages, in octets that the peer does not fetch.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, cast

from relaytrap import clock
from relaytrap.observation import Transport
from relaytrap.sensor.flow import Flow
from relaytrap.sensor.listen import canonical
from relaytrap.sensor.outlet import Answer
from relaytrap.sensor.station import Station
from relaytrap.sip.stream import Framed, StreamParser

__all__ = ["Connections", "TcpConnection"]

log = logging.getLogger(__name__)

MESSAGE_MAX_BYTES: Final = 1 << 16
PENDING_MAX_BYTES: Final = 16 << 20
"""Held for unfinished messages of all connections together."""
UNFETCHED_MAX_BYTES: Final = 1 << 18
PONG: Final = b"\r\n"


class Connections:
    """The open connections of one sensor, least recently heard first. on_received: called after each take-in."""

    def __init__(
        self, station: Station, *, connections_max: int, idle_s: float, on_received: Callable[[], None] = lambda: None
    ) -> None:
        self.station = station
        self.on_received = on_received
        self._max = connections_max
        self._idle_s = idle_s
        self._open: OrderedDict[Flow, TcpConnection] = OrderedDict()
        self._pending = 0

    def __len__(self) -> int:
        return len(self._open)

    def make(self) -> "TcpConnection":
        """For the loop's create_server."""
        return TcpConnection(self)

    def send(self, answer: Answer) -> None:
        """Send an answer that a timer made due, if its connection still stands."""
        connection = self._open.get(answer.flow)
        if connection is not None:
            connection.send(answer)

    def sweep(self, now: float) -> None:
        """Close what was silent too long, and what takes too long over one message."""
        for connection in list(self._open.values()):
            if now - connection.heard_at > self._idle_s:
                connection.close("idle")
            elif connection.pending and now - connection.began_at > self._idle_s:
                connection.close("slow")

    def close(self) -> None:
        """Close all."""
        for connection in list(self._open.values()):
            connection.close("stopping")

    def opened(self, connection: "TcpConnection") -> None:
        """A connection was made; the longest idle one makes room for it."""
        if len(self._open) >= self._max:
            next(iter(self._open.values())).close("room")
        self._open[connection.flow] = connection

    def heard(self, connection: "TcpConnection", held: int) -> None:
        """Octets came in; `held` is how many more of this connection now wait for their message's end."""
        self._open.move_to_end(connection.flow)
        self._pending += held
        if self._pending > PENDING_MAX_BYTES:
            max(self._open.values(), key=lambda each: each.pending).close("memory")

    def gone(self, connection: "TcpConnection") -> None:
        """A connection ended."""
        self._pending -= connection.pending
        if self._open.get(connection.flow) is connection:
            del self._open[connection.flow]


class TcpConnection(asyncio.Protocol):
    """One connection. pending: octets of an unfinished message, which came from began_at on."""

    transport_name: Transport = "tcp"

    def __init__(self, table: Connections) -> None:
        self._table = table
        self._station = table.station
        self._parser = StreamParser(MESSAGE_MAX_BYTES)
        self._transport: asyncio.Transport | None = None
        self._is_over = False
        self._answers_keepalive = table.station.engine.persona.wire.tcp_keepalive
        self.flow = Flow(self.transport_name, "", 0, "", 0)
        self.pending = 0
        self.heard_at = self.began_at = clock.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place in the table."""
        # uvloop's transports are not asyncio's by inheritance, only by what they do.
        transport = cast(asyncio.Transport, transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer is None or own is None:  # gone before we looked
            transport.abort()
            return
        self._transport = transport
        self.flow = Flow(self.transport_name, canonical(peer[0]), peer[1], canonical(own[0]), own[1])
        self._station.counts["connections"] += 1
        self._table.opened(self)

    def data_received(self, data: bytes) -> None:
        """Frame, record, answer."""
        if self._transport is None or self._is_over:
            return
        self.heard_at = clock.monotonic()
        if not self.pending:
            self.began_at = self.heard_at
        frames = self._parser.receive(data)
        if frames:
            self.began_at = self.heard_at
        for frame in frames:
            self._take(frame)
        self._count_pending()

    def _count_pending(self) -> None:
        if self._is_over:  # let go while answering
            return
        held = self._parser.pending - self.pending
        self.pending += held
        self._table.heard(self, held)
        self._table.on_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record what was left of an unfinished message, and leave the table."""
        if self._transport is None or self._is_over:
            return
        self._is_over = True
        for frame in self._parser.close():
            self._record(frame)
        self._table.gone(self)

    def send(self, answer: Answer) -> None:
        """Write an answer; a peer that fetches nothing is let go."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNFETCHED_MAX_BYTES:
            self.close("unfetched")
            return
        self._transport.write(answer.data)
        self._station.sent(answer)

    def close(self, why: str) -> None:
        """End it from our side; what came so far is recorded when the loop reports the end."""
        self._station.counts[f"closed-{why}"] += 1
        if self._transport is not None:
            self._transport.abort()
        # At once, so that whoever made room by this has it.
        self.connection_lost(None)

    def _take(self, frame: Framed) -> None:
        if frame.kind != "message":
            self._record(frame)
            if frame.note == "ping" and self._answers_keepalive:
                self.send(Answer(PONG, self.flow))
            return
        notes = (frame.note,) if frame.note else ()
        for answer in self._station.take_in(frame.raw, self.flow, *notes):
            self.send(answer)

    def _record(self, frame: Framed) -> None:
        notes = [note for note in (frame.note if frame.note != "ping" else "", _named(frame)) if note]
        self._station.record(frame.raw, self.flow, clock.now_ns(), clock.monotonic(), *notes)


def _named(frame: Framed) -> str:
    return {"keepalive": "keepalive", "junk": "no SIP message"}.get(frame.kind, "")
