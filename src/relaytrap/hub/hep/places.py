"""Where HEP comes in: settings to bound sockets, and what reads each kind.

All of this runs in the door's event loop. A UDP place is drained until it is empty; a TCP place frames packets by their
own length and stops reading while the store has no room, so that the sender's buffer holds what ours cannot.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import re
import socket
import ssl
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from relaytrap.capture.hep import HEP3_MAGIC, MAX_HEP_BYTES, hep3_length
from relaytrap.errors import ConfigError, ListenError
from relaytrap.hub.hep.reception import NOT_HEP

__all__ = ["Connection", "Place", "StreamPlace", "Taker", "UdpPlace", "bind", "parse_places"]

log = logging.getLogger(__name__)

WRITTEN: Final = re.compile(r"(?P<transport>udp|tcp|tls):(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>\d{1,5})")
RECEIVE_BUFFER_BYTES: Final = 8 << 20
SO_RCVBUFFORCE: Final = 33
SO_MEMINFO: Final = 55
"""Linux: nine counters of a socket's memory, the last of which is datagrams that found no room."""
BACKLOG: Final = 128
DRAIN_MAX: Final = 512
"""Datagrams read in one turn of the loop, so that connections get theirs."""
LAST_TURNS: Final = 64
CONNECTIONS_MAX: Final = 512
HANDSHAKE_S: Final = 10.0
CUT_CONNECTION: Final = "connection closed within a packet"
NO_ROOM: Final = "no room: the store takes too little"
DROPPED_BY_KERNEL: Final = "dropped by the kernel: we read too slowly"

Taker = Callable[[bytes, "Place"], None]


@dataclass(slots=True)
class Place:
    """One entry of `[hub] hep_listen` and its counts. listening: with the port that was really taken."""

    transport: str
    address: str
    port: int
    listening: str = ""
    packets: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    connections: int = 0

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        return spelled(self.transport, self.address, self.port)


def spelled(transport: str, address: str, port: int) -> str:
    """As the settings write it."""
    return f"{transport}:[{address}]:{port}" if ":" in address else f"{transport}:{address}:{port}"


def parse_places(entries: tuple[str, ...]) -> list[Place]:
    """The places that a setting names. Raises ConfigError for one that is none."""
    return [_parse(entry) for entry in entries]


def _parse(entry: str) -> Place:
    match = WRITTEN.fullmatch(entry)
    try:
        if match is None or int(match["port"]) > 65535:
            raise ValueError(entry)
        address = ipaddress.ip_address(match["v6"] or match["v4"])
    except ValueError:
        raise ConfigError(
            f"hub.hep_listen: {entry!r} is no place to listen; write udp:192.0.2.1:9060, tcp:[::1]:9060 or tls:…"
        ) from None
    return Place(match["transport"], str(address), int(match["port"]))


def bind(place: Place) -> socket.socket:
    """A non-blocking socket bound (TCP, TLS: listening) there. Raises ListenError with what to do about it."""
    kind = socket.SOCK_DGRAM if place.transport == "udp" else socket.SOCK_STREAM
    sock = socket.socket(socket.AF_INET6 if ":" in place.address else socket.AF_INET, kind)
    try:
        if place.transport == "udp":
            _widen(sock)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((place.address, place.port))
        if place.transport != "udp":
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        reason = {
            errno.EADDRINUSE: "another program has that port; choose another",
            errno.EACCES: "this user may not take a port below 1024; choose a higher one",
            errno.EADDRNOTAVAIL: "no interface of this machine has that address",
        }
        told = reason.get(error.errno or 0, error.strerror)
        raise ListenError(f"hub.hep_listen: {place}: {told}") from None
    place.listening = spelled(place.transport, *sock.getsockname()[:2])
    return sock


