"""Reading back what `pcapng.SegmentWriter` wrote: every packet is an observation, exactly as it was."""

import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, cast, get_args

import msgspec

from relaytrap.capture.container import (
    BYTE_ORDERS,
    Packet,
    PacketSource,
    Readable,
    comments,
    is_pcapng,
    options,
    walk_pcapng,
)
from relaytrap.capture.pcapng import DIRECTION_OPTION, END_OF_OPTIONS, EPB_FLAGS, MARK
from relaytrap.errors import InputError
from relaytrap.observation import FORMAT_VERSION, Direction, Observation, Transport

__all__ = ["SegmentReader", "address_text", "mark_of", "read_segment", "segment_mark"]

HEAD_BYTES: Final = 4096
NOT_OURS: Final = "packet that no SegmentWriter wrote"
NO_ADDRESS: Final = "::"
NOT_AN_ADDRESS: Final = "the segment names an end that is no address"
ADDRESS_MAX: Final = 64
"""Of an IPv6 address at its longest with the name of an interface behind it."""
INCOMPLETE: Final = "observation whose later packets are missing"
TOO_LONG: Final = "observation in more packets than any has"
MAX_JOINED: Final = 1 << 22
"""Octets of an observation in several packets; a sensor's longest message is 1 MiB and its header part."""
PART_COST: Final = 48
"""Octets that a part takes beside its own; else parts of one or two octets would come to 20 times as much."""
UDP, TCP = 17, 6
AS_WRITTEN: Final[dict[bytes, Direction]] = {
    option + END_OF_OPTIONS: direction for direction, option in DIRECTION_OPTION.items()
}
"""The whole option list of an observation whose headers say all."""


@lru_cache(maxsize=65_536)
def address_text(packed: bytes) -> str:
    """Canonical text of 4 or 16 octets; an IPv4-mapped IPv6 address reads as IPv4."""
    if len(packed) == 16:
        address = ipaddress.IPv6Address(packed)
        return str(address.ipv4_mapped or address)
    return socket.inet_ntoa(packed)


def read_segment(stream: Readable, *, name: str = "segment") -> "SegmentReader":
    """The observations of a segment, in order, exactly as they were written.

    A segment that ends in mid-record gives everything before; `unread` of the reader says so. Raises InputError
    for what is no segment, or one of a newer format.
    """
    source = PacketSource(stream)
    source.have(12)
    if not is_pcapng(source.buffer):
        raise InputError(f"{name} is not a Relaytrap segment: it does not start like a pcapng file")
    return SegmentReader(source, name)


def mark_of(head: bytes) -> dict[str, Any] | None:
    """The mark in a file's first block, given its first octets (HEAD_BYTES are enough); None for other files."""
    order = BYTE_ORDERS.get(head[8:12]) if is_pcapng(head) else None
    if order is None or len(head) < 28:
        return None
    (length,) = struct.unpack_from(order + "I", head, 4)
    return segment_mark(comments(head[24 : max(24, length - 4)], order)) if 28 <= length <= len(head) else None


def segment_mark(section_comments: tuple[str, ...]) -> dict[str, Any] | None:
    """What the section header of one of our segments says of itself: format, sensor, segment; None in other files."""
    for comment in section_comments:
        mark = _machine(comment)
        if mark is not None and isinstance(mark.get("format"), int):
            return mark
    return None


class SegmentReader:
    """An iterable of Observation, once.

    unread: reason -> count of what was not read; complete after the last observation. Empty for a whole segment.
    """

    def __init__(self, source: PacketSource, name: str) -> None:
        self._source = source
        self._name = name
        self._decoder = SegmentDecoder(source.unread)
        self.unread: Counter[str] = source.unread

    def __iter__(self) -> Iterator[Observation]:
        section = None
        for packet in walk_pcapng(self._source):
            if packet[1].section is not section:
                section = packet[1].section
                check_mark(segment_mark(section.comments), self._name)
            observation = self._decoder.decode(packet)
            if observation is not None:
                yield observation
        self._decoder.finish()


def check_mark(mark: dict[str, Any] | None, name: str) -> None:
    """Raise InputError unless this version of Relaytrap reads sections marked so."""
    if mark is None:
        raise InputError(f"{name} is a pcapng file but not a Relaytrap segment; use `relaytrap import` for captures")
    if mark["format"] > FORMAT_VERSION:
        raise InputError(
            f"{name} has segment format {mark['format']}, and this Relaytrap reads up to {FORMAT_VERSION}: update it"
        )


