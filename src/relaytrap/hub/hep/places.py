"""Where HEP comes in: settings to bound sockets, and the datagrams of a UDP place.

Reading runs in the door's event loop; a UDP place is drained until it is empty.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from relaytrap.capture.hep import MAX_HEP_BYTES
from relaytrap.errors import ConfigError, ListenError
from relaytrap.sip.uri import host_port

__all__ = ["NO_ROOM", "Place", "Taker", "UdpPlace", "bind", "parse_places"]

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
    return f"{transport}:{host_port(address, port)}"


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