def _widen(sock: socket.socket) -> None:
    """Room for a burst: beyond net.core.rmem_max as root, up to it otherwise."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


class UdpPlace:
    """Reads one UDP socket."""

    def __init__(self, place: Place, sock: socket.socket, take: Taker) -> None:
        self.place = place
        self._sock = sock
        self._take = take

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        loop.add_reader(self._sock.fileno(), self.drain)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take in what the kernel has, then read no more."""
        loop.remove_reader(self._sock.fileno())
        for _ in range(LAST_TURNS):
            if not self.drain():
                return

    def drain(self) -> bool:
        """Read what is there, up to a turn's share; whether there may be more."""
        for _ in range(DRAIN_MAX):
            try:
                packet = self._sock.recv(MAX_HEP_BYTES)
            except BlockingIOError:
                return False
            except OSError as error:  # nobody was ever sent anything, so it is the interface
                log.debug("HEP place: %s", error.strerror)
                return False
            self.place.packets += 1
            self._take(packet, self.place)
        return True

    def count_drops(self) -> None:
        """Ask the kernel how many datagrams found no room in the socket's buffer."""
        with contextlib.suppress(OSError):
            (drops,) = struct.unpack_from("I", self._sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36), 32)
            if drops:
                self.place.refused[DROPPED_BY_KERNEL] = drops


class StreamPlace:
    """The connections of one TCP or TLS socket. has_room: whether what a connection brings can be taken now."""

    def __init__(
        self,
        place: Place,
        sock: socket.socket,
        take: Taker,
        has_room: Callable[[], bool],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.place = place
        self.take = take
        self.has_room = has_room
        self.open: OrderedDict[Connection, None] = OrderedDict()
        self._sock = sock
        self._context = context
        self._server: asyncio.Server | None = None

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to accept."""
        handshake = HANDSHAKE_S if self._context else None
        self._server = await loop.create_server(
            lambda: Connection(self), sock=self._sock, ssl=self._context, ssl_handshake_timeout=handshake
        )

    def stop(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.open):
            connection.close()

    def admit(self, connection: "Connection") -> None:
        """Take a new connection in; beyond the limit the one that was silent longest goes."""
        self.open[connection] = None
        if len(self.open) > CONNECTIONS_MAX:
            next(iter(self.open)).close()
        self.place.connections = len(self.open)

    def heard(self, connection: "Connection") -> None:
        """A connection brought something."""
        self.open.move_to_end(connection)

    def forget(self, connection: "Connection") -> None:
        """A connection is gone."""
        self.open.pop(connection, None)
        self.place.connections = len(self.open)

    def resume(self) -> None:
        """There is room again: go on where connections were stopped."""
        for connection in list(self.open):
            connection.resume()


class Connection(asyncio.Protocol):
    """One sender's stream: HEP3 packets one behind the other. What is none ends the connection."""

    def __init__(self, home: StreamPlace) -> None:
        self._home = home
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._home.admit(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._home.heard(self)
        self._take()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._buffer:
            self._home.place.refused[CUT_CONNECTION] += 1
        self._home.forget(self)

    def close(self) -> None:
        """End this connection."""
        if self._transport is not None:
            self._transport.close()

    def resume(self) -> None:
        """Go on reading after a pause."""
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
            self._take()

    def _take(self) -> None:
        """Hand on the whole packets that are here."""
        place, buffer, at = self._home.place, self._buffer, 0
        while len(buffer) - at >= 6:
            if not self._home.has_room():
                self._pause()
                break
            length = hep3_length(bytes(buffer[at : at + 6]))
            if length < 6:
                self._give_up()
                return
            if len(buffer) - at < length:
                break
            place.packets += 1
            self._home.take(bytes(buffer[at : at + length]), place)
            at += length
        del buffer[:at]
        if not HEP3_MAGIC.startswith(bytes(buffer[:4])):
            self._give_up()

    def _pause(self) -> None:
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _give_up(self) -> None:
        self._home.place.refused[NOT_HEP] += 1
        self._buffer.clear()
        self.close()
