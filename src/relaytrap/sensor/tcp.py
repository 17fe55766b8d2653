"""Connections: read, recorded, answered; and none of them can hold the sensor up. What they carry is carrier.py's.

Bounded in number (the longest idle goes first), in idle time, in how long one message may take to arrive (slow
loris), in octets held back for unfinished messages, in octets that the peer does not fetch.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final, Literal, TypeAlias, cast

from relaytrap import clock
from relaytrap.sensor.carrier import Layer, Opening, Piece, SipLayer
from relaytrap.sensor.flow import Flow
from relaytrap.sensor.listen import canonical
from relaytrap.sensor.outlet import Answer
from relaytrap.sensor.reply import date_text, in_uri
from relaytrap.sensor.station import Station
from relaytrap.sensor.tls import TlsLayer, TlsTerms
from relaytrap.sensor.web import HttpLayer

__all__ = ["Connections", "TcpConnection"]

log = logging.getLogger(__name__)

PENDING_MAX_BYTES: Final = 16 << 20
"""Held for unfinished messages of all connections together."""
UNFETCHED_MAX_BYTES: Final = 1 << 18
"""Held for one peer that does not read."""
UNFETCHED_TOTAL_BYTES: Final = 16 << 20
"""Held for all of them."""

Ends: TypeAlias = tuple[str, int, str, int]


class Connections:
    """The open connections of one sensor, least recently heard first.

    tls: None: TLS is not spoken. web_ports: where HTTP gets a page. on_received: called after each take-in.
    """

    def __init__(
        self,
        station: Station,
        *,
        connections_max: int,
        idle_s: float,
        tls: TlsTerms | None,
        web_ports: Collection[int],
        on_received: Callable[[], None],
    ) -> None:
        self.station = station
        self.on_received = on_received
        self._max = connections_max
        self._idle_s = idle_s
        self._tls = tls
        self._web_ports = web_ports
        self._open: OrderedDict[Ends, TcpConnection] = OrderedDict()
        self._pending = 0

    def __len__(self) -> int:
        return len(self._open)

    def make(self) -> "TcpConnection":
        """For the loop's create_server."""
        return TcpConnection(self)

    def send(self, answer: Answer) -> None:
        """Send an answer that a timer made due, if its connection still stands."""
        connection = self._open.get(answer.flow[1:])
        if connection is not None:
            connection.send(answer)

    def sweep(self, now: float) -> None:
        """Close what was silent too long, and what takes too long over one message. Call it every second."""
        if self._tls is not None:
            self._tls.refill()
        unfetched = {connection: size for connection in self._open.values() if (size := connection.unfetched)}
        total = sum(unfetched.values())
        for connection in sorted(unfetched, key=lambda each: unfetched[each], reverse=True):
            if total <= UNFETCHED_TOTAL_BYTES:
                break
            total -= unfetched[connection]
            connection.close("unfetched")
        for connection in list(self._open.values()):
            if connection.is_over:
                connection.close("room")
            elif now - connection.heard_at > self._idle_s:
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
        self._open[connection.flow[1:]] = connection

    def heard(self, connection: "TcpConnection", held: int) -> None:
        """Octets came in; `held` is how many more of this connection now wait for their message's end."""
        self._open.move_to_end(connection.flow[1:])
        self._pending += held
        if self._pending > PENDING_MAX_BYTES:
            max(self._open.values(), key=lambda each: each.pending).close("memory")

    def gone(self, connection: "TcpConnection") -> None:
        """A connection ended."""
        self._pending -= connection.pending
        if self._open.get(connection.flow[1:]) is connection:
            del self._open[connection.flow[1:]]

    def layers(self, flow: Flow) -> Layer:
        """What a new connection is read with."""
        tls = self._tls
        return self._opening("tcp", flow, (lambda: TlsLayer(tls, lambda: self._opening("tls", flow))) if tls else None)

    def _opening(self, transport: Literal["tcp", "tls"], flow: Flow, tls: Callable[[], Layer] | None = None) -> Layer:
        persona = self.station.engine.persona
        pings, is_strict = persona.wire.tcp_keepalive, persona.wire.tcp_strict
        has_page = flow.local_port in self._web_ports

        def http() -> Layer:
            peer = b"%b:%d" % (in_uri(flow.source), flow.source_port)
            return HttpLayer(transport, persona.http, peer, _date, has_page=has_page, answers_ping=pings)

        return Opening(transport, lambda: SipLayer(transport, answers_ping=pings, is_strict=is_strict), http, tls)


