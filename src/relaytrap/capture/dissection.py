"""From one captured packet to the observations that it completes."""

from typing import Final

from relaytrap.capture import exported, hep
from relaytrap.capture.content import CUT_BY_SNAPLEN, GAP_AFTER, UNFINISHED, StreamContent
from relaytrap.capture.direction import Directions
from relaytrap.capture.linklayer import Located
from relaytrap.capture.network import CUT_HEADERS, FRAGMENTS_MISSING, Network, Payload
from relaytrap.capture.recognition import begins_cut_request, begins_message, what_else
from relaytrap.capture.report import CaptureReport
from relaytrap.capture.sctp import Chunks
from relaytrap.capture.segment import address_text
from relaytrap.capture.tcp import Streams, TcpPiece
from relaytrap.capture.tunnels import inside_udp
from relaytrap.observation import Direction, Observation, Transport

__all__ = ["Dissector", "is_cut", "is_incomplete"]

DAMAGED: Final = "damaged UDP header"
SHORT: Final = "shorter than its UDP length says"
SHORT_CHUNK: Final = "shorter than its SCTP chunk says"
FROM_HEP: Final = "came inside HEP"
FROM_EXPORT: Final = "came as a PDU exported from a capture"
FROM_TUNNEL: Final = "came inside a tunnel from"
INCOMPLETE_NOTES: Final = frozenset({FRAGMENTS_MISSING, GAP_AFTER, UNFINISHED})

CUT_MESSAGE: Final = "SIP message cut by the capture's snap length (read as far as it goes)"
INCOMPLETE_MESSAGE: Final = "SIP message with octets missing (read as far as it goes)"
NO_CONTENT: Final = "HEP packet without a SIP message"
OTHER_EXPORT: Final = "exported PDU that is no SIP message, or names no endpoints"
EXPORTED_AGAIN: Final = "PDU exported again by another dissector"
OTHER_SCTP: Final = "SCTP without a SIP message"

TCP, UDP, SCTP = 6, 17, 132
PROTOCOL_NAMES: Final = {1: "ICMP", 2: "IGMP", 50: "IPsec (ESP)", 58: "ICMPv6", 88: "EIGRP", 89: "OSPF", 103: "PIM"}
TRANSPORTS: Final[dict[int, Transport]] = {TCP: "tcp", UDP: "udp", SCTP: "sctp", 22: "tls"}
"""Of HEP, where 22 stands for TLS, and for what runs in it (Kamailio's siptrace; sngrep reads it so, too)."""
SCTP_DATA: Final = 0


def is_incomplete(observation: Observation) -> bool:
    """Whether octets of the message were lost on the way or by the capture (not merely cut off by its snap length)."""
    return not INCOMPLETE_NOTES.isdisjoint(observation.notes)


def is_cut(observation: Observation) -> bool:
    """Whether octets are missing that the sender sent: what follows from that is no fault of the sender's."""
    return CUT_BY_SNAPLEN in observation.notes or is_incomplete(observation)


