"""The tester's ways to a server: one UDP socket for all, one connection a probe for TCP, TLS and WebSocket.

One connection a probe, because a proxy that fails on one message may close the connection: on a shared one 67 of 69
true findings were lost (measured). What comes back is handed up as whole messages; what a server sends beyond a limit
is not read.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from relaytrap.probe.tricks import host_port
from relaytrap.sip.stream import StreamParser

__all__ = ["ChannelError", "Receive", "StreamChannel", "UdpSocket"]

Receive = Callable[[bytes], None]

CONNECT_TIMEOUT_S = 4.0
READ_MAX_BYTES = 1 << 20
TLS_TRANSPORTS = ("tls", "wss")
WS_TRANSPORTS = ("ws", "wss")


class ChannelError(Exception):
    """A server cannot be reached this way; str() is one sentence for the result."""


class UdpSocket(asyncio.DatagramProtocol):
    """The tester's (or the witness's) UDP socket; every datagram goes up, whoever sent it."""

    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, address: str, port: int, receive: Callable[[bytes, tuple[str, int]], None]) -> "UdpSocket":
        """A bound socket; port 0 takes any. Raises OSError when the address or port cannot be had."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: cls(receive), local_addr=(address, port))
        protocol._transport = transport
        return protocol

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, (addr[0], addr[1]))

    @property
    def port(self) -> int:
        """The port that was bound."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, data: bytes, address: str, port: int) -> None:
        """One datagram; an error of the kernel shows as silence, as it would for a lost one."""
        if self._transport is not None:
            self._transport.sendto(data, (address, port))

    def close(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()


class StreamChannel:
    """One TCP, TLS or WebSocket connection to a server."""

    def __init__(self, transport: str, address: str, port: int, local: str, receive: Receive) -> None:
        self._transport = transport
        self._address = address
        self._port = port
        self._local = local
        self._receive = receive
        self._parser = StreamParser(max_message_bytes=READ_MAX_BYTES)
        self._ws: WSConnection | None = None
        self._ws_message = b""
        self._upgraded: asyncio.Future[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Transport and port, for people."""
        return f"{self._transport.upper()} port {self._port}"

    async def open(self) -> None:
        """Connect, with TLS and WebSocket handshakes where the transport has them. Raises ChannelError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connect()
        except TimeoutError:
            self.close()
            raise ChannelError(f"{self.name} does not answer") from None
        except ChannelError:
            self.close()
            raise
        except ConnectionRefusedError:
            raise ChannelError(f"{self.name} is closed") from None
        except ssl.SSLError as error:
            raise ChannelError(f"{self.name}: the TLS handshake failed ({error.reason or 'no reason given'})") from None
        except OSError as error:
            self.close()
            raise ChannelError(f"{self.name}: {error.strerror or error}") from None

    async def _connect(self) -> None:
        reader, self._writer = await asyncio.open_connection(
            self._address,
            self._port,
            ssl=_any_certificate() if self._transport in TLS_TRANSPORTS else None,
            local_addr=(self._local, 0),
        )
        if self._transport in WS_TRANSPORTS:
            self._ws = WSConnection(ConnectionType.CLIENT)
            self._upgraded = asyncio.get_running_loop().create_future()
            host = host_port(self._address, self._port)
            self._write(self._ws.send(Request(host=host, target="/", subprotocols=["sip"])))
        self._reading = asyncio.create_task(self._read(reader))
        if self._upgraded is not None:
            await self._upgraded

    def send(self, data: bytes) -> None:
        """One message; on a connection that broke this does nothing, and silence shows it."""
        if self._ws is not None:
            try:
                data = self._ws.send(TextMessage(data=data.decode("utf-8", "replace")))
            except LocalProtocolError:  # the server closed the WebSocket
                return
        self._write(data)

    def close(self) -> None:
        """End the connection."""
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()

    def _write(self, data: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        read = 0
        with suppress(ConnectionError, ssl.SSLError):
            while read < READ_MAX_BYTES and (data := await reader.read(65536)):
                read += len(data)
                if self._ws is None:
                    self._take(data)
                else:
                    self._take_ws(data)
        self._fail("closed the connection instead of a WebSocket")

    def _fail(self, what: str) -> None:
        """The upgrade will not come; later trouble says nothing more."""
        if self._upgraded is not None and not self._upgraded.done():
            self._upgraded.set_exception(ChannelError(f"{self.name} {what}"))

    def _take(self, data: bytes) -> None:
        for framed in self._parser.receive(data):
            if framed.kind == "message":
                self._receive(framed.raw)

    def _take_ws(self, data: bytes) -> None:
        assert self._ws is not None
        try:
            self._ws.receive_data(data)
            for event in self._ws.events():
                self._take_event(event)
        except (LocalProtocolError, RemoteProtocolError) as error:
            self._fail(f"speaks no WebSocket ({error})")
            self.close()

    def _take_event(self, event: object) -> None:
        assert self._ws is not None
        assert self._upgraded is not None
        match event:
            case AcceptConnection():
                if not self._upgraded.done():
                    self._upgraded.set_result(None)
            case RejectConnection(status_code=status):
                self._fail(f"speaks no WebSocket (HTTP {status})")
            case TextMessage() | BytesMessage():
                part = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                self._ws_message += part
                if event.message_finished:
                    message, self._ws_message = self._ws_message, b""
                    self._receive(message)
            case Ping():
                self._write(self._ws.send(event.response()))
            case CloseConnection():
                self.close()


def _any_certificate() -> ssl.SSLContext:
    """A context that takes every certificate: who the server is was settled by the address its owner named."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED  # an old SBC is to be tested, not refused
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
