"""Capture files down to packets: pcap in all its kinds, and pcapng, from any stream, whole or cut.

Every walker yields `Packet` tuples and never raises for what the bytes say: what cannot be read ends in `unread`
(reason -> count). Layouts: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng; the "modified" pcap with its longer
record header is Alexey Kuznetsov's patch, as libpcap reads it.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

__all__ = [
    "MAX_PACKET_BYTES",
    "Interface",
    "Packet",
    "PacketSource",
    "Readable",
    "Section",
    "comments",
    "is_pcap",
    "is_pcapng",
    "options",
    "walk_pcap",
    "walk_pcapng",
]

MAX_PACKET_BYTES: Final = 1 << 20
"""No link carries more in a packet; a longer record is damage, or an attack on memory."""
MAX_BLOCK_BYTES: Final = MAX_PACKET_BYTES + 65_536
MAX_INTERFACES: Final = 65_536
MAX_NAME: Final = 512
"""Octets of an interface's name that are kept: the longest names of all interfaces together would take 4 GiB."""
CHUNK: Final = 1 << 20
NS_PER_S: Final = 1_000_000_000
CUT_FILE: Final = "file ends inside a packet"
BAD_RECORD: Final = "rest of file after an impossible packet length"
BAD_BLOCK: Final = "rest of file after a damaged pcapng block"
NO_INTERFACE: Final = "packet of an undescribed pcapng interface"
OVERSIZE: Final = "packet record over 1 MiB"

