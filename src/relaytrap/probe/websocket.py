"""SIP over WebSocket (RFC 7118), either end of it and without I/O: octets of the connection in, whole messages out."""

from collections.abc import Callable

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

__all__ = ["SipWebSocket", "WebSocketError"]

SUBPROTOCOL = "sip"


class WebSocketError(Exception):
    """What came is no WebSocket, or one that has ended; str() ends a sentence about it."""


class SipWebSocket:
    """One WebSocket. What it has to send goes to `write` at once.

    accepted: whether the handshake is over. max_bytes: a message beyond it ends the WebSocket.
    """

    def __init__(self, end: ConnectionType, write: Callable[[bytes], None], max_bytes: int) -> None:
        self._connection = WSConnection(end)
        self._write = write
        self._max_bytes = max_bytes
        self._message = b""
        self.accepted = False

    @classmethod
    def ask(cls, host: str, write: Callable[[bytes], None], max_bytes: int) -> "SipWebSocket":
        """The client's end; its request for an upgrade is written."""
        one = cls(ConnectionType.CLIENT, write, max_bytes)
        one._write(one._connection.send(Request(host=host, target="/", subprotocols=[SUBPROTOCOL])))
        return one

    @classmethod
    def await_request(cls, write: Callable[[bytes], None], max_bytes: int) -> "SipWebSocket":
        """The server's end; it accepts every path and origin."""
        return cls(ConnectionType.SERVER, write, max_bytes)

    def receive(self, data: bytes) -> list[bytes]:
        """The messages that data completes. Raises WebSocketError."""
        found: list[bytes] = []
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                self._take(event, found)
        except (LocalProtocolError, RemoteProtocolError, ValueError) as error:  # wsproto decodes headers as ASCII
            raise WebSocketError(f"speaks no WebSocket ({error})") from None
        return found

    def send(self, message: bytes) -> None:
        """One message as text, as most of the field sends it; as binary when it is none. Raises WebSocketError."""
        try:
            event: Event = TextMessage(data=message.decode())
        except UnicodeDecodeError:
            event = BytesMessage(data=message)
        try:
            self._write(self._connection.send(event))
        except LocalProtocolError as error:
            raise WebSocketError(f"has ended its WebSocket ({error})") from None

    def _take(self, event: Event, found: list[bytes]) -> None:
        match event:
            case Request(subprotocols=offered):
                chosen = SUBPROTOCOL if SUBPROTOCOL in offered else None
                self._write(self._connection.send(AcceptConnection(subprotocol=chosen)))
                self.accepted = True
            case AcceptConnection():
                self.accepted = True
            case RejectConnection(status_code=status):
                raise WebSocketError(f"speaks no WebSocket (HTTP {status})")
            case TextMessage() | BytesMessage():
                self._message += event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                if len(self._message) > self._max_bytes:
                    raise WebSocketError(f"sends messages of more than {self._max_bytes} bytes")
                if event.message_finished:
                    found.append(self._message)
                    self._message = b""
            case Ping():
                self._write(self._connection.send(event.response()))
            case CloseConnection():
                raise WebSocketError("has ended its WebSocket")
