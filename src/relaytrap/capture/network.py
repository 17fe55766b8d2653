"""From the network layer to a transport's payload: IPv4, IPv6, fragments, and tunnels inside one another."""

from collections import Counter
from typing import Final, NamedTuple

from relaytrap.capture.assembly import Assembly
from relaytrap.capture.linklayer import CONTROL, IPV4, Located, network_layer
from relaytrap.capture.tunnels import INSIDE_IP

__all__ = ["CUT_HEADERS", "FRAGMENTS_CONFLICT", "FRAGMENTS_MISSING", "Network", "Payload"]

FRAGMENTS_MISSING: Final = "IP fragments missing after this"
FRAGMENTS_CONFLICT: Final = "IP fragments overlap and differ; the first kept"

NOT_IP: Final = "not an IP packet"
UNKNOWN_LINK: Final = "packet of unknown link type"
CUT_HEADERS: Final = "packet cut inside its headers"
BAD_HEADER: Final = "damaged IP or tunnel header"
TOO_DEEP: Final = "headers or tunnels nested too deep"
BAD_FRAGMENT: Final = "IP fragment beyond the end of its datagram"
LONE_FRAGMENTS: Final = "IP fragment of a datagram that never became whole"
SEEN_BEFORE: Final = "IP fragment repeated after its datagram was whole"
IPV6_TAIL: Final = "IPv6 packet without a payload"

NO_NEXT: Final = 59
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6 = 0, 43, 44, 51, 60, 135, 139, 140
EXTENSIONS: Final = frozenset({HOP_BY_HOP, ROUTING, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6})
MAX_DEPTH: Final = 8
MAX_EXTENSIONS: Final = 16

FRAGMENT_LIFE_NS: Final = 60_000_000_000
"""RFC 8200 section 4.5; RFC 791's upper bound for IPv4 is longer, what hosts do is shorter."""
MAX_DATAGRAM: Final = 65_535
MAX_DATAGRAMS: Final = 16_384
MAX_COMPLETED: Final = 256
"""Whole datagrams remembered, to know their late duplicates."""


class Payload(NamedTuple):
    """What a transport protocol gets from the network layer."""

    protocol: int
    source: bytes
    destination: bytes
    data: bytes
    missing: int
    """Octets at its end that the sender sent and the capture did not keep."""
    frame: int
    moment_ns: int
    notes: tuple[str, ...] = ()
    through: bytes = b""
    """Source of the packet that the outermost tunnel came in, which alone the capture vouches for; b"" for none."""


class _Datagram:
    """Fragments of one datagram so far."""

    __slots__ = ("assembly", "cut_at", "first_seen_ns", "fragments", "frame", "moment_ns", "protocol", "total")

    def __init__(self, moment_ns: int) -> None:
        self.assembly = Assembly()
        self.first_seen_ns = moment_ns
        self.moment_ns = moment_ns
        self.frame = 0
        self.fragments = 0
        self.cut_at = MAX_DATAGRAM
        """Where the first octets are missing that the capture cut off a fragment."""
        self.total = -1
        self.protocol = -1

    def admits(self, end: int, more: bool) -> bool:
        """Whether a fragment up to `end` fits what is known of the whole; learns the total from the last one."""
        if self.total >= 0:
            return end <= self.total
        if more:
            return True
        if self.assembly.chunks:
            offset, data, _, _ = self.assembly.chunks[-1]
            if offset + len(data) > end:
                return False
        self.total = end
        return True


FragmentKey = tuple[bytes, bytes, int, int, bytes]