class SegmentDecoder:
    """Packets of our own sections back to observations; joins those that were split."""

    def __init__(self, unread: Counter[str]) -> None:
        self._unread = unread
        self._parts: list[bytes] = []
        self._octets = 0

    def decode(self, packet: Packet) -> Observation | None:
        """The observation that this packet is or completes; None while more parts must follow."""
        moment, interface, _, data, option_list = packet
        ends = _headers(data)
        if ends is None or moment < 0:
            self._unread[NOT_OURS] += 1
            return None
        protocol, source, source_port, destination, destination_port, payload_at = ends
        direction, beyond = _said(option_list, interface.section.order)
        raw = self._joined(data[payload_at:], beyond)
        if raw is None:
            return None
        if direction == "out":
            source, source_port, destination, destination_port = destination, destination_port, source, source_port
        transport: Transport = "udp" if protocol == UDP else "tcp"
        if not beyond:
            return Observation(
                moment, interface.name, direction, transport, source, source_port, destination, destination_port, raw
            )
        said, notes = beyond.get("transport"), _texts(beyond.get("notes"))
        if "source" in beyond or "local" in beyond:
            source, destination = _address(beyond.get("source", source)), _address(beyond.get("local", destination))
            notes += (NOT_AN_ADDRESS,) if NO_ADDRESS in (source, destination) else ()
        return Observation(
            moment,
            interface.name,
            direction,
            cast(Transport, said) if said in get_args(Transport) else transport,
            source,
            source_port,
            destination,
            _number(beyond.get("local_port", destination_port)),
            raw,
            capture if isinstance(capture := beyond.get("capture"), str) else "",
            _number(beyond.get("frame")),
            notes,
        )

    def finish(self) -> None:
        """Say that no more packets come."""
        if self._parts:
            self._unread[INCOMPLETE] += 1
            self._forget()

    def _joined(self, payload: bytes, beyond: dict[str, Any]) -> bytes | None:
        number, of = _number(beyond.get("part")), _number(beyond.get("of"))
        if not of:
            self.finish()
            return payload
        if number != len(self._parts) + 1:
            self.finish()
            if number != 1:
                self._unread[INCOMPLETE] += 1
                return None
        self._parts.append(payload)
        if number < of:
            self._octets += len(payload) + PART_COST
            if self._octets > MAX_JOINED:
                self._unread[TOO_LONG] += 1
                self._forget()
            return None
        whole = b"".join(self._parts)
        self._forget()
        return whole

    def _forget(self) -> None:
        self._parts = []
        self._octets = 0


def _headers(data: bytes) -> tuple[int, str, int, str, int, int] | None:
    """protocol, source, port, destination, port, offset of the payload; None unless laid out as we lay them out."""
    if len(data) >= 28 and data[0] == 0x45:
        at, protocol = 20, data[9]
        source, destination = data[12:16], data[16:20]
    elif len(data) >= 48 and data[0] == 0x60:
        at, protocol = 40, data[6]
        source, destination = data[8:24], data[24:40]
    else:
        return None
    payload_at = at + (8 if protocol == UDP else 20)
    if protocol not in (UDP, TCP) or payload_at > len(data):
        return None
    return (
        protocol,
        address_text(source),
        data[at] << 8 | data[at + 1],
        address_text(destination),
        data[at + 2] << 8 | data[at + 3],
        payload_at,
    )


def _said(option_list: bytes, order: str) -> tuple[Direction, dict[str, Any]]:
    """Direction, and what comments for machines add, from a packet's options."""
    if len(option_list) == 12 and option_list in AS_WRITTEN:
        return AS_WRITTEN[option_list], {}
    direction: Direction = "in"
    for code, value in options(option_list, order):
        if code == EPB_FLAGS and len(value) == 4:
            direction = "out" if struct.unpack(order + "I", value)[0] & 3 == 2 else "in"
    for comment in comments(option_list, order):
        fields = _machine(comment)
        if fields is not None:
            return direction, fields
    return direction, {}


def _machine(comment: str) -> dict[str, Any] | None:
    if not comment.startswith(MARK):
        return None
    try:
        value = msgspec.json.decode(comment[len(MARK) :])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _address(value: object) -> str:
    """Canonical text of an address, with its zone; NO_ADDRESS for anything else, which a segment may hold as well."""
    if not isinstance(value, str) or len(value) > ADDRESS_MAX:
        return NO_ADDRESS
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return NO_ADDRESS
    return str(address) if "%" in value else address_text(address.packed)


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 32 else 0


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
