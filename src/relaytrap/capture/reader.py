"""Captures in, observations out: pcap, pcapng, HEP3 and our own segments, compressed or not, from any stream."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from relaytrap.capture import hep, recognition
from relaytrap.capture.container import (
    NO_TIME_NS,
    Interface,
    Packet,
    PacketSource,
    Readable,
    Section,
    is_pcap,
    is_pcapng,
    walk_pcap,
    walk_pcapng,
)
from relaytrap.capture.decompression import Decompressed, decompressor_for
from relaytrap.capture.direction import Directions, IpNetwork
from relaytrap.capture.dissection import Dissector, is_cut, is_incomplete
from relaytrap.capture.report import CaptureReport
from relaytrap.capture.segment import SegmentDecoder, check_mark, segment_mark
from relaytrap.errors import InputError
from relaytrap.observation import Observation
from relaytrap.sip import parse_message

__all__ = ["CaptureReader", "ReadOptions", "inspect_capture", "read_capture"]

DAMAGED_COMPRESSION: Final = "rest of file after damaged or cut compression"
CUT_HEP: Final = "file ends inside a HEP packet"
BAD_HEP: Final = "rest of file after something that is no HEP packet"
NO_TIME: Final = "no usable time in the capture; that of the packet before"
PLAIN_IPV4: Final = b"\x08\x00\x45"
ETHERNET: Final = 1
UDP: Final = 17
HEAD: Final = 16
PORTS: Final = struct.Struct(">HH").unpack_from


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read captures.

    own_networks: addresses of the local side; where they do not decide, the first message of a flow does.
    max_held_bytes: what unfinished TCP streams may hold together; a quarter of it goes for IP fragments on top, and
    another for SCTP chunks.
    """

    own_networks: tuple[IpNetwork, ...] = ()
    max_held_bytes: int = 64 << 20


def read_capture(stream: Readable, *, name: str, sensor: str, options: ReadOptions | None = None) -> "CaptureReader":
    """A reader of the capture in `stream`, which need not be seekable.

    name: file name, for the observations' `capture` and for messages to the operator. sensor: the observations'
    sensor (a sensor's own segments keep theirs). Raises InputError for what is no capture.
    """
    return CaptureReader(stream, name, sensor, options or ReadOptions())


def inspect_capture(stream: Readable, *, name: str, options: ReadOptions | None = None) -> CaptureReport:
    """Read a whole capture and parse each message, to say what is in it; nothing is kept."""
    reader = read_capture(stream, name=name, sensor="", options=options)
    for observation in reader:
        if not is_incomplete(observation) and _is_message(observation):
            reader.report.inspect(parse_message(observation.raw), cut=is_cut(observation))
    return reader.report


