"""HTTP on a sensor's port: answered as the persona's product does; SIP inside a WebSocket (RFC 6455, RFC 7118).

One request a connection: it gets a WebSocket when it asks for one that speaks SIP, else the persona's page; that only
on a port where the operator expects HTTP, since a product's SIP port has none. Whatever was sent is recorded octet by
octet, also what is no HTTP. SIP behind such a request is recorded and not answered: the connection is over, as with
Kamailio (5.6), which closes one that begins with a GET. Framing is h11's and wsproto's.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

import h11
from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
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

    peer: address and port of who asks. has_page: whether a request for anything else is answered. date: gives the Date
    header's value. answers_ping: as in carrier.SipLayer.
    """

    def __init__(
        self,
        transport: Transport,
        persona: Http,
        peer: bytes,
        date: Callable[[], bytes],
        *,
        has_page: bool,
        answers_ping: bool,
    ) -> None:
        self.is_over = False
        self._transport = transport
        self._persona = persona
        self._peer = peer
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
        pieces = [Piece(self._raw, self._transport, "other", ("WebSocket handshake",)), self._upgrade(key)]
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
        if self._persona.path and self._request.target.partition(b"?")[0] != self._persona.path.encode():
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
        headers = [*self._headers(self._persona.headers), b"Content-Length: %d" % len(body)]
        return [taken, self._say(b"\r\n".join((f"HTTP/1.1 {status}".encode(), *headers, b"", body)))]

    def _upgrade(self, key: bytes) -> Piece:
        accept = base64.b64encode(hashlib.sha1(key + ACCEPT_SALT, usedforsecurity=False).digest())
        headers = self._headers(self._persona.upgraded, accept)
        return self._say(b"\r\n".join((b"HTTP/1.1 101 Switching Protocols", *headers, b"", b"")))

    def _headers(self, headers: dict[str, str], accept: bytes = b"") -> list[bytes]:
        """Header lines with their fields filled."""
        fields = {b"date": self._date(), b"transport": self._transport.upper().encode(), b"peer": self._peer}
        lines = []
        for name, value in headers.items():
            line = f"{name}: {value}".encode()
            for field, filling in (*fields.items(), (b"accept", accept)):
                line = line.replace(b"{%b}" % field, filling)
            lines.append(line)
        return lines

    def _say(self, data: bytes) -> Piece:
        self._out += data
        return Piece(data, self._transport, "said")


class WebSocketLayer:
    """Messages out of frames and into them; one SIP message in each (RFC 7118 section 5).

    wsproto gets whole frames, so that it is known which octets a message still needs: what is never finished is
    recorded as it came, frame headers and masks with it.
    """

    def __init__(self, transport: Transport, *, answers_ping: bool) -> None:
        self.is_over = False
        self._transport = transport
        self._answers_ping = answers_ping
        self._frames = Connection(ConnectionType.SERVER)
        self._begun = bytearray()  # the frames of an unfinished message, as they came
        self._message = bytearray()  # what they carry
        self._rest = b""  # of a frame that is not whole
        self._out = b""

    @property
    def held(self) -> int:
        return len(self._begun) + len(self._message) + len(self._rest)

    def receive(self, data: bytes) -> list[Piece]:
        if self.is_over:
            return [Piece(data, self._transport, "other", ("behind the WebSocket's end",))]
        data, self._rest, at = self._rest + data, b"", 0
        pieces: list[Piece] = []
        broken = False
        try:
            while self._frames.state is ConnectionState.OPEN and (end := _frame_end(data, at)) <= len(data):
                pieces += self._read(data[at:end])
                at = end
        except (RemoteProtocolError, LocalProtocolError):
            broken = True
        self._rest = data[at:]
        if broken:
            pieces += self._give_up("broken WebSocket frame")
        elif self._frames.state is not ConnectionState.OPEN:
            pieces += self._give_up("behind the WebSocket's end")
        elif len(self._begun) + len(self._rest) > MESSAGE_MAX_BYTES:
            pieces += self._give_up("WebSocket message too long")
        return pieces

    def take_out(self) -> bytes:
        out, self._out = self._out, b""
        return out

    def wrap(self, data: bytes) -> bytes:
        return b"" if self.is_over else self._frames.send(BytesMessage(data) if _is_binary(data) else _text(data))

    def close(self) -> list[Piece]:
        return self._give_up("cut")

    def _read(self, frame: bytes) -> list[Piece]:
        self._frames.receive_data(frame)
        return [piece for event in self._frames.events() for piece in self._take(event, frame)]

    def _take(self, event: Event, frame: bytes) -> list[Piece]:
        if isinstance(event, Message):
            self._message += event.data.encode() if isinstance(event, TextMessage) else event.data
            if event.message_finished:
                return self._whole()
            self._begun += frame
        elif isinstance(event, Ping):
            self._out += self._frames.send(event.response())
            return [Piece(bytes(event.payload), self._transport, "other", ("WebSocket ping",))]
        elif isinstance(event, Pong):  # nobody asked for it, and anybody may send one: RFC 6455 section 5.5.3
            return [Piece(bytes(event.payload), self._transport, "other", ("WebSocket pong",))]
        elif isinstance(event, CloseConnection):
            return self._end(event)
        return []

    def _end(self, event: CloseConnection) -> list[Piece]:
        is_peers = self._frames.state is not ConnectionState.OPEN
        self._out += self._frames.send(event.response() if is_peers else event)
        if not is_peers:  # wsproto's own way to tell that a frame cannot be read
            raise RemoteProtocolError(event.reason or "")
        pieces = self.close()
        reason = (event.reason or "").encode()
        return [*pieces, Piece(reason, self._transport, "other", (f"WebSocket close {int(event.code)}",))]

    def _whole(self) -> list[Piece]:
        message = bytes(self._message)
        self._begun, self._message = bytearray(), bytearray()
        if message.strip(b"\r\n\x00"):
            return [Piece(message, self._transport, "message")]
        pieces = [Piece(message, self._transport, "other", ("keepalive",))]
        if self._answers_ping and b"\r\n\r\n" in message:
            self._out += self.wrap(PONG)
            pieces.append(Piece(PONG, self._transport, "said"))
        return pieces

    def _give_up(self, note: str) -> list[Piece]:
        """The WebSocket is over: what is held, as it came."""
        self.is_over = True
        raw = bytes(self._begun) + self._rest
        self._begun, self._message, self._rest = bytearray(), bytearray(), b""
        return [Piece(raw, self._transport, "other", (note,))] if raw else []


def _frame_end(data: bytes, at: int) -> int:
    """Where the frame that begins here ends (RFC 6455 section 5.2); behind all data while its header is not whole."""
    header = data[at : at + 10]
    length = header[1] & 0x7F if len(header) > 1 else 0
    extended = {126: 2, 127: 8}.get(length, 0)
    if extended:
        length = int.from_bytes(header[2 : 2 + extended])
    mask = 4 if len(header) > 1 and header[1] & 0x80 else 0
    return at + 2 + extended + mask + length


def _is_binary(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _text(data: bytes) -> TextMessage:
    return TextMessage(data.decode("utf-8"))
