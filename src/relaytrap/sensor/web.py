"""HTTP on a sensor's port: answered as the persona's product does; SIP inside a WebSocket (RFC 6455, RFC 7118).

One request a connection: it gets a WebSocket when it asks for one that speaks SIP, else the persona's page; that only
on a port where the operator expects HTTP, since a product's SIP port has none. Whatever was sent is recorded octet by
octet, also what is no HTTP. Framing is h11's and wsproto's.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

import h11
from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from relaytrap.observation import Transport
from relaytrap.sensor.carrier import PONG, Piece
from relaytrap.sensor.persona import Http

__all__ = ["HttpLayer", "WebSocketLayer"]

REQUEST_MAX_BYTES: Final = 1 << 16
MESSAGE_MAX_BYTES: Final = 1 << 16
WEBSOCKET: Final[dict[Transport, Transport]] = {"tcp": "ws", "tls": "wss"}
ACCEPT_SALT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""


class HttpLayer:
    """One HTTP request, and the WebSocket that it may open.

    has_page: whether a request for anything else is answered. date: gives the Date header's value. answers_ping: as in
    carrier.SipLayer.
    """

    def __init__(
        self, transport: Transport, persona: Http, date: Callable[[], bytes], *, has_page: bool, answers_ping: bool
    ) -> None:
        self.is_over = False
        self._transport = transport
        self._persona = persona
        self._has_page = has_page
        self._date = date
        self._answers_ping = answers_ping
        self._reader = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_MAX_BYTES)
        self._raw = b""
        self._out = b""
        self._request: h11.Request | None = None
        self._websocket: WebSocketLayer | None = None

    @property
    def held(self) -> int:
        return self._websocket.held if self._websocket else len(self._raw)

    def receive(self, data: bytes) -> list[Piece]:
        if self._websocket:
            return self._inside(self._websocket.receive(data))
        if self.is_over:
            return [Piece(data, self._transport, "other", ("behind an HTTP request",))]
        if not data:  # to h11 that would be the end of the stream
            return []
        self._raw += data
        try:
            self._reader.receive_data(data)
            return self._read()
        except h11.RemoteProtocolError:
            return self._answer("400 Bad Request", "HTTP request that cannot be read")

    def take_out(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def wrap(self, data: bytes) -> bytes:
        return self._websocket.wrap(data) if self._websocket else data

    def close(self) -> list[Piece]:
        if self._websocket:
            return self._websocket.close()
        return [Piece(self._raw, self._transport, "other", ("HTTP request", "cut"))] if self._raw else []

    def _read(self) -> list[Piece]:
        while True:
            event = self._reader.next_event()
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.EndOfMessage):
                return self._finish()
            elif not isinstance(event, h11.Data):
                too_much = len(self._raw) > REQUEST_MAX_BYTES
                return self._answer("413 Payload Too Large", "HTTP request", "cut") if too_much else []

    def _finish(self) -> list[Piece]:
        """A whole request: open the WebSocket, or give the page."""
        rest = self._reader.trailing_data[0]
        if rest:
            self._raw = self._raw[: -len(rest)]
        key = self._websocket_key()
        if key is None:
            pieces = self._answer(self._persona.status, "HTTP request")
            return [*pieces, *self.receive(rest)] if rest else pieces
        pieces = [Piece(self._raw, self._transport, "other", ("WebSocket handshake",)), self._say(_upgraded(key))]
        self._raw = b""
        self._websocket = WebSocketLayer(WEBSOCKET[self._transport], answers_ping=self._answers_ping)
        return pieces + (self._inside(self._websocket.receive(rest)) if rest else [])

    def _inside(self, pieces: list[Piece]) -> list[Piece]:
        assert self._websocket
        self._out += self._websocket.take_out()
        self.is_over = self._websocket.is_over
        return pieces

    def _websocket_key(self) -> bytes | None:
        """The key of a handshake for SIP in a WebSocket (RFC 7118 section 4.1); None when that is not asked for."""
        if self._request is None or not self._persona.websocket:
            return None
        values = dict(self._request.headers)
        protocols = [each.strip().lower() for each in values.get(b"sec-websocket-protocol", b"").split(b",")]
        if values.get(b"upgrade", b"").lower() != b"websocket" or b"sip" not in protocols:
            return None
        return values.get(b"sec-websocket-key")

    def _answer(self, status: str, *notes: str) -> list[Piece]:
        """The persona's page under this status, or nothing; then the connection ends."""
        self.is_over = True
        raw, self._raw = self._raw, b""
        taken = Piece(raw, self._transport, "other", notes)
        if not self._has_page:
            return [taken]
        body = self._persona.body.encode() if status == self._persona.status else b""
        lines = [f"HTTP/1.1 {status}".encode()]
        for name, value in self._persona.headers.items():
            lines.append(f"{name}: ".encode() + value.encode().replace(b"{date}", self._date()))
        lines += [b"Content-Length: %d" % len(body), b"", body]
        return [taken, self._say(b"\r\n".join(lines))]

    def _say(self, data: bytes) -> Piece:
        self._out += data
        return Piece(data, self._transport, "said")