class CaptureReader:
    """An iterable of Observation, once, in the order in which messages become whole.

    report: counts so far; complete after the last observation. segments: sensor and number of each spool segment that
    was begun.
    """

    def __init__(self, stream: Readable, name: str, sensor: str, options: ReadOptions) -> None:
        self.report = CaptureReport()
        self.segments: set[tuple[str, int]] = set()
        self._name = name
        head = _read_head(stream)
        make = decompressor_for(head)
        self._decompressed = Decompressed(stream, head, make) if make else None
        self._source = PacketSource(self._decompressed or stream, b"" if make else head, self.report.unread)
        self._source.have(HEAD)
        self._dissector = Dissector(
            self.report, name, sensor, Directions(options.own_networks), max_held=options.max_held_bytes
        )
        self._observations = self._open(self._source.buffer)

    @property
    def position(self) -> int:
        """Octets of the file read so far, for a progress bar (compressed ones, when it is compressed)."""
        return self._decompressed.position if self._decompressed else self._source.position

    @property
    def held(self) -> int:
        """Octets of unfinished streams and datagrams held in memory."""
        return self._dissector.held

    def __iter__(self) -> Iterator[Observation]:
        yield from self._observations
        if self._decompressed and self._decompressed.damaged:
            self.report.unread[DAMAGED_COMPRESSION] += 1

    def _open(self, head: bytes) -> Iterator[Observation]:
        """Choose by the first octets; generators, so that nothing is read yet."""
        if is_pcap(head):
            return self._packets(walk_pcap(self._source))
        if is_pcapng(head):
            return self._packets(walk_pcapng(self._source))
        if head.startswith(hep.HEP3_MAGIC):
            return self._hep_packets()
        if self._decompressed and self._decompressed.damaged:
            raise InputError(f"{self._name} cannot be unpacked: it is damaged or cut within its first block")
        if not head:
            raise InputError(f"{self._name} is empty: there is nothing to read")
        raise InputError(
            f"{self._name} is no capture that Relaytrap reads: it is not pcap, pcapng or HEP3, plain or compressed "
            "(for other formats: editcap -F pcapng, which comes with Wireshark)"
        )

    def _packets(self, packets: Iterator[Packet]) -> Iterator[Observation]:
        report, dissector, begins = self.report, self._dissector, recognition.begins_message
        interface: Interface | None = None
        segment: SegmentDecoder | None = None
        number = last_ns = link_type = 0
        for moment_ns, packet_interface, original, data, option_list in packets:
            number += 1
            report.packets = number
            if packet_interface is not interface:
                interface = packet_interface
                link_type = interface.link_type
                segment = self._segment_of(interface.section, segment)
            if segment is not None:
                yield from self._from_segment(segment, (moment_ns, interface, original, data, option_list), number)
                continue
            notes: tuple[str, ...] = ()
            if moment_ns < 0:
                moment_ns, notes = last_ns, (NO_TIME,)
            last_ns = moment_ns
            if link_type == ETHERNET and data[12:15] == PLAIN_IPV4 and len(data) > 42 and data[23] == UDP and not notes:
                # Nearly every packet of a SIP capture: a whole UDP datagram in a plain frame.
                end = 14 + (data[16] << 8 | data[17])
                fits = end <= len(data) and (data[38] << 8 | data[39]) == end - 34
                if fits and not data[20] & 0x3F and not data[21] and begins(payload := data[42:end]):
                    source_port, destination_port = PORTS(data, 34)
                    yield dissector.observe(
                        moment_ns, "udp", data[26:30], source_port, data[30:34], destination_port, payload, number
                    )
                    continue
            yield from dissector.packet(link_type, data, original, number, moment_ns, notes)
        if segment is not None:
            segment.finish()
        yield from dissector.finish()

    def _segment_of(self, section: Section, current: SegmentDecoder | None) -> SegmentDecoder | None:
        """The decoder for packets of a section that our own SegmentWriter wrote; None for other sections."""
        mark = segment_mark(section.comments)
        if mark is None:
            return None
        check_mark(mark, self._name)
        sensor, number = mark.get("sensor"), mark.get("segment")
        if isinstance(sensor, str) and isinstance(number, int) and 0 < number < 1 << 62:
            self.segments.add((sensor, number))
        return current or SegmentDecoder(self.report.unread)

    def _from_segment(self, decoder: SegmentDecoder, packet: Packet, number: int) -> Iterator[Observation]:
        observation = decoder.decode(packet)
        if observation is None:
            return
        self.report.observations += 1
        if is_incomplete(observation):
            self.report.incomplete += 1
        elif _is_message(observation):
            self.report.messages += 1
        yield replace(observation, capture=self._name, frame=number)

    def _hep_packets(self) -> Iterator[Observation]:
        """A file or stream of HEP3 packets one behind the other."""
        source, last_ns = self._source, 0
        while source.have(6):
            length = hep.hep3_length(source.buffer[source.at : source.at + 6])
            if length < 6:
                source.unread[BAD_HEP] += 1
                return
            packet = source.take(length)
            if packet is None:
                break
            self.report.packets += 1
            for seen in self._dissector.hep_packet(packet, self.report.packets, NO_TIME_NS):
                if seen.received_at_ns == NO_TIME_NS:
                    seen = replace(seen, received_at_ns=last_ns, notes=(NO_TIME, *seen.notes))
                last_ns = seen.received_at_ns
                yield seen
        if not source.exhausted:
            source.unread[CUT_HEP] += 1


def _is_message(observation: Observation) -> bool:
    """Whether it is a SIP message, or the beginning of one whose first line the capture cut."""
    return recognition.begins_message(observation.raw) or (
        is_cut(observation) and recognition.begins_cut_request(observation.raw)
    )


def _read_head(stream: Readable) -> bytes:
    """The first octets, as many as tell the kinds of file apart, from a stream that may give fewer at a time."""
    head = b""
    while len(head) < HEAD:
        more = stream.read(HEAD - len(head))
        if not more:
            break
        head += more
    return head