PCAP_MAGICS: Final[dict[bytes, tuple[str, int, int]]] = {
    # magic as it stands in the file: byte order, nanoseconds a tick, octets in a record header
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
PCAP_HEADER: Final = 24
PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
BYTE_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
LINKTYPE_MASK: Final = 0x03FFFFFF

SECTION, INTERFACE, OLD_PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
OPT_COMMENT, IF_NAME, IF_TSRESOL, IF_TSOFFSET = 1, 2, 9, 14


@dataclass(slots=True)
class Section:
    """One section of a pcapng file (a pcap file is taken as one section)."""

    order: str
    comments: tuple[str, ...] = ()
    interfaces: list["Interface"] = field(default_factory=list)


@dataclass(slots=True)
class Interface:
    """Where packets were captured: link type (as tcpdump.org numbers them) and how its clock ticks."""

    link_type: int
    section: Section
    name: str = ""
    ticks_per_s: int = 1_000_000
    offset_s: int = 0
    snap_length: int = 0


NO_TIME_NS: Final = -1
"""Stands for the time of a packet that has none, or one that is no date (beyond the year 2262)."""
Packet = tuple[int, Interface, int, bytes, bytes]
"""(time in ns since the epoch or NO_TIME_NS, interface, octets on the wire, octets captured, pcapng options or b"")."""


class Readable(Protocol):
    """What a capture is read from: a file, a pipe, a decompressor."""

    def read(self, size: int, /) -> bytes: ...


class PacketSource:
    """A stream read in large chunks, with what could not be read counted by reason.

    buffer, at: what was read and where the next octet stands in it. position: octets read from the stream so far.
    """

    def __init__(self, stream: Readable, head: bytes = b"", unread: Counter[str] | None = None) -> None:
        """head: octets already read from the start of the stream."""
        # Give what is there of a pipe rather than wait for a full chunk.
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self.buffer = head
        self.at = 0
        self.position = len(head)
        self.unread: Counter[str] = Counter() if unread is None else unread

    def have(self, octets: int) -> bool:
        """Whether `octets` more stand in `buffer` from `at` on, reading when they do not yet."""
        while len(self.buffer) - self.at < octets:
            more = self._read(max(CHUNK, octets - (len(self.buffer) - self.at)))
            if not more:
                return False
            self.buffer = self.buffer[self.at :] + more
            self.at = 0
            self.position += len(more)
        return True

    def take(self, octets: int) -> bytes | None:
        """The next `octets`, or None when the stream ends before."""
        if not self.have(octets):
            return None
        data = self.buffer[self.at : self.at + octets]
        self.at += octets
        return data

    def skip(self, octets: int) -> bool:
        """Pass over `octets` without holding them; False when the stream ends before."""
        while octets > 0:
            step = min(octets, CHUNK)
            if not self.have(step):
                return False
            self.at += step
            octets -= step
        return True

    @property
    def exhausted(self) -> bool:
        return not self.have(1)


def is_pcap(head: bytes) -> bool:
    return head[:4] in PCAP_MAGICS


def is_pcapng(head: bytes) -> bool:
    return head[:4] == PCAPNG_MAGIC


def walk_pcap(source: PacketSource) -> Iterator[Packet]:
    """The packets of a pcap file, and of those joined to its end; `source` stands at its magic number."""
    while (header := source.take(PCAP_HEADER)) is not None:
        order, tick_ns, record_length = PCAP_MAGICS[header[:4]]
        _, minor, _, _, snap_length, network = struct.unpack(order + "HHiIII", header[4:])
        interface = Interface(network & LINKTYPE_MASK, Section(order), snap_length=snap_length)
        unpack = struct.Struct(order + "IIII").unpack_from
        another = False
        while not another and source.have(record_length):
            # The common case, all packets of a chunk, without a call for each.
            buffer, at, end = source.buffer, source.at, len(source.buffer)
            while at + record_length <= end:
                seconds, ticks, captured, original = unpack(buffer, at)
                if captured > original and minor < 4:  # before 2.4 some writers had these the other way round
                    captured, original = original, captured
                if captured > MAX_PACKET_BYTES:
                    source.at = at
                    source.unread[BAD_RECORD] += 1
                    return
                start = at + record_length
                if start + captured > end:
                    break
                if not captured and is_pcap(buffer[at : at + 4]):  # no packet of no octets in 2055, but a header
                    another = True
                    break
                at = start + captured
                yield seconds * NS_PER_S + ticks * tick_ns, interface, original, buffer[start:at], b""
            source.at = at
            if end - at >= record_length and not source.have(record_length + captured):
                source.unread[CUT_FILE] += 1
                return
        if not another:
            if not source.exhausted:
                source.unread[CUT_FILE] += 1
            return
    source.unread[CUT_FILE] += 1


def walk_pcapng(source: PacketSource) -> Iterator[Packet]:
    """The packets of a pcapng file of any number of sections; `source` stands at its first block."""
    section = Section("<")
    for kind, order, block in _blocks(source):
        read_packet = PACKET_BLOCKS.get(kind)
        if read_packet:
            packet = read_packet(source, section, block)
            if packet is not None:
                yield packet
        elif kind == INTERFACE and len(section.interfaces) < MAX_INTERFACES:
            section.interfaces.append(_interface(section, block))
        elif kind == SECTION:
            section = Section(order, comments(block[24:-4], order))


def _blocks(source: PacketSource) -> Iterator[tuple[int, str, bytes]]:
    """(type, byte order, whole block) of each block; those too large to be held are passed over."""
    order = "<"
    while source.have(12):
        if source.buffer.startswith(PCAPNG_MAGIC, source.at):
            found = BYTE_ORDERS.get(source.buffer[source.at + 8 : source.at + 12])
            if found is None:
                source.unread[BAD_BLOCK] += 1
                return
            order = found
        kind, total = struct.unpack_from(order + "II", source.buffer, source.at)
        if total < 12:
            source.unread[BAD_BLOCK] += 1
            return
        total = (total + 3) & ~3
        if total > MAX_BLOCK_BYTES:
            if kind in PACKET_BLOCKS:
                source.unread[OVERSIZE] += 1
            if source.skip(total):
                continue
            break
        block = source.take(total)
        if block is None:
            break
        yield kind, order, block
    if not source.exhausted:
        source.unread[CUT_FILE] += 1


def _interface(section: Section, block: bytes) -> Interface:
    if len(block) < 20:
        return Interface(-1, section)
    link_type, _, snap_length = struct.unpack_from(section.order + "HHI", block, 8)
    interface = Interface(link_type, section, snap_length=snap_length)
    for code, value in options(block[16:-4], section.order):
        if code == IF_NAME:
            interface.name = value[:MAX_NAME].decode("utf-8", "replace")
        elif code == IF_TSRESOL and value:
            power = value[0] & 0x7F
            interface.ticks_per_s = 1 << power if value[0] & 0x80 else 10 ** min(power, 30)
        elif code == IF_TSOFFSET and len(value) == 8:
            interface.offset_s = struct.unpack(section.order + "q", value)[0]
    return interface


def _described(layout: str, source: PacketSource, section: Section, block: bytes) -> Packet | None:
    """A block that names its interface. layout: of number, time in two halves, octets captured and on the wire."""
    if len(block) < 32:
        return _undescribed(source)
    number, high, low, captured, original = struct.unpack_from(section.order + layout, block, 8)
    if number >= len(section.interfaces) or 28 + captured > len(block) - 4:
        return _undescribed(source)
    interface = section.interfaces[number]
    end = 28 + captured
    return _moment(interface, high << 32 | low), interface, original, block[28:end], block[(end + 3) & ~3 : -4]


def _simple(source: PacketSource, section: Section, block: bytes) -> Packet | None:
    """A Simple Packet Block: without a time, always the section's first interface."""
    if len(block) < 16 or not section.interfaces:
        return _undescribed(source)
    interface = section.interfaces[0]
    (original,) = struct.unpack_from(section.order + "I", block, 8)
    captured = min(original, interface.snap_length or original, len(block) - 16)
    return NO_TIME_NS, interface, original, block[12 : 12 + captured], b""


PACKET_BLOCKS: Final[dict[int, Callable[[PacketSource, Section, bytes], Packet | None]]] = {
    ENHANCED: partial(_described, "IIIII"),
    SIMPLE: _simple,
    OLD_PACKET: partial(_described, "H2xIIII"),  # behind the number, packets that were dropped
}


def _undescribed(source: PacketSource) -> Packet | None:
    source.unread[NO_INTERFACE] += 1
    return None


def _moment(interface: Interface, ticks: int) -> int:
    moment_ns = ticks if interface.ticks_per_s == NS_PER_S else ticks * NS_PER_S // interface.ticks_per_s
    moment_ns += interface.offset_s * NS_PER_S
    return moment_ns if 0 <= moment_ns < 1 << 63 else NO_TIME_NS


def options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(code, value) of each option in an option list; ends at its end mark, at a cut, or at nonsense."""
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(order + "HH", data, at)
        if code == 0 or at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + ((length + 3) & ~3)


def comments(data: bytes, order: str) -> tuple[str, ...]:
    """The comments in an option list."""
    return tuple(value.decode("utf-8", "replace") for code, value in options(data, order) if code == OPT_COMMENT)
