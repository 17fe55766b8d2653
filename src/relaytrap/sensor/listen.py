"""Where to listen: settings to bound sockets, and a sentence for each way that can fail."""

import errno
import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from relaytrap.errors import ConfigError, ListenError
from relaytrap.observation import Transport
from relaytrap.sip.uri import host_port

__all__ = ["Listen", "bind", "canonical", "parse_listen"]

LISTEN: Final = re.compile(r"(?P<transport>[a-z]+):(?:\[(?P<v6>[^\]]*)\]|(?P<v4>[^:\[\]]*)):(?P<port>[0-9]{1,5}|auto)")
USUAL_PORTS: Final[dict[Transport, int]] = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
"""RFC 3261 section 19.1.2; RFC 6455 section 3, which RFC 7118 takes over."""
RECEIVE_BUFFER_BYTES: Final = 4 << 20
"""Holds some 6,000 requests: what decides whether a burst survives a pause of ours."""
SEND_BUFFER_BYTES: Final = 1 << 20
BACKLOG: Final = 1024
IP_PKTINFO: Final = 8
"""Linux; Python 3.11 does not name it. Ancillary data that tells which of our addresses a datagram was sent to."""
IPV6_FREEBIND: Final = 78
"""Linux. Lets an answer leave from an address that no interface has, of a network that is routed to this machine."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One `[sensor] listen` entry.

    Every place that is not `udp` takes TCP connections, and any of them may carry SIP, HTTP or TLS: which transport an
    entry names says what is expected there, and so which port `auto` stands for.
    """

    transport: Transport
    address: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    @property
    def is_datagram(self) -> bool:
        """Whether it takes datagrams, not connections."""
        return self.transport == "udp"

    @property
    def is_wildcard(self) -> bool:
        """Whether it takes every address of this machine."""
        return ipaddress.ip_address(self.address).is_unspecified

    def __str__(self) -> str:
        return f"{self.transport}:{host_port(self.address, self.port)}"


def parse_listen(entries: Sequence[str]) -> tuple[Listen, ...]:
    """`transport:address:port` entries, IPv6 in brackets, `auto` for the transport's own port.

    Raises ConfigError for what is none.
    """
    if not entries:
        raise ConfigError("sensor.listen: nothing to listen on; give at least one, such as udp:127.0.0.1:5060")
    return tuple(_parse_one(entry) for entry in entries)


def _parse_one(entry: str) -> Listen:
    match = LISTEN.fullmatch(entry)
    example = "write transport:address:port, such as udp:0.0.0.0:5060 or tcp:[::]:5060"
    if match is None:
        raise ConfigError(f"sensor.listen: {entry!r} cannot be read; {example}")
    transport = next((each for each in USUAL_PORTS if each == match["transport"]), None)
    if transport is None:
        valid = ", ".join(USUAL_PORTS)
        raise ConfigError(f"sensor.listen: {entry!r} has the transport {match['transport']!r}; valid are {valid}")
    try:
        address = ipaddress.ip_address(match["v6"] if match["v6"] is not None else match["v4"])
    except ValueError:
        raise ConfigError(f"sensor.listen: {entry!r} names no address of IPv4 or IPv6; {example}") from None
    port = USUAL_PORTS[transport] if match["port"] == "auto" else int(match["port"])
    if port > 65535:
        raise ConfigError(f"sensor.listen: {entry!r} has the port {port}; the highest is 65535")
    return Listen(transport, str(address), port)


@lru_cache(maxsize=1 << 16)
def canonical(address: str) -> str:
    """An address as a socket tells it, in the one form used everywhere: no zone, IPv4-mapped IPv6 as IPv4."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def bind(listen: Listen, *, shared: bool = False) -> socket.socket:
    """A non-blocking socket bound (connections: listening) there. Raises ListenError with what to do about it.

    shared: others of this program may take the same place (see sharing.py).
    """
    kind = socket.SOCK_DGRAM if listen.is_datagram else socket.SOCK_STREAM
    try:
        sock = socket.socket(listen.family, kind)
    except OSError as error:
        raise ListenError(f"{listen}: this machine offers no such socket ({error.strerror}); leave it out") from None
    try:
        if listen.family == socket.AF_INET6:
            # Each entry is one family: an IPv4 address never shows up as a mapped one.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _set_options(sock, listen)
        sock.bind((listen.address, listen.port))
        if not listen.is_datagram:
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ListenError(_explain(listen, error)) from None
    return sock


def _set_options(sock: socket.socket, listen: Listen) -> None:
    if not listen.is_datagram:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return
    for forced, usual, size in (
        (33, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES),  # SO_RCVBUFFORCE: beyond net.core.rmem_max, as root only
        (32, socket.SO_SNDBUF, SEND_BUFFER_BYTES),  # SO_SNDBUFFORCE
    ):
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, size)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, usual, size)
    if listen.is_wildcard:
        if listen.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def _explain(listen: Listen, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = _holder(listen)
        return f"{listen}: the port is taken by {holder}; stop that, or choose another port with --listen"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{listen}: this user may not take a port below 1024; choose a higher port, or give the service "
            "CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{listen}: no interface of this machine has that address; `ip address` shows those that are there"
    return f"{listen}: cannot listen there ({error.strerror})"


def _holder(listen: Listen) -> str:
    """The program that has the port, as far as this user may see it."""
    inodes = _inodes(listen)
    with suppress(OSError):
        for process in Path("/proc").glob("[0-9]*"):
            if _holds(process, inodes):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} (process {process.name})"
    return "another program"


def _inodes(listen: Listen) -> set[str]:
    """Inodes of the sockets on that port, from /proc/net (hexadecimal port behind the colon of the second column)."""
    found = set()
    kind = "udp" if listen.is_datagram else "tcp"
    for table in (kind, f"{kind}6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                if columns[1].endswith(f":{listen.port:04X}"):
                    found.add(f"socket:[{columns[9]}]")
    return found


def _holds(process: Path, inodes: set[str]) -> bool:
    with suppress(OSError):
        return any(os.readlink(entry) in inodes for entry in (process / "fd").iterdir())
    return False
