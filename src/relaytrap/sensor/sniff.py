"""A packet socket on one interface (AF_PACKET, packet(7)): what passes there, in both directions, and what was missed.

Ethernet and loopback are read with their frame headers, because a second VLAN tag shows only there; of all else (PPP,
tunnels) the kernel takes the link-layer header off. Nothing is ever sent.
"""

import fcntl
import logging
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Final

from relaytrap.clock import now_ns
from relaytrap.errors import ListenError
from relaytrap.sensor.packet_filter import attach, build_filter, packed

__all__ = ["Sniffer", "Taken", "what_is_read"]

log = logging.getLogger(__name__)

Taken = Callable[[int, bytes, int], None]
"""Called for each packet with link type, octets and arrival in nanoseconds."""

# Linux's numbers, which Python does not name.
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 263, 1, 6, 23
SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 26, 33, 35
PACKET_MR_PROMISC, ETH_P_ALL, SIOCGIFHWADDR = 1, 3, 0x8927
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
TIMESTAMP: Final = struct.Struct("qq").unpack
MEMBERSHIP: Final = struct.Struct("iHH8s")
STATISTICS: Final = struct.Struct("II")

RECEIVE_BUFFER_BYTES: Final = 16 << 20
LARGEST_PACKET: Final = 1 << 17
"""More than segmentation offload puts into one."""
ANCILLARY_BYTES: Final = 64
PACKETS_A_TURN: Final = 512
ETHERNET, RAW_IP = 1, 101


def what_is_read(interface: str, ports: Sequence[int]) -> str:
    """An interface and its ports, for people."""
    if not ports:
        return f"{interface} (all ports)"
    return f"{interface} ({'port' if len(ports) == 1 else 'ports'} {', '.join(map(str, ports))})"


class Sniffer:
    """Reads one interface. received, dropped: packets that passed the filter, and of those what found no room."""

    def __init__(self, interface: str, ports: Sequence[int]) -> None:
        """Raises ListenError when the interface cannot be read."""
        self.interface = interface
        self.received = 0
        self.dropped = 0
        self._ports = tuple(ports)
        self._link_type = RAW_IP
        self._buffer = bytearray(LARGEST_PACKET)
        self._view = memoryview(self._buffer)
        self._sock = self._open()

    def fileno(self) -> int:
        """For the loop's add_reader."""
        return self._sock.fileno()

    def drain(self, take: Taken) -> bool:
        """Hand on what waits, up to a turn's share; whether there may be more.

        Raises OSError when the interface is gone.
        """
        link_type, receive, buffer, view = self._link_type, self._sock.recvmsg_into, [self._buffer], self._view
        for _ in range(PACKETS_A_TURN):
            try:
                size, ancillary, _, _ = receive(buffer, ANCILLARY_BYTES)
            except BlockingIOError:
                return False
            take(link_type, bytes(view[:size]), _moment(ancillary))
        return True

    def count(self) -> None:
        """Add the kernel's counts since the last time; it starts anew when asked."""
        try:
            received, dropped = STATISTICS.unpack(self._sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size))
        except OSError:
            return
        self.received += received
        self.dropped += dropped

    def reopen(self) -> bool:
        """Try again after the interface went away; whether it is back."""
        try:
            fresh = self._open()
        except ListenError:
            return False
        self.count()
        self._sock.close()
        self._sock = fresh
        return True

    def close(self) -> None:
        """Read no more."""
        self._sock.close()

    def _open(self) -> socket.socket:
        kind = self._hardware()
        is_framed = kind in (ARPHRD_ETHER, ARPHRD_LOOPBACK)
        try:
            sort = socket.SOCK_RAW if is_framed else socket.SOCK_DGRAM
            sock = socket.socket(socket.AF_PACKET, sort, 0)  # 0: nothing until it is bound
        except OSError as error:
            raise ListenError(
                f"{self.interface}: this user may not read packets ({error.strerror}); run as root, or give the "
                "service CAP_NET_RAW"
            ) from None
        try:
            self._prepare(sock, packed(build_filter(self._ports, framed=is_framed)))
            sock.bind((self.interface, ETH_P_ALL))
            self._listen_to_all(sock, kind)
        except OSError as error:
            sock.close()
            raise ListenError(
                f"sensor.listen_only: {self.interface} cannot be read ({error.strerror}); choose another interface"
            ) from None
        sock.setblocking(False)
        self._link_type = ETHERNET if is_framed else RAW_IP
        return sock

    def _hardware(self) -> int:
        """What kind of device it is, by ARP's numbers."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            try:
                answer = fcntl.ioctl(any_socket, SIOCGIFHWADDR, struct.pack("40s", self.interface.encode()[:15]))
            except OSError:
                raise ListenError(
                    f"sensor.listen_only: {self.interface}: no such interface; `ip link` shows those that are there"
                ) from None
        return int.from_bytes(answer[16:18], sys.byteorder)

    def _prepare(self, sock: socket.socket, program: bytes) -> None:
        """Filter, arrival times and room, before the first packet can come."""
        if program:
            attach(sock, SO_ATTACH_FILTER, program)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def _listen_to_all(self, sock: socket.socket, kind: int) -> None:
        """Also frames for others, as a mirror port brings them; on loopback each packet once instead of twice."""
        if kind == ARPHRD_LOOPBACK:
            sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            return
        index = socket.if_nametoindex(self.interface)
        try:
            sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, MEMBERSHIP.pack(index, PACKET_MR_PROMISC, 0, bytes(8)))
        except OSError as error:
            log.info("not promiscuous: interface=%s reason=%s", self.interface, error.strerror)


def _moment(ancillary: list[tuple[int, int, bytes]]) -> int:
    """When the kernel took the packet in."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) == 16:
            seconds, nanoseconds = TIMESTAMP(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return now_ns()