class Network:
    """Finds the transport payload in each packet; remembers fragments.

    unread: where packets that carry none are counted by reason.
    given_up: payloads of datagrams whose fragments never all came, or not all of them whole, as far as they are known
        from the start; the caller empties it.
    """

    def __init__(self, unread: Counter[str], *, max_fragment_octets: int) -> None:
        self._unread = unread
        self._datagrams: dict[FragmentKey, _Datagram] = {}
        self._completed: dict[FragmentKey, bytes] = {}
        self.held = 0
        """Octets of memory that all fragments take."""
        self._max_held = max_fragment_octets
        self.given_up: list[Payload] = []

    def payload(self, link_type: int, frame: bytes, number: int, moment_ns: int) -> Payload | None:
        """The transport payload that packet `number` carries or completes; None when none, counted in `unread`."""
        try:
            located = network_layer(link_type, frame)
        except KeyError:
            self._unread[f"{UNKNOWN_LINK} {link_type}"] += 1
            return None
        return self.descend(located, frame, number, moment_ns)

    def descend(
        self, located: Located, frame: bytes, number: int, moment_ns: int, through: bytes = b""
    ) -> Payload | None:
        """The same from a network layer already found in `frame`, through the tunnels that it opens.

        through: where the tunnel that `frame` came in begins.
        """
        for _ in range(MAX_DEPTH):
            if located is None:
                return self._lost(CUT_HEADERS)
            kind, at = located
            if kind == CONTROL:
                return self._lost(NOT_IP)
            step = (self._ipv4 if kind == IPV4 else self._ipv6)(frame, at, number, moment_ns, through)
            if step is not None and step.protocol == AUTHENTICATION:  # in IPv4, where no walk has passed it
                step = self._after_extensions(step)
            if step is None or step.protocol not in INSIDE_IP:
                return step
            frame, through = step.data, through or step.source
            located = INSIDE_IP[step.protocol](frame)
        return self._lost(TOO_DEEP)

    def finish(self) -> None:
        """Give up on all datagrams still in pieces."""
        for key in list(self._datagrams):
            self._give_up(key)

    def _ipv4(self, frame: bytes, at: int, number: int, moment_ns: int, through: bytes) -> Payload | None:
        """RFC 791."""
        here = len(frame) - at
        if here < 20:
            return self._lost(CUT_HEADERS)
        header = (frame[at] & 0x0F) * 4
        total = frame[at + 2] << 8 | frame[at + 3] or here  # 0: left to the network card (segmentation offload)
        if frame[at] >> 4 != 4 or header < 20 or total < header:
            return self._lost(BAD_HEADER)
        if here < header:
            return self._lost(CUT_HEADERS)
        source, destination = frame[at + 12 : at + 16], frame[at + 16 : at + 20]
        data = frame[at + header : at + total]
        missing = max(0, total - here)
        fragment = (frame[at + 6] << 8 | frame[at + 7]) & 0x3FFF
        protocol = frame[at + 9]
        packet = Payload(protocol, source, destination, data, missing, number, moment_ns, (), through)
        if not fragment:
            return packet
        identification = frame[at + 4] << 8 | frame[at + 5]
        return self._fragment(
            (source, destination, identification, protocol, through),
            protocol,
            (fragment & 0x1FFF) * 8,
            bool(fragment & 0x2000),
            packet,
        )

    def _ipv6(self, frame: bytes, at: int, number: int, moment_ns: int, through: bytes) -> Payload | None:
        """RFC 8200, with its extension headers."""
        here = len(frame) - at
        if here < 40:
            return self._lost(CUT_HEADERS)
        if frame[at] >> 4 != 6:
            return self._lost(BAD_HEADER)
        length = frame[at + 4] << 8 | frame[at + 5] or here - 40  # 0: jumbogram, or left to the network card
        data = frame[at + 40 : at + 40 + length]
        missing = max(0, length + 40 - here)
        ends = frame[at + 8 : at + 24], frame[at + 24 : at + 40]
        return self._after_extensions(Payload(frame[at + 6], *ends, data, missing, number, moment_ns, (), through))

    def _after_extensions(self, packet: Payload) -> Payload | None:
        """Walk IPv6 extension headers; a fragment header may end or restart the walk."""
        protocol, data = packet.protocol, packet.data
        for _ in range(MAX_EXTENSIONS):
            if protocol == NO_NEXT:
                return self._lost(IPV6_TAIL)
            if protocol == FRAGMENT:
                if len(data) < 8:
                    return self._lost(CUT_HEADERS)
                field = data[2] << 8 | data[3]
                piece = packet._replace(protocol=data[0], data=data[8:])
                if field & 0xFFF9:
                    key = (packet.source, packet.destination, int.from_bytes(data[4:8], "big"), -1, packet.through)
                    whole = self._fragment(key, data[0], field & 0xFFF8, bool(field & 1), piece)
                    if whole is None:
                        return None
                    piece = whole
                packet, protocol, data = piece, piece.protocol, piece.data
            elif protocol in EXTENSIONS:
                if len(data) < 8:
                    return self._lost(CUT_HEADERS)
                length = (data[1] + 2) * 4 if protocol == AUTHENTICATION else (data[1] + 1) * 8
                protocol, data = data[0], data[length:]
            else:
                return packet._replace(protocol=protocol, data=data)
        return self._lost(TOO_DEEP)

    def _lost(self, reason: str) -> Payload | None:
        self._unread[reason] += 1
        return None

    def _fragment(self, key: FragmentKey, protocol: int, offset: int, more: bool, piece: Payload) -> Payload | None:
        """Keep a fragment; the whole datagram's payload when it is the last that was missing."""
        end = offset + len(piece.data) + piece.missing
        if end > MAX_DATAGRAM:
            return self._lost(BAD_FRAGMENT)
        self._expire(piece.moment_ns)
        datagram = self._datagrams.get(key)
        if datagram is None:
            datagram = self._datagrams[key] = _Datagram(piece.moment_ns)
        if not datagram.admits(end, more):
            return self._lost(BAD_FRAGMENT)
        assembly, frame, moment_ns = datagram.assembly, piece.frame, piece.moment_ns
        before = assembly.held
        assembly.add(offset, piece.data, frame, moment_ns)
        self.held += assembly.held - before
        datagram.frame, datagram.moment_ns = frame, moment_ns
        datagram.fragments += 1
        if piece.missing:
            datagram.cut_at = min(datagram.cut_at, end - piece.missing)
        if offset == 0:
            datagram.protocol = protocol
        if datagram.total == assembly.octets and datagram.protocol >= 0:
            return self._whole(key, datagram)
        if self.held > self._max_held or len(self._datagrams) > MAX_DATAGRAMS:
            self._give_up(next(iter(self._datagrams)))
        return None

    def _whole(self, key: FragmentKey, datagram: _Datagram) -> Payload:
        del self._datagrams[key]
        self.held -= datagram.assembly.held
        data = datagram.assembly.leading()
        self._completed[key] = data
        if len(self._completed) > MAX_COMPLETED:
            del self._completed[next(iter(self._completed))]
        notes = (FRAGMENTS_CONFLICT,) if datagram.assembly.disputes.spans else ()
        return Payload(datagram.protocol, key[0], key[1], data, 0, datagram.frame, datagram.moment_ns, notes, key[4])

    def _expire(self, now_ns: int) -> None:
        """Give up on what is too old; datagrams stand in the order in which they began."""
        while self._datagrams:
            key = next(iter(self._datagrams))
            if now_ns - self._datagrams[key].first_seen_ns <= FRAGMENT_LIFE_NS:
                return
            self._give_up(key)

    def _give_up(self, key: FragmentKey) -> None:
        datagram = self._datagrams.pop(key)
        self.held -= datagram.assembly.held
        whole, chunks = self._completed.get(key, b""), datagram.assembly.chunks
        if chunks and all(whole[at : at + len(data)] == data for at, data, _, _ in chunks):
            self._unread[SEEN_BEFORE] += datagram.fragments
            return
        leading = datagram.assembly.leading() if datagram.protocol >= 0 else b""
        if not leading:
            self._unread[LONE_FRAGMENTS] += datagram.fragments
            return
        notes = () if len(leading) == datagram.cut_at else (FRAGMENTS_MISSING,)
        if datagram.assembly.disputes.spans:
            notes = (*notes, FRAGMENTS_CONFLICT)
        self.given_up.append(
            Payload(datagram.protocol, key[0], key[1], leading, 1, datagram.frame, datagram.moment_ns, notes, key[4])
        )
