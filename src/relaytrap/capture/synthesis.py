"""IP, UDP and TCP headers for bytes that a socket handed us without any.

A socket gives payload and endpoints; a capture format wants packets. The headers made here are what those endpoints
would have put around that payload: right lengths, valid checksums, TCP sequence numbers that continue within a flow.
Times to live, identifications and windows are constants and mean nothing.
"""

import socket
import struct
from functools import lru_cache
from typing import Any, Final, NamedTuple

__all__ = [
    "IPV4_UDP",
    "TCP",
    "UDP",
    "UDP_V4_MAX",
    "Endpoints",
    "SequenceNumbers",
    "endpoints",
    "headers",
    "most",
    "udp_v4_fields",
]

UDP: Final = 17
TCP: Final = 6
UDP_V4_MAX: Final = 65_507
"""The most a UDP datagram over IPv4 holds: 65,535 less 20 octets of IP and 8 of UDP header."""
UDP_V6_MAX: Final = 65_527
"""The most over IPv6, whose length field leaves out the fixed header."""
TCP_PART_BYTES: Final = 65_000
"""Payload octets of one TCP segment made here; a longer message spans several."""

IPV4_UDP: Final = struct.Struct(">HHIHH8sHHHH")
IPV6_UDP: Final = struct.Struct(">IHH32sHHHH")
IPV4_TCP: Final = struct.Struct(">HHIHH8sHHIIHHHH")
IPV6_TCP: Final = struct.Struct(">IHH32sHHIIHHHH")
DONT_FRAGMENT: Final = 0x4000
HOPS_LEFT: Final = 64
V4_UDP_SUM: Final = 0x4500 + 20 + DONT_FRAGMENT + (HOPS_LEFT << 8 | UDP)
"""The constant part of an IPv4 header's checksum."""
PUSH_ACK_5_WORDS: Final = 0x5018
WINDOW: Final = 0xFFFF


class Endpoints(NamedTuple):
    """A pair of addresses in one direction, packed, with the checksum sums that do not change between packets."""

    version: int
    packed: bytes
    """Source then destination, 8 or 32 octets."""
    address_sum: int
    """Ones'-complement sum of `packed`, not yet complemented."""


@lru_cache(maxsize=65_536)
def endpoints(source: str, destination: str) -> Endpoints:
    """The pair packed; an IPv4 address facing an IPv6 one is written IPv4-mapped. Raises OSError for other text."""
    if ":" not in source and ":" not in destination:
        packed = socket.inet_pton(socket.AF_INET, source) + socket.inet_pton(socket.AF_INET, destination)
        return Endpoints(4, packed, _sum(packed))
    packed = _pack_v6(source) + _pack_v6(destination)
    return Endpoints(6, packed, _sum(packed))


def _pack_v6(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address if ":" in address else f"::ffff:{address}")


def _sum(data: bytes) -> int:
    """The ones'-complement sum of RFC 1071 (not complemented, to be taken modulo 65,535): data as one big number."""
    rest = int.from_bytes(data, "big") % 0xFFFF
    return rest << 8 if len(data) & 1 else rest


def udp_v4_fields(pair: Endpoints, source_port: int, destination_port: int, payload: bytes) -> tuple[Any, ...]:
    """What `IPV4_UDP` packs before a datagram's payload, checksums included: nearly every packet that is made here."""
    length = 8 + len(payload)
    total = pair.address_sum + UDP + 2 * length + source_port + destination_port + _sum(payload)
    checksum = 0xFFFF - (V4_UDP_SUM + length + pair.address_sum) % 0xFFFF
    ends = (source_port, destination_port, length, 0xFFFF - total % 0xFFFF)
    return (0x4500, length + 20, DONT_FRAGMENT, HOPS_LEFT << 8 | UDP, checksum, pair.packed, *ends)


def headers(
    pair: Endpoints, protocol: int, source_port: int, destination_port: int, payload: bytes, seq: int = 0, ack: int = 0
) -> bytes:
    """Headers to put before `payload` (not the payload itself), checksums included.

    protocol: UDP or TCP; seq and ack are read for TCP only.
    """
    if protocol == UDP and pair.version == 4:
        return IPV4_UDP.pack(*udp_v4_fields(pair, source_port, destination_port, payload))
    length = (8 if protocol == UDP else 20) + len(payload)
    total = pair.address_sum + protocol + length + source_port + destination_port + _sum(payload)
    if protocol == UDP:
        tail: tuple[int, ...] = (source_port, destination_port, length, 0xFFFF - (total + length) % 0xFFFF)
    else:
        checksum = (
            0xFFFF
            - (total + (seq >> 16) + (seq & 0xFFFF) + (ack >> 16) + (ack & 0xFFFF) + PUSH_ACK_5_WORDS + WINDOW) % 0xFFFF
        )
        tail = (source_port, destination_port, seq, ack, PUSH_ACK_5_WORDS, WINDOW, checksum, 0)
    if pair.version == 4:
        word = HOPS_LEFT << 8 | protocol
        checksum = 0xFFFF - (0x4500 + length + 20 + DONT_FRAGMENT + word + pair.address_sum) % 0xFFFF
        return IPV4_TCP.pack(0x4500, length + 20, DONT_FRAGMENT, word, checksum, pair.packed, *tail)
    form = IPV6_UDP if protocol == UDP else IPV6_TCP
    return form.pack(0x60000000, length, protocol << 8 | HOPS_LEFT, pair.packed, *tail)


def most(pair: Endpoints, protocol: int) -> int:
    """Payload octets that one packet between these holds."""
    if protocol == TCP:
        return TCP_PART_BYTES
    return UDP_V4_MAX if pair.version == 4 else UDP_V6_MAX


class SequenceNumbers:
    """Where each TCP flow's two directions stand; bounded, the flow least recently opened is forgotten first.

    A flow begins beyond every number given out before, so that a flow that was forgotten and returns looks like one
    with a gap, never like a retransmission.
    """

    def __init__(self, max_flows: int = 8192) -> None:
        self._next: dict[tuple[str, int, str, int], list[int]] = {}
        self._max_flows = max_flows
        self._highest = 1

    def advance(self, flow: tuple[str, int, str, int], *, outward: bool, octets: int) -> tuple[int, int]:
        """(sequence, acknowledgement) for `octets` more in that direction."""
        state = self._next.get(flow)
        if state is None:
            if len(self._next) >= self._max_flows:
                del self._next[next(iter(self._next))]
            state = self._next[flow] = [self._highest, self._highest]
        sequence = state[outward]
        state[outward] = sequence + octets
        self._highest = max(self._highest, sequence + octets)
        return sequence & 0xFFFFFFFF, state[not outward] & 0xFFFFFFFF
