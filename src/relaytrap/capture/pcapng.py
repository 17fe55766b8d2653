"""Writing observations as pcapng that any capture tool opens and `segment` reads back exactly.

One Enhanced Packet Block an observation (a few for a message larger than a packet), link type raw IP with synthesised
IP, UDP and TCP headers, nanosecond stamps, `epb_flags` for the direction. One interface a sensor, named after it. What
the headers cannot say (the wire carried TLS; notes; the capture an import came from) stands in packet comments: one
for people, one for machines that starts with `relaytrap:` and goes on with a JSON object.

A piece of a stream that does not end where its headers say (junk, a message cut short, one without Content-Length)
stands as a UDP datagram, with a comment: within a TCP flow, readers would take the next message for its rest.

Block layout: draft-ietf-opsawg-pcapng, sections 4.1 (Section Header), 4.2 (Interface Description), 4.3 (Enhanced
Packet). Sections are big-endian.
"""

import contextlib
import errno
import io
import json
import os
import struct
from collections.abc import Iterable
from typing import Final, Protocol

from relaytrap import __version__
from relaytrap.capture import synthesis
from relaytrap.capture.recognition import is_one_message
from relaytrap.observation import FORMAT_VERSION, Direction, Observation

__all__ = ["MARK", "SegmentWriter", "write_capture"]

MARK: Final = "relaytrap:"
"""How a comment for machines starts, in the section header and at packets."""

LINKTYPE_RAW: Final = 101
OPT_COMMENT, OPT_USERAPPL, IF_NAME, IF_TSRESOL, EPB_FLAGS = 1, 4, 2, 9, 2
SECTION, INTERFACE, ENHANCED = 0x0A0D0D0A, 1, 6
UNKNOWN_LENGTH: Final = b"\xff" * 8
END_OF_OPTIONS: Final = bytes(4)
DIRECTION_OPTION: Final[dict[Direction, bytes]] = {
    "in": struct.pack(">HHI", EPB_FLAGS, 4, 1),
    "out": struct.pack(">HHI", EPB_FLAGS, 4, 2),
}
ENHANCED_HEADER: Final = struct.Struct(">IIIIIII")
PLAIN_DATAGRAM: Final = struct.Struct(">IIIQII" + synthesis.IPV4_UDP.format.lstrip(">"))
"""The headers of the usual packet, block and IPv4 and UDP, in one go."""
END_AND_LENGTH: Final = struct.Struct(">II")
LENGTH: Final = struct.Struct(">I")
PADDING: Final = (b"", bytes(3), bytes(2), bytes(1))
"""By length modulo 4."""
PLAIN_TAIL: Final = {
    direction: tuple(padding + option + END_OF_OPTIONS for padding in PADDING)
    for direction, option in DIRECTION_OPTION.items()
}
"""What follows the payload of the usual packet, but for the block's length; by direction and length modulo 4."""

PLAIN: Final = frozenset({"udp", "tcp"})
OVER_UDP: Final = frozenset({"udp", "sctp"})
CARRIED: Final = {
    "tcp": "over TCP",
    "tls": "inside TLS",
    "ws": "as a WebSocket message (RFC 7118)",
    "wss": "as a WebSocket message inside TLS (RFC 7118)",
    "sctp": "over SCTP",
}
WEBSOCKET: Final = frozenset({"ws", "wss"})
"""Written with SIP's port, because on a web port every reader takes the plain message for broken HTTP."""
NO_ADDRESS: Final = "0.0.0.0"
SIP_PORT: Final = 5060


class ByteSink(Protocol):
    """What a segment is written to: a raw or buffered file, or anything with `write`."""

    def write(self, data: bytes, /) -> int | None: ...