def _upgraded(key: bytes) -> bytes:
    accept = base64.b64encode(hashlib.sha1(key + ACCEPT_SALT, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n"
        b"Sec-WebSocket-Protocol: sip\r\n\r\n" % accept
    )


class WebSocketLayer:
    """Messages out of frames and into them; one SIP message in each (RFC 7118 section 5)."""

    def __init__(self, transport: Transport, *, answers_ping: bool) -> None:
        self.is_over = False
        self._transport = transport
        self._answers_ping = answers_ping
        self._frames = Connection(ConnectionType.SERVER)
        self._raw = b""
        self._message = b""
        self._out = b""

    @property
    def held(self) -> int:
        return len(self._raw) + len(self._message)

    def receive(self, data: bytes) -> list[Piece]:
        if self.is_over:
            return [Piece(data, self._transport, "other", ("behind the WebSocket's end",))]
        self._raw += data
        pieces: list[Piece] = []
        try:
            self._frames.receive_data(data)
            for event in self._frames.events():
                pieces += self._take(event)
        except (RemoteProtocolError, LocalProtocolError):
            pieces.append(self._give_up("broken WebSocket frame"))
        if not self.is_over and len(self._raw) > MESSAGE_MAX_BYTES:
            pieces.append(self._give_up("WebSocket message too long"))
        return pieces

    def take_out(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def wrap(self, data: bytes) -> bytes:
        return b"" if self.is_over else self._frames.send(BytesMessage(data) if _is_binary(data) else _text(data))

    def close(self) -> list[Piece]:
        rest, self._raw, self._message = self._raw, b"", b""
        return [Piece(rest, self._transport, "other", ("cut",))] if rest else []

    def _take(self, event: Event) -> list[Piece]:
        if isinstance(event, Message):
            data = event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
            self._message += data
            if event.message_finished:
                return self._whole()
            return []
        if isinstance(event, CloseConnection) and self._frames.state is ConnectionState.OPEN:
            # Not the peer's: wsproto's own way to tell that a frame cannot be read.
            self._out += self._frames.send(event)
            return [self._give_up("broken WebSocket frame")]
        self._raw = b""
        if isinstance(event, Ping):
            self._out += self._frames.send(event.response())
            return [Piece(bytes(event.payload), self._transport, "other", ("WebSocket ping",))]
        if isinstance(event, CloseConnection):
            self.is_over = True
            self._out += self._frames.send(event.response())
            reason = (event.reason or "").encode()
            return [Piece(reason, self._transport, "other", (f"WebSocket close {int(event.code)}",))]
        return []

    def _whole(self) -> list[Piece]:
        message, self._message, self._raw = self._message, b"", b""
        if message.strip(b"\r\n\x00"):
            return [Piece(message, self._transport, "message")]
        pieces = [Piece(message, self._transport, "other", ("keepalive",))]
        if self._answers_ping and b"\r\n\r\n" in message:
            self._out += self.wrap(PONG)
            pieces.append(Piece(PONG, self._transport, "said"))
        return pieces

    def _give_up(self, note: str) -> Piece:
        """The octets as they came, frame headers and masks with them."""
        self.is_over = True
        raw, self._raw, self._message = self._raw, b"", b""
        return Piece(raw, self._transport, "other", (note,))


def _is_binary(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _text(data: bytes) -> TextMessage:
    return TextMessage(data.decode("utf-8"))
