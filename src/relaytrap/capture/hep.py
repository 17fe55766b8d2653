"""HEP, the Homer Encapsulation Protocol: SIP as a capture agent passes it on, with the endpoints it saw.

HEP3: `HEP3`, total length, then chunks of (vendor, type, length, value), all big-endian; versions 1 and 2 have a fixed
header. Layout: github.com/sipcapture/HEP, docs/HEP3NetworkProtocolSpecification_REV26; versions 1 and 2 as sipcapture's
agents write them (addresses big-endian, the time of version 2 in the agent's own byte order).
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from relaytrap.capture.recognition import begins_message

__all__ = ["HEP3_MAGIC", "MAX_HEP_BYTES", "HepMessage", "hep3_length", "read_hep"]

HEP3_MAGIC: Final = b"HEP3"
MAX_HEP_BYTES: Final = 65_535
MAX_UNPACKED: Final = 1 << 20
MAX_GROWTH: Final = 64
"""Times its octets that a payload may unpack to: SIP comes to 2 to 4 times, deflate itself allows a thousand."""

IP_PROTOCOL, SOURCE_4, DESTINATION_4, SOURCE_6, DESTINATION_6, SOURCE_PORT, DESTINATION_PORT = 2, 3, 4, 5, 6, 7, 8
SECONDS, MICROSECONDS, CAPTURE_ID, KEY, PAYLOAD, COMPRESSED_PAYLOAD = 9, 10, 12, 14, 15, 16
NODE: Final = 19
"""Not in the specification: the agent's name, as heplify and captagent send it."""
FAMILY_4, FAMILY_6 = 2, 10


@dataclass(frozen=True, slots=True)
class HepMessage:
    """One message and its endpoints as the agent saw them."""

    version: int
    protocol: int
    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    moment_ns: int | None
    """None when the packet does not say."""
    payload: bytes
    missing: int
    """Octets of the payload that are not there, because the HEP packet itself was cut."""
    capture_id: int = 0
    """Number that the operator gave the agent; 0 when the packet does not say."""
    node: bytes = b""
    """Name of the agent, when it sends one."""
    key: bytes = b""
    """What it shows for authentication."""


def hep3_length(octets: bytes) -> int:
    """Length that a HEP3 packet at the start of `octets` says it has; 0 when none starts there."""
    if len(octets) < 6 or octets[:4] != HEP3_MAGIC:
        return 0
    return octets[4] << 8 | octets[5]


def read_hep(datagram: bytes, now_ns: int) -> HepMessage | None:
    """The message in a HEP datagram of any version; None when it is none, or has no payload.

    now_ns: when the datagram was captured, to tell the byte order of a version 2 time.
    """
    if datagram[:4] == HEP3_MAGIC:
        return _read_3(datagram)
    if len(datagram) > 16 and datagram[0] in (1, 2):
        return _read_1_or_2(datagram, now_ns)
    return None


def _chunks(datagram: bytes) -> dict[int, tuple[bytes, int]]:
    """Type -> (value, octets missing at its end) of the generic vendor's chunks; the first of each type."""
    found: dict[int, tuple[bytes, int]] = {}
    at = 6
    while at + 6 <= len(datagram):
        vendor, kind, length = struct.unpack_from(">HHH", datagram, at)
        if length < 6:
            break
        value = datagram[at + 6 : at + length]
        if vendor == 0:
            found.setdefault(kind, (value, length - 6 - len(value)))
        at += length
    return found


def _read_3(datagram: bytes) -> HepMessage | None:
    chunks = _chunks(datagram)
    payload, missing = chunks.get(PAYLOAD, (b"", 0))
    if not payload:
        payload, missing = _unpacked(*chunks.get(COMPRESSED_PAYLOAD, (b"", 0)))
    source = _address(chunks, SOURCE_4, SOURCE_6)
    destination = _address(chunks, DESTINATION_4, DESTINATION_6)
    if not payload or not source or not destination:
        return None
    seconds = _number(chunks, SECONDS, 4)
    return HepMessage(
        3,
        _number(chunks, IP_PROTOCOL, 1),
        source,
        _number(chunks, SOURCE_PORT, 2),
        destination,
        _number(chunks, DESTINATION_PORT, 2),
        seconds * 1_000_000_000 + _number(chunks, MICROSECONDS, 4) * 1000 if seconds else None,
        payload,
        missing,
        _number(chunks, CAPTURE_ID, 4),
        chunks.get(NODE, (b"", 0))[0],
        chunks.get(KEY, (b"", 0))[0],
    )


def _address(chunks: dict[int, tuple[bytes, int]], kind_4: int, kind_6: int) -> bytes:
    for kind, length in ((kind_4, 4), (kind_6, 16)):
        value = chunks.get(kind, (b"", 0))[0]
        if len(value) == length:
            return value
    return b""


def _number(chunks: dict[int, tuple[bytes, int]], kind: int, length: int) -> int:
    return int.from_bytes(chunks.get(kind, (b"", 0))[0][:length], "big")


def _unpacked(data: bytes, missing: int) -> tuple[bytes, int]:
    """A zlib or gzip payload, as far as it unpacks; bounded."""
    if not data:
        return b"", 0
    inflate = zlib.decompressobj(wbits=47)
    try:
        payload = inflate.decompress(data, min(MAX_UNPACKED, MAX_GROWTH * len(data)))
    except zlib.error:
        return b"", 0
    return payload, missing or int(not inflate.eof)


def _read_1_or_2(datagram: bytes, now_ns: int) -> HepMessage | None:
    """Fixed header: version, length, family, protocol, ports, addresses; version 2 then has time and agent."""
    version, _, family, protocol, source_port, destination_port = struct.unpack_from(">BBBBHH", datagram)
    size = {FAMILY_4: 4, FAMILY_6: 16}.get(family, 0)
    addresses_end = 8 + 2 * size
    if not size or len(datagram) <= addresses_end:
        return None
    at, moment_ns, capture_id = addresses_end, None, 0
    if version == 2:
        at += 12
        moment_ns, capture_id = _time_and_agent_2(datagram[addresses_end:at], now_ns)
    if not begins_message(datagram[at:]):
        return None
    return HepMessage(
        version,
        protocol,
        datagram[8 : 8 + size],
        source_port,
        datagram[8 + size : addresses_end],
        destination_port,
        moment_ns,
        datagram[at:],
        0,
        capture_id,
    )


def _time_and_agent_2(field: bytes, now_ns: int) -> tuple[int | None, int]:
    """Time and capture id, in whichever byte order is nearer to the time of capture."""
    if len(field) < 10:
        return None, 0
    found: list[tuple[int, int]] = []
    for order in "<>":
        seconds, microseconds, capture_id = struct.unpack_from(order + "IIH", field)
        found.append((seconds * 1_000_000_000 + microseconds * 1000, capture_id))
    return min(found, key=lambda each: abs(each[0] - now_ns))
