"""The witness's sockets: UDP, and one TCP port that tells SIP, TLS and WebSocket apart by the first octets.

One port for all, because a probe's URI names one, and because some relays reach only SIP's own. It is open to the
whole network while a test runs: connections are counted and timed, and what comes in is bounded.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

from relaytrap.errors import RelaytrapError
from relaytrap.probe.certificate import throwaway_context
from relaytrap.probe.channel import UdpSocket
from relaytrap.probe.websocket import SipWebSocket, WebSocketError
from relaytrap.sip.stream import StreamParser

__all__ = ["Listener", "Take"]

log = logging.getLogger(__name__)

Take = Callable[[bytes, tuple[str, int], str], bytes]

CONNECTIONS_MAX = 256
CONNECTION_MAX_S = 180.0
FIRST_OCTET_S = 15.0
MESSAGE_MAX_BYTES = 1 << 17
# TLS's record type for a handshake (RFC 8446 section 5.1); no SIP or HTTP message starts with it.
TLS_HANDSHAKE = b"\x16"
HTTP_GET = b"GET "
SAME_PORT_TRIES = 5


class Listener:
    """UDP, TCP, TLS, WS and WSS at one address and port. `take` gets each message and gives the octets to answer."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._udp: UdpSocket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""
        self.port = 0

    async def open(self, address: str, port: int) -> None:
        """Listen; port 0 takes one that is free for both. Raises OSError when UDP or TCP cannot have it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for tries_left in reversed(range(SAME_PORT_TRIES)):
            self._udp = await UdpSocket.open(address, port, self._take_datagram)
            self.address, self.port = address, self._udp.port
            try:
                listening = socket.create_server((address, self.port), family=family, backlog=128)
                break
            except OSError as error:
                self._udp.close()
                if port or error.errno != errno.EADDRINUSE or not tries_left:
                    raise
        listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(listening))
        # Not closed by close(): the loop watches its number until the task has ended, and a number is soon given to
        # another socket.
        self._accepting.add_done_callback(lambda task: listening.close())

    def send(self, data: bytes, address: str, port: int) -> None:
        """A datagram from the witness's own port."""
        if self._udp is not None:
            self._udp.send(data, address, port)

    def close(self) -> None:
        """Stop listening, and end every connection; TCP's port is free when the loop has come round."""
        if self._udp is not None:
            self._udp.close()
        for task in (self._accepting, *self._connections):
            if task is not None:
                task.cancel()

    def _take_datagram(self, data: bytes, source: tuple[str, int]) -> None:
        answer = self._take(data, _canonical(source), "udp")
        if answer and self._udp is not None:
            self._udp.send(answer, *source)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, source = await loop.sock_accept(listening)
            except OSError as error:  # too many open files, a peer that has gone already
                log.debug("no connection taken error=%s", error)
                await asyncio.sleep(0.1)
                continue
            if len(self._connections) >= CONNECTIONS_MAX:
                connection.close()
                continue
            task = asyncio.create_task(self._serve(connection, _canonical(source)))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, connection: socket.socket, source: tuple[str, int]) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(CONNECTION_MAX_S):
                secure = await _first_octet(connection) == TLS_HANDSHAKE
                reader, writer = await _streams(connection, secure=secure)
                await self._talk(reader, writer, source, secure=secure)
        except (OSError, TimeoutError, WebSocketError, RelaytrapError) as error:
            log.debug("a connection ended source=%s error=%s", source[0], error)
        finally:
            if writer is None:
                connection.close()
            else:
                writer.close()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: tuple[str, int], *, secure: bool
    ) -> None:
        data = await reader.read(65536)
        while data and len(data) < len(HTTP_GET):
            if not (more := await reader.read(65536)):
                return
            data += more
        receive: Callable[[bytes], list[bytes]]
        send: Callable[[bytes], None]
        if data.startswith(HTTP_GET):
            transport = "wss" if secure else "ws"
            websocket = SipWebSocket.await_request(writer.write, MESSAGE_MAX_BYTES)
            receive, send = websocket.receive, websocket.send
        else:
            transport = "tls" if secure else "tcp"
            receive, send = _messages_of(StreamParser(max_message_bytes=MESSAGE_MAX_BYTES)), writer.write
        while data:
            for message in receive(data):
                if answer := self._take(message, source, transport):
                    send(answer)
            await writer.drain()
            data = await reader.read(65536)


async def _first_octet(connection: socket.socket) -> bytes:
    """What a connection starts with, left where it is for whoever reads next."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        async with asyncio.timeout(FIRST_OCTET_S):
            await readable.wait()
    finally:
        loop.remove_reader(connection)
    with suppress(BlockingIOError):
        return connection.recv(1, socket.MSG_PEEK)
    return b""


async def _streams(connection: socket.socket, *, secure: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Reader and writer of an accepted connection, TLS done where it is wanted. Raises OSError (SSLError is one)."""
    loop = asyncio.get_running_loop()
    context: ssl.SSLContext | None = await asyncio.to_thread(throwaway_context) if secure else None
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol, connection, ssl=context, ssl_handshake_timeout=FIRST_OCTET_S if secure else None
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _messages_of(parser: StreamParser) -> Callable[[bytes], list[bytes]]:
    return lambda data: [framed.raw for framed in parser.receive(data) if framed.kind == "message"]


def _canonical(source: tuple[str, int]) -> tuple[str, int]:
    return str(ip_address(source[0].partition("%")[0])), source[1]