class Dissector:
    """Packets of one capture in order in, observations out; counts in `report` what is none.

    name: of the capture file. sensor: what stands in for one. max_held: octets of unfinished streams to hold.
    """

    def __init__(self, report: CaptureReport, name: str, sensor: str, directions: Directions, *, max_held: int) -> None:
        self._report = report
        self._unread = report.unread
        self._name = name
        self._sensor = sensor
        self._directions = directions
        self._network = Network(report.unread, max_fragment_octets=max_held // 4)
        self._in_tunnel = False
        self._last_exported: exported.ExportedPdu | None = None
        self._chunks = Chunks(report.unread, max_held=max_held // 4)
        self._streams = Streams(
            report.unread, lambda opened: StreamContent(report.unread, opened=opened), max_held=max_held
        )

    @property
    def held(self) -> int:
        """Octets that wait for others."""
        return self._network.held + self._streams.held + self._chunks.held

    def observe(
        self,
        moment_ns: int,
        transport: Transport,
        source: bytes,
        source_port: int,
        destination: bytes,
        destination_port: int,
        raw: bytes,
        frame: int,
        notes: tuple[str, ...] = (),
    ) -> Observation:
        """One message between packed addresses, seen as the local side sees it; counted."""
        self._report.observations += 1
        if notes and not INCOMPLETE_NOTES.isdisjoint(notes):
            self._report.incomplete += 1
            self._unread[INCOMPLETE_MESSAGE] += 1
        else:
            self._report.messages += 1
        direction: Direction = "in"
        if not self._directions.inward(source, source_port, destination, destination_port, raw):
            direction = "out"
            source, source_port, destination, destination_port = destination, destination_port, source, source_port
        return Observation(
            moment_ns,
            self._sensor,
            direction,
            transport,
            address_text(source),
            source_port,
            address_text(destination),
            destination_port,
            raw,
            self._name,
            frame,
            notes,
        )

    def packet(
        self, link_type: int, data: bytes, original: int, frame: int, moment_ns: int, notes: tuple[str, ...] = ()
    ) -> list[Observation]:
        """What packet number `frame` carries or completes. original: its length on the wire."""
        cut = original > len(data)
        if link_type == exported.LINK_TYPE:
            return self._exported(data, frame, moment_ns, notes, cut)
        payload = self._network.payload(link_type, data, frame, moment_ns)
        out = self._payload(payload, notes, cut) if payload else []
        if self._network.given_up:
            out += self._given_up()
        return out

    def finish(self) -> list[Observation]:
        """The capture is over: what its streams and fragments still hold."""
        self._network.finish()
        self._chunks.finish()
        return self._given_up() + self._from_streams(self._streams.finish())

    def _given_up(self) -> list[Observation]:
        out: list[Observation] = []
        for payload in self._network.given_up:
            out += self._payload(payload, (), cut=FRAGMENTS_MISSING not in payload.notes)
        self._network.given_up.clear()
        return out

    def _payload(self, payload: Payload, notes: tuple[str, ...], cut: bool) -> list[Observation]:
        if payload.notes:
            notes += payload.notes
        if payload.through:
            notes = _tunnelled_from(notes, payload.through)
        if payload.protocol == UDP:
            return self._udp(payload, notes, cut)
        if payload.protocol == TCP:
            return self._from_streams(self._streams.segment(payload, cut=cut))
        if payload.protocol == SCTP:
            return self._sctp(payload, notes, cut)
        name = PROTOCOL_NAMES.get(payload.protocol, f"IP protocol {payload.protocol}")
        self._unread[name] += 1
        return []

    def _udp(self, packet: Payload, notes: tuple[str, ...], cut: bool) -> list[Observation]:
        """RFC 768; the length field rules, a length of 0 leaves it to IP."""
        header = packet.data[:8]
        if len(header) < 8:
            self._unread[CUT_HEADERS] += 1
            return []
        source_port, destination_port = header[0] << 8 | header[1], header[2] << 8 | header[3]
        length = header[4] << 8 | header[5]
        if 0 < length < 8:  # no host takes it for a datagram
            self._unread[DAMAGED] += 1
            return []
        data = packet.data[8:length] if length else packet.data[8:]
        if length > len(packet.data) or packet.missing:
            notes = _shortened(notes, CUT_BY_SNAPLEN if cut else SHORT)
        return self._datagram(packet, source_port, destination_port, data, notes)

    def _datagram(
        self, packet: Payload, source_port: int, destination_port: int, data: bytes, notes: tuple[str, ...]
    ) -> list[Observation]:
        """A UDP payload: a message, HEP or a tunnel around some, or something to count."""
        seen = self._message(packet, "udp", source_port, destination_port, data, notes)
        if seen:
            return [seen]
        message = hep.read_hep(data, packet.moment_ns)
        if message:
            return self.hep_message(message, packet.frame, packet.moment_ns, notes)
        inner = inside_udp(destination_port, data)
        if inner and not self._in_tunnel:
            return self._tunnelled(inner, packet._replace(data=data), notes)
        self._unread[what_else(data, source_port, destination_port)] += 1
        return []

    def _exported(
        self, packet: bytes, frame: int, moment_ns: int, notes: tuple[str, ...], cut: bool
    ) -> list[Observation]:
        """Messages that somebody's dissector had already taken out of their packets.

        What came in TLS is exported again by each dissector that it passes, each time with all of its record.
        """
        pdu = exported.read_exported(packet)
        if pdu is None or not begins_message(pdu.payload):
            self._unread[OTHER_EXPORT] += 1
            return []
        if pdu.frame and pdu == self._last_exported:
            self._unread[EXPORTED_AGAIN] += 1
            return []
        self._last_exported = pdu
        ends = (pdu.source, pdu.source_port, pdu.destination, pdu.destination_port)
        notes += (FROM_EXPORT,)
        if pdu.transport == "tcp":
            content = StreamContent(self._unread, opened=True)
            pieces = content.feed(pdu.payload, frame, moment_ns)
            pieces += content.gap(cut=True) if cut else content.close()
            return self._from_streams([(*ends, b"", each._replace(notes=each.notes + notes)) for each in pieces])
        if cut:
            self._unread[CUT_MESSAGE] += 1
            notes += (CUT_BY_SNAPLEN,)
        return [self.observe(moment_ns, pdu.transport, *ends, pdu.payload, frame, notes)]

    def _message(
        self,
        packet: Payload,
        transport: Transport,
        source_port: int,
        destination_port: int,
        data: bytes,
        notes: tuple[str, ...],
    ) -> Observation | None:
        """The message that `data` is, or the beginning of one that the snap length cut; None for anything else."""
        cut = CUT_BY_SNAPLEN in notes
        if not begins_message(data) and not (cut and begins_cut_request(data)):
            return None
        if cut:
            self._unread[CUT_MESSAGE] += 1
        ends = (packet.source, source_port, packet.destination, destination_port)
        return self.observe(packet.moment_ns, transport, *ends, data, packet.frame, notes)

    def hep_packet(self, packet: bytes, frame: int, moment_ns: int, notes: tuple[str, ...] = ()) -> list[Observation]:
        """A HEP packet that came by itself: from a stream or a file."""
        message = hep.read_hep(packet, moment_ns)
        if message:
            return self.hep_message(message, frame, moment_ns, notes)
        self._unread[NO_CONTENT] += 1
        return []

    def hep_message(
        self, message: hep.HepMessage, frame: int, now_ns: int, notes: tuple[str, ...] = ()
    ) -> list[Observation]:
        """What a capture agent passed on, with the endpoints that it saw. now_ns: counts where it names no time."""
        if not begins_message(message.payload):
            self._unread[NO_CONTENT] += 1
            return []
        if message.missing:
            self._unread[CUT_MESSAGE] += 1
            notes += (CUT_BY_SNAPLEN,)
        return [
            self.observe(
                now_ns if message.moment_ns is None else message.moment_ns,
                TRANSPORTS.get(message.protocol, "udp"),
                message.source,
                message.source_port,
                message.destination,
                message.destination_port,
                message.payload,
                frame,
                (*notes, FROM_HEP),
            )
        ]

    def _tunnelled(self, inner: Located, packet: Payload, notes: tuple[str, ...]) -> list[Observation]:
        """What a tunnel over UDP carries; one within another is not followed."""
        through = packet.through or packet.source
        payload = self._network.descend(inner, packet.data, packet.frame, packet.moment_ns, through)
        if payload is None:
            return []
        self._in_tunnel = True
        try:
            return self._payload(payload, notes, cut=packet.missing > 0)
        finally:
            self._in_tunnel = False

    def _from_streams(self, pieces: list[TcpPiece]) -> list[Observation]:
        out: list[Observation] = []
        for source, source_port, destination, destination_port, through, piece in pieces:
            notes = _tunnelled_from(piece.notes, through) if through else piece.notes
            if piece.carried == "hep":
                out += self.hep_packet(piece.raw, piece.frame, piece.moment_ns, notes)
            else:
                if CUT_BY_SNAPLEN in notes:
                    self._unread[CUT_MESSAGE] += 1
                ends = (source, source_port, destination, destination_port)
                out.append(self.observe(piece.moment_ns, piece.carried, *ends, piece.raw, piece.frame, notes))
        return out

    def _sctp(self, packet: Payload, notes: tuple[str, ...], cut: bool) -> list[Observation]:
        """RFC 9260: each DATA chunk that is a message by itself or completes one."""
        data, at = packet.data, 12
        if len(data) < at:
            self._unread[CUT_HEADERS] += 1
            return []
        source_port, destination_port = data[0] << 8 | data[1], data[2] << 8 | data[3]
        out: list[Observation] = []
        split = False
        while at + 4 <= len(data):
            kind, flags, length = data[at], data[at + 1], data[at + 2] << 8 | data[at + 3]
            content = data[at + 16 : at + length] if kind == SCTP_DATA else b""
            whole = at + length <= len(data)
            if content and whole:
                number = int.from_bytes(data[at + 4 : at + 8], "big")
                ends = packet.source + packet.destination + data[:8] + packet.through
                content = self._chunks.whole(ends, number, flags, content)
                split = split or not content
            if content:
                said = notes if whole else _shortened(notes, CUT_BY_SNAPLEN if cut else SHORT_CHUNK)
                if seen := self._message(packet, "sctp", source_port, destination_port, content, said):
                    out.append(seen)
            at += max(4, (length + 3) & ~3)
        if not out and not split:
            self._unread[OTHER_SCTP] += 1
        return out


def _tunnelled_from(notes: tuple[str, ...], through: bytes) -> tuple[str, ...]:
    """With the note which host sent the tunnel: whatever stands inside, it may have made up."""
    note = f"{FROM_TUNNEL} {address_text(through)}"
    return notes if note in notes else (*notes, note)


def _shortened(notes: tuple[str, ...], note: str) -> tuple[str, ...]:
    """With the note that octets are missing, unless it is fragments that are."""
    return notes if FRAGMENTS_MISSING in notes else (*notes, note)
