"""What one connection carries, told by its first octets: SIP, a WebSocket, TLS with either inside.

    octets ─▶ Opening ─┬▶ SipLayer                       tcp, tls
                       ├▶ web.HttpLayer ─▶ WebSocket     ws, wss
                       └▶ tls.TlsLayer ─▶ Opening ─▶ …

Each layer takes octets in and gives pieces out; what it has to say itself (handshakes, pongs) waits in `take_out`, and
`wrap` puts an answer as the wire wants it. Every octet of a peer ends up in some piece: as a SIP message for the
engine, or as something to be recorded. No socket, no clock: the connection in tcp.py has both.
"""

import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, Protocol

from relaytrap.capture.client_hello import begins_tls
from relaytrap.observation import Transport
from relaytrap.sip.stream import Framed, StreamParser

__all__ = ["Layer", "Opening", "Piece", "SipLayer"]

MESSAGE_MAX_BYTES: Final = 1 << 16
FIRST_LINE_MAX: Final = 8192
HTTP_LINE: Final = re.compile(rb"[A-Z]{1,20} [^\r\n]* HTTP/1\.[0-9][ \t]*\r?\n")
PONG: Final = b"\r\n"
UNFRAMED: Final = frozenset({"no Content-Length", "Content-Length unusable"})
SILENT: Final = "connection that said nothing"


class Piece(NamedTuple):
    """Something that came in, or (kind "said") that a layer said of its own accord.

    kind: "message" goes to the engine, the others are only recorded.
    """

    raw: bytes
    transport: Transport
    kind: Literal["message", "other", "said"] = "other"
    notes: tuple[str, ...] = ()


class Layer(Protocol):
    """One protocol's share of a connection."""

    @property
    def held(self) -> int:
        """Octets that wait for more."""

    @property
    def is_over(self) -> bool:
        """Whether the connection is to be ended, once `take_out` is written."""

    def receive(self, data: bytes) -> list[Piece]:
        """What these octets complete."""

    def take_out(self) -> bytes:
        """Octets that the layer itself has to send."""

    def wrap(self, data: bytes) -> bytes:
        """An answer as octets for the wire."""

    def close(self) -> list[Piece]:
        """The connection has ended: what is left of unfinished things."""


class SipLayer:
    """SIP framed by Content-Length.

    answers_ping: CRLF CRLF gets a CRLF (RFC 5626 section 3.5.1). is_strict: what cannot be framed ends the connection.
    """

    def __init__(self, transport: Transport, *, answers_ping: bool, is_strict: bool = False) -> None:
        self.is_over = False
        self._transport = transport
        self._answers_ping = answers_ping
        self._is_strict = is_strict
        self._parser = StreamParser(MESSAGE_MAX_BYTES)
        self._out = b""

    @property
    def held(self) -> int:
        return self._parser.pending

    def receive(self, data: bytes) -> list[Piece]:
        pieces = []
        for frame in self._parser.receive(data):
            self.is_over = self.is_over or (self._is_strict and (frame.kind == "junk" or frame.note in UNFRAMED))
            piece = self._piece(frame)
            pieces.append(piece._replace(kind="other") if self.is_over else piece)
            if frame.note == "ping" and self._answers_ping:
                self._out += PONG
                pieces.append(Piece(PONG, self._transport, "said"))
        return pieces

    def take_out(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def wrap(self, data: bytes) -> bytes:
        return data

    def close(self) -> list[Piece]:
        return [self._piece(frame)._replace(kind="other") for frame in self._parser.close()]

    def _piece(self, frame: Framed) -> Piece:
        if frame.kind == "message":
            return Piece(frame.raw, self._transport, "message", (frame.note,) if frame.note else ())
        said = "keepalive" if frame.kind == "keepalive" else "no SIP message"
        note = "" if frame.note == "ping" else frame.note
        return Piece(frame.raw, self._transport, "other", (note, said) if note else (said,))


class Opening:
    """The first octets, until they tell what they begin; then whatever that is.

    layers: makes the layers for SIP, HTTP and (None inside TLS) TLS.
    """

    def __init__(
        self,
        transport: Transport,
        sip: Callable[[], Layer],
        http: Callable[[], Layer],
        tls: Callable[[], Layer] | None = None,
    ) -> None:
        self._transport = transport
        self._sip = sip
        self._http = http
        self._tls = tls
        self._buffer = b""
        self._inner: Layer | None = None

    @property
    def held(self) -> int:
        return self._inner.held if self._inner else len(self._buffer)

    @property
    def is_over(self) -> bool:
        return self._inner.is_over if self._inner else False

    def receive(self, data: bytes) -> list[Piece]:
        if self._inner:
            return self._inner.receive(data)
        data = self._buffer = self._buffer + data
        make = self._told(data)
        if make is None:
            return []
        return self._enter(make)

    def take_out(self) -> bytes:
        return self._inner.take_out() if self._inner else b""

    def wrap(self, data: bytes) -> bytes:
        return self._inner.wrap(data) if self._inner else data

    def close(self) -> list[Piece]:
        if self._inner:
            return self._inner.close()
        if not self._buffer:
            return [Piece(b"", self._transport, "other", (SILENT,))]
        return self._enter(self._sip) + self.close()

    def _enter(self, make: Callable[[], Layer]) -> list[Piece]:
        data, self._buffer = self._buffer, b""
        self._inner = make()
        return self._inner.receive(data)

    def _told(self, data: bytes) -> Callable[[], Layer] | None:
        """The layer that these octets ask for; None while they may still be one or the other."""
        if self._tls and begins_tls(data):
            return self._tls
        if data[:1] == b"\x16" and self._tls and len(data) < 2:
            return None
        if not data[:1].isupper():  # a keep-alive, junk, or a method that is no HTTP
            return self._sip
        line_end = data.find(b"\n") + 1
        if not line_end and len(data) < FIRST_LINE_MAX:
            return None
        return self._http if HTTP_LINE.fullmatch(data, 0, line_end) else self._sip