class TcpConnection(asyncio.Protocol):
    """One connection. pending: octets of an unfinished message, which came from began_at on."""

    def __init__(self, table: Connections) -> None:
        self._table = table
        self._station = table.station
        self._transport: asyncio.Transport | None = None
        self._is_over = False
        self.flow = Flow("tcp", "", 0, "", 0)
        self._layers = table.layers(self.flow)
        self.pending = 0
        self.heard_at = self.began_at = clock.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to read here, though nobody has ended it yet."""
        return self._layers.is_over

    @property
    def unfetched(self) -> int:
        """Octets written that the peer has not read."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place in the table."""
        # uvloop's transports are not asyncio's by inheritance, only by what they do.
        transport = cast(asyncio.Transport, transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer is None or own is None:  # gone before we looked
            transport.abort()
            return
        self._transport = transport
        self.flow = Flow("tcp", canonical(peer[0]), peer[1], canonical(own[0]), own[1])
        self._layers = self._table.layers(self.flow)
        self._station.counts["connections"] += 1
        self._table.opened(self)

    def data_received(self, data: bytes) -> None:
        """Read, record, answer."""
        if self._transport is None or self._is_over:
            return
        self.heard_at = clock.monotonic()
        if not self.pending:
            self.began_at = self.heard_at
        try:
            pieces = self._layers.receive(data)
        except Exception:
            # The edge of one peer's octets: a fault of ours costs one connection, and the octets are recorded.
            log.exception("a fault on one connection: source=%s size=%d", self.flow.source, len(data))
            self._station.counts["faults"] += 1
            self._record(Piece(data, "tcp", "other", ("not read",)))
            self.close("fault")
            return
        if pieces:
            self.began_at = self.heard_at
        if said := self._layers.take_out():
            self._write(said)
        for piece in pieces:
            self._take(piece)
        self._count_pending()
        if self._layers.is_over and not self._is_over:
            self._transport.close()
            self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Record what was left of an unfinished message, and leave the table."""
        if self._transport is None or self._is_over:
            return
        self._is_over = True
        self._table.gone(self)
        for piece in self._layers.close():
            self._record(piece)

    def send(self, answer: Answer) -> None:
        """Write an answer, unless what carries it has ended."""
        data = self._layers.wrap(answer.data)
        if data and self._write(data):
            self._station.sent(answer)

    def close(self, why: str) -> None:
        """End it from our side; what came so far is recorded."""
        self._station.counts[f"closed-{why}"] += 1
        if self._transport is not None:
            self._transport.abort()
        # At once, so that whoever made room by this has it.
        self.connection_lost(None)

    def _write(self, data: bytes) -> bool:
        """Whether these octets are on their way; a peer that fetches nothing is let go."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self.unfetched > UNFETCHED_MAX_BYTES:
            self.close("unfetched")
            return False
        self._transport.write(data)
        return True

    def _count_pending(self) -> None:
        if self._is_over:  # let go while answering
            return
        held = self._layers.held - self.pending
        self.pending += held
        self._table.heard(self, held)
        self._table.on_received()

    def _take(self, piece: Piece) -> None:
        if piece.kind == "message":
            for answer in self._station.take_in(piece.raw, self._flow_of(piece), *piece.notes):
                self.send(answer)
        elif piece.kind == "said" and not self._is_over:
            self._station.sent(Answer(piece.raw, self._flow_of(piece)))
        elif piece.kind == "other":
            self._record(piece)

    def _record(self, piece: Piece) -> None:
        self._station.record(piece.raw, self._flow_of(piece), clock.now_ns(), clock.monotonic(), *piece.notes)

    def _flow_of(self, piece: Piece) -> Flow:
        return self.flow if piece.transport == "tcp" else self.flow._replace(transport=piece.transport)


def _date() -> bytes:
    return date_text(clock.now_ns() // 1_000_000_000)