class SegmentWriter:
    """Appends observations to one pcapng file; the file may end, or be killed, after any observation.

    Each observation is one `write` call on `file`. When that call takes less than all (the disk is full), the file is
    cut back to the last whole observation, if it can be, and OSError is raised; the writer may be used again later.
    size: octets written so far. count: observations written so far.
    """

    def __init__(self, file: ByteSink, *, sensor: str, segment: int = 0) -> None:
        self._file = file
        self._interfaces: dict[str, int] = {}
        self._sequences = synthesis.SequenceNumbers()
        self.size = 0
        self.count = 0
        self._append(section_header(sensor, segment) + self._new_interface(sensor))

    def write(self, observation: Observation) -> int:
        """Append one observation; octets that took."""
        plain = self._plain_datagram(observation)
        if plain:
            self._append(plain)
            self.count += 1
            return len(plain)
        interface = self._interfaces.get(observation.sensor)
        prefix = b""
        if interface is None:
            prefix = self._new_interface(observation.sensor)
            interface = self._interfaces[observation.sensor]
        try:
            data = self._record(interface, observation)
            self._append(prefix + data if prefix else data)
        except OSError:
            if prefix:
                del self._interfaces[observation.sensor]
            raise
        self.count += 1
        return len(prefix) + len(data)

    def append_blocks(self, blocks: bytes, observations: int) -> None:
        """Append what another writer made of so many observations of this one's first sensor."""
        self._append(blocks)
        self.count += observations

    def _plain_datagram(self, observation: Observation) -> bytes:
        """The block of an observation whose headers say all, in one step: most are such. b"" for any other."""
        raw, interface = observation.raw, self._interfaces.get(observation.sensor)
        if observation.transport != "udp" or interface is None or observation.notes or observation.frame:
            return b""
        if observation.capture or len(raw) > synthesis.UDP_V4_MAX:
            return b""
        if observation.direction == "in":
            source, source_port = observation.source, observation.source_port
            target, target_port = observation.local, observation.local_port
        else:
            source, source_port = observation.local, observation.local_port
            target, target_port = observation.source, observation.source_port
        try:
            pair = synthesis.endpoints(source, target)
        except OSError:
            return b""
        if pair.version != 4:
            return b""
        octets = len(raw) + 28
        total = (octets + 3 & ~3) + 44
        fields = synthesis.udp_v4_fields(pair, source_port, target_port, raw)
        head = PLAIN_DATAGRAM.pack(ENHANCED, total, interface, observation.received_at_ns, octets, octets, *fields)
        return b"".join((head, raw, PLAIN_TAIL[observation.direction][octets & 3], LENGTH.pack(total)))

    def _append(self, data: bytes) -> None:
        try:
            written = self._file.write(data)
            if written is not None and written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._cut_back()
            raise
        self.size += len(data)

    def _cut_back(self) -> None:
        if isinstance(self._file, io.IOBase) and self._file.seekable():
            with contextlib.suppress(OSError):
                self._file.seek(self.size)
                self._file.truncate()

    def _new_interface(self, sensor: str) -> bytes:
        self._interfaces[sensor] = len(self._interfaces)
        return interface_description(sensor)

    def _record(self, interface: int, observation: Observation) -> bytes:
        """The Enhanced Packet Blocks of one observation: one, or several when it is larger than a packet."""
        raw = observation.raw
        beyond = _beyond(observation)
        pair = _endpoints(observation, beyond)
        protocol = synthesis.UDP
        if observation.transport not in OVER_UDP:
            if is_one_message(raw) or not raw.strip(b"\r\n"):
                protocol = synthesis.TCP
            else:
                beyond["transport"] = observation.transport
        most = synthesis.most(pair, protocol)
        if len(raw) <= most:
            head = self._headers(observation, pair, protocol, raw)
            return _enhanced_packet(interface, observation, head, raw, beyond, protocol)
        blocks = []
        cuts = range(0, len(raw), most)
        for number, at in enumerate(cuts, 1):
            part = raw[at : at + most]
            head = self._headers(observation, pair, protocol, part)
            beyond |= {"part": number, "of": len(cuts)}
            blocks.append(_enhanced_packet(interface, observation, head, part, beyond, protocol))
        return b"".join(blocks)

    def _headers(self, observation: Observation, pair: synthesis.Endpoints, protocol: int, payload: bytes) -> bytes:
        """IP and UDP or TCP headers for one packet."""
        outward = observation.direction == "out"
        local_port = SIP_PORT if observation.transport in WEBSOCKET else observation.local_port
        ports = (local_port, observation.source_port) if outward else (observation.source_port, local_port)
        if protocol == synthesis.UDP:
            return synthesis.headers(pair, protocol, *ports, payload)
        flow = (observation.source, observation.source_port, observation.local, observation.local_port)
        sequence, acknowledgement = self._sequences.advance(flow, outward=outward, octets=len(payload))
        return synthesis.headers(pair, protocol, *ports, payload, sequence, acknowledgement)


