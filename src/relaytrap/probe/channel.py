"""The tester's ways to a server: one UDP socket for all, one connection a probe for TCP, TLS and WebSocket.

One connection a probe, because a proxy that fails on one message may close the connection: on a shared one 67 of 69
true findings were lost (measured). What comes back is handed up as whole messages; what a server sends beyond a limit
is not read.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

from relaytrap.probe.certificate import any_peer
from relaytrap.probe.websocket import SipWebSocket, WebSocketError
from relaytrap.sip.stream import StreamParser
from relaytrap.sip.uri import host_port

__all__ = ["ChannelError", "Receive", "StreamChannel", "UdpSocket", "reason_of"]

Receive = Callable[[bytes], object]

CONNECT_TIMEOUT_S = 4.0
READ_MAX_BYTES = 1 << 20
TLS_TRANSPORTS = ("tls", "wss")
WS_TRANSPORTS = ("ws", "wss")


class ChannelError(Exception):
    """A server cannot be reached this way; str() is one sentence for the result: where, and what is wrong there."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where} {what}")
        self.what = what


class UdpSocket(asyncio.DatagramProtocol):
    """A UDP socket of the tester's or the witness's; every datagram goes up, whoever sent it.

    refused: what the kernel last said of a sending, for a socket that knows one peer alone.
    """

    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self.refused: OSError | None = None

    @classmethod
    async def open(
        cls,
        address: str,
        port: int,
        receive: Callable[[bytes, tuple[str, int]], None],
        *,
        only: tuple[str, int] | None = None,
    ) -> "UdpSocket":
        """A bound socket; port 0 takes any. Raises OSError when the address or port cannot be had.

        only: the one peer to hear.
        """
        bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            if bound.family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address, port))
            if only:
                bound.connect(only)
        except OSError:
            bound.close()
            raise
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: cls(receive), sock=bound)
        protocol._transport = transport
        return protocol

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        self.refused = exc if isinstance(exc, OSError) else self.refused

    @property
    def port(self) -> int:
        """The port that was bound."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, data: bytes, address: str, port: int) -> None:
        """One datagram; an error of the kernel shows as silence, as it would for a lost one."""
        if self._transport is not None:
            # To a socket that knows one peer, uvloop (the hub's event loop) takes any address for a mistake.
            self._transport.sendto(data, None if self._transport.get_extra_info("peername") else (address, port))

    def close(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()


class StreamChannel:
    """One TCP, TLS or WebSocket connection to a server.

    trouble: once it is open, one sentence on what came instead of SIP, or "".
    """

    def __init__(self, transport: str, address: str, port: int, local: str, receive: Receive) -> None:
        self._transport = transport
        self._address = address
        self._port = port
        self._local = local
        self._receive = receive
        self._parser = StreamParser(max_message_bytes=READ_MAX_BYTES)
        self._websocket: SipWebSocket | None = None
        self._upgraded: asyncio.Future[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.trouble = ""

    @property
    def name(self) -> str:
        """Transport and port, for people."""
        return f"{self._transport.upper()} {host_port(self._address, self._port)}"

    async def open(self) -> None:
        """Connect, with TLS and WebSocket handshakes where the transport has them. Raises ChannelError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connect()
        except TimeoutError:
            self.close()
            raise ChannelError(self.name, "does not answer") from None
        except ChannelError:
            self.close()
            raise
        except ConnectionRefusedError:
            raise ChannelError(self.name, "is closed") from None
        except OSError as error:  # ssl.SSLError is one
            self.close()
            raise ChannelError(self.name, _why(error)) from None

    async def _connect(self) -> None:
        secure = self._transport in TLS_TRANSPORTS
        reader, self._writer = await asyncio.open_connection(
            self._address,
            self._port,
            ssl=any_peer() if secure else None,
            local_addr=(self._local, 0),
        )
        if self._transport in WS_TRANSPORTS:
            self._upgraded = asyncio.get_running_loop().create_future()
            host = host_port(self._address, self._port)
            self._websocket = SipWebSocket.ask(host, self._write, READ_MAX_BYTES)
        self._reading = asyncio.create_task(self._read(reader))
        if self._upgraded is not None:
            await self._upgraded

    def send(self, data: bytes) -> None:
        """One message; on a connection that broke this does nothing, and silence shows it."""
        if self._websocket is None:
            self._write(data)
            return
        try:
            self._websocket.send(data)
        except WebSocketError:  # the server has closed it
            return

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
        try:
            while data := await reader.read(65536):
                read += len(data)
                if read > READ_MAX_BYTES:
                    self._fail(f"sent more than {READ_MAX_BYTES} bytes, of which no more were read")
                    break
                self._take(data)
        except OSError as error:  # ssl.SSLError is one
            self._fail(_why(error))
        except WebSocketError as error:
            self._fail(str(error))
        if self._upgraded is not None and not self._upgraded.done():
            self._fail("closed the connection instead of a WebSocket")
        if self._writer is not None:
            self._writer.close()

    def _fail(self, what: str) -> None:
        """Note the first trouble; one before the upgrade is why it will not come."""
        self.trouble = self.trouble or f"{self.name} {what}"
        if self._upgraded is not None and not self._upgraded.done():
            self._upgraded.set_exception(ChannelError(self.name, what))

    def _take(self, data: bytes) -> None:
        if self._websocket is None:
            framed = self._parser.receive(data)
            messages = [each.raw for each in framed if each.kind == "message"]
            if any(each.kind == "junk" for each in framed):
                self._fail("sent something that is not SIP")
        else:
            messages = self._websocket.receive(data)
            if self._upgraded is not None and self._websocket.accepted and not self._upgraded.done():
                self._upgraded.set_result(None)
        for message in messages:
            self._receive(message)


def reason_of(error: OSError) -> str:
    """Why a connection failed, in the system's or the TLS library's words; asyncio's own repeat the address."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "no reason given"
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"speaks no TLS with us ({reason_of(error)})"
    return f"cannot be reached ({reason_of(error)})"