def _endpoints(observation: Observation, beyond: dict[str, object]) -> synthesis.Endpoints:
    """The packed addresses in the packet's direction; text that is no address goes to `beyond` instead."""
    ends = (observation.source, observation.local)
    try:
        return synthesis.endpoints(*(reversed(ends) if observation.direction == "out" else ends))
    except OSError:
        beyond |= {"source": observation.source, "local": observation.local}
        return synthesis.endpoints(NO_ADDRESS, NO_ADDRESS)


def _beyond(observation: Observation) -> dict[str, object]:
    """What the headers cannot say of it."""
    beyond: dict[str, object] = {}
    if observation.transport not in PLAIN:
        beyond["transport"] = observation.transport
    if observation.transport in WEBSOCKET:
        beyond["local_port"] = observation.local_port
    if observation.notes:
        beyond["notes"] = observation.notes
    if observation.capture or observation.frame:
        beyond |= {"capture": observation.capture, "frame": observation.frame}
    return beyond


def _enhanced_packet(
    interface: int, observation: Observation, head: bytes, payload: bytes, beyond: dict[str, object], protocol: int
) -> bytes:
    captured = len(head) + len(payload)
    pad = PADDING[captured & 3]
    options = DIRECTION_OPTION[observation.direction]
    if beyond:
        options += packet_comments(beyond, protocol)
    total = 36 + captured + len(pad) + len(options)
    moment = observation.received_at_ns
    start = ENHANCED_HEADER.pack(ENHANCED, total, interface, moment >> 32, moment & 0xFFFFFFFF, captured, captured)
    return b"".join((start, head, payload, pad, options, END_AND_LENGTH.pack(0, total)))


def write_capture(file: ByteSink, observations: Iterable[Observation], *, title: str = "download") -> int:
    """Write observations of any number of sensors as one pcapng; how many."""
    writer = SegmentWriter(file, sensor=title)
    for observation in observations:
        writer.write(observation)
    return writer.count


def section_header(sensor: str, segment: int) -> bytes:
    """A Section Header Block that says which program, sensor and segment this is."""
    person = f"Relaytrap segment {segment} of sensor {sensor!a}: IP, UDP and TCP headers are synthesised."
    options = (
        _comment(person)
        + _comment(_machine({"format": FORMAT_VERSION, "sensor": sensor, "segment": segment}))
        + _option(OPT_USERAPPL, f"Relaytrap {__version__}".encode())
    )
    body = struct.pack(">IHH", 0x1A2B3C4D, 1, 0) + UNKNOWN_LENGTH + options + END_OF_OPTIONS
    return _block(SECTION, body)


def interface_description(sensor: str) -> bytes:
    """An Interface Description Block: raw IP, nanoseconds, no snap length, named after the sensor."""
    options = _option(IF_NAME, sensor.encode()) + _option(IF_TSRESOL, b"\x09")
    return _block(INTERFACE, struct.pack(">HHI", LINKTYPE_RAW, 0, 0) + options + END_OF_OPTIONS)


def packet_comments(beyond: dict[str, object], protocol: int) -> bytes:
    """What the headers cannot say, as comment options: for people where it needs saying, always for machines."""
    said = _said(beyond, protocol)
    return (_comment(said) if said else b"") + _comment(_machine(beyond))


def _said(beyond: dict[str, object], protocol: int) -> str:
    carried = CARRIED.get(str(beyond.get("transport")))
    if not carried:
        return ""
    said = f"The wire carried this {carried}; "
    if protocol == synthesis.TCP:
        said += "here it stands as plain TCP."
    elif beyond["transport"] in OVER_UDP:
        said += "here it stands as a UDP datagram."
    else:
        said += "it does not end where its headers say, so here it stands as a datagram by itself."
    if "local_port" in beyond:
        said += f" Its port was {beyond['local_port']}, not {SIP_PORT}."
    return said


def _machine(fields: dict[str, object]) -> str:
    return MARK + json.dumps(fields, separators=(",", ":"))


def _comment(text: str) -> bytes:
    return _option(OPT_COMMENT, text.encode())


def _option(code: int, value: bytes) -> bytes:
    return struct.pack(">HH", code, len(value)) + value + PADDING[len(value) & 3]


def _block(kind: int, body: bytes) -> bytes:
    total = struct.pack(">I", len(body) + 12)
    return struct.pack(">I", kind) + total + body + total
