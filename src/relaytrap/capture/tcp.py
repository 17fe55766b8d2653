"""TCP as a capture shows it, reordered, repeated, lost, joined late: back to two ordered streams a connection.

What the octets are is `content`'s affair. A segment that is missing for good (nothing repeats it within a while, or too
much waits behind it) is a gap, which the content is told of. Resets are ignored: anyone can forge one, and a flow that
truly ended just falls out of the table. Where two segments say otherwise about the same octets, the first is kept and
the message says so: sensors and the hosts that they watch may not agree on which of them counted.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

from relaytrap.capture.assembly import Assembly, difference
from relaytrap.capture.content import Piece, StreamContent
from relaytrap.capture.network import Payload
from relaytrap.capture.recognition import begins_message

__all__ = ["Streams", "TcpPiece"]

DAMAGED: Final = "damaged TCP header"
SEEN_BEFORE: Final = "TCP segment seen before"
DISAGREES: Final = "TCP segment that says otherwise than one before it"
DISPUTED: Final = "TCP segments disagree about this"
NO_PAYLOAD: Final = "TCP segment without payload"

SYN: Final = 0x02
MAX_FLOWS: Final = 32_768
MAX_WAITING: Final = 256 << 10
"""Octets that wait behind a hole in one flow before it counts as lost; a SIP peer sends far less unacknowledged."""
MAX_CHUNKS: Final = 4096
"""Segments that wait behind a hole; some stacks send an octet in each."""
MAX_RECENT: Final = 2048
"""Octets of a stream that are kept after they were handed on, to tell a repetition from something else: in all flows
together 64 MiB, and more than any message over TCP of the public captures has (565 at the median)."""
MAX_WAIT_NS: Final = 30_000_000_000
UNKNOWN_START_CHUNKS: Final = 8
"""Segments to collect, when a capture begins within a connection, before the lowest counts as its start."""
FAR: Final = 8 << 20
"""A jump in the sequence numbers beyond any window in use here: another connection on the same ports."""
HALF: Final = 1 << 31
WRAP: Final = 1 << 32

Ends = tuple[bytes, int, bytes, int, bytes]
"""(source, source port, destination, destination port, where the tunnel that the stream came in begins)."""
TcpPiece = tuple[bytes, int, bytes, int, bytes, Piece]
"""The ends of a stream, and what came out of it."""


class _Stream:
    """One direction of one connection. Offsets are sequence numbers that do not wrap."""

    __slots__ = (
        "assembly",
        "content",
        "ends",
        "held",
        "next",
        "opened",
        "recent",
        "reference",
        "start",
    )

    def __init__(self, ends: Ends, content: StreamContent, reference: int) -> None:
        self.ends = ends
        self.content = content
        self.assembly = Assembly()
        self.reference = reference + WRAP
        self.next = -1
        self.start = -1
        self.held = 0
        self.opened = False
        self.recent = b""
        """The last octets before `next`."""

    def offset(self, sequence: int) -> int:
        """The offset nearest to where the stream stands that has this sequence number."""
        near = self.next if self.next >= 0 else self.reference
        return near + ((sequence - near + HALF) & (WRAP - 1)) - HALF

    def difference(self, offset: int, payload: bytes) -> tuple[int, int]:
        """From where to where a segment says otherwise than before, as far as that is known; (0, 0) for nowhere."""
        if len(payload) == 1 and offset == self.next - 1:  # a keep-alive, whose octet may be any (RFC 1122 4.2.3.6)
            return 0, 0
        known_from = self.next - len(self.recent)
        begin, end = max(offset, known_from), min(offset + len(payload), self.next)
        if begin >= end:
            return 0, 0
        first, last = difference(
            payload[begin - offset : end - offset], self.recent[begin - known_from : end - known_from]
        )
        return (begin + first, begin + last) if last else (0, 0)


class Streams:
    """All connections of a capture, within bounds: the one idle longest is finished first when there are too many."""

    def __init__(
        self,
        unread: Counter[str],
        make_content: Callable[[bool], StreamContent],
        *,
        max_held: int,
        max_flows: int = MAX_FLOWS,
    ) -> None:
        """make_content: a content for a stream; told whether its first octet is the connection's first.

        max_held: octets that may wait in all flows together.
        """
        self._unread = unread
        self._make_content = make_content
        self._streams: OrderedDict[bytes, _Stream] = OrderedDict()
        self._openings: dict[bytes, int] = {}
        self._max_flows = max_flows
        self._max_held = max_held
        self.held = 0
        """Octets that all streams keep."""

    def segment(self, packet: Payload, *, cut: bool = False) -> list[TcpPiece]:
        """Take one segment; what it completes, in stream order. cut: whether the capture cut what is missing of it."""
        data = packet.data
        header = (data[12] >> 4) * 4 if len(data) >= 20 else 0
        if header < 20 or header > len(data):
            self._unread[DAMAGED] += 1
            return []
        sequence = int.from_bytes(data[4:8], "big")
        key = b"".join((packet.source, packet.destination, data[:4], packet.through))
        out: list[TcpPiece] = []
        if data[13] & SYN:
            sequence += 1
            self._open(key, sequence, out)
        payload = data[header:]
        if not payload:
            self._unread[NO_PAYLOAD] += 1
            return out
        stream = self._streams.get(key)
        if stream is None:
            stream = self._begin(key, packet, sequence)
        else:
            self._streams.move_to_end(key)
        self._take(stream, stream.offset(sequence), packet, payload, out)
        if packet.missing and stream.next == (end := stream.offset(sequence) + len(payload)):
            self._hole(stream, end + packet.missing, out, cut=cut)
        self._account(stream)
        while self._streams and (len(self._streams) > self._max_flows or self.held > self._max_held):
            self._finish(self._streams.popitem(last=False)[1], out)
        return out

    def finish(self) -> list[TcpPiece]:
        """No more segments come: what all streams still hold."""
        out: list[TcpPiece] = []
        while self._streams:
            self._finish(self._streams.popitem(last=False)[1], out)
        return out

    def _open(self, key: bytes, first: int, out: list[TcpPiece]) -> None:
        """A SYN: the next data begin a connection, unless this is the known one's, repeated or late."""
        stream = self._streams.get(key)
        if stream is not None:
            offset = stream.offset(first)
            if stream.next < 0 and 0 <= stream.assembly.chunks[0][0] - offset < FAR:
                self._adopt_start(stream, offset, out)
                return
            if offset == stream.start or (not stream.opened and stream.start - FAR < offset < stream.start):
                return
            del self._streams[key]
            self._finish(stream, out)
        self._openings[key] = first
        if len(self._openings) > self._max_flows:
            del self._openings[next(iter(self._openings))]

    def _begin(self, key: bytes, packet: Payload, sequence: int) -> _Stream:
        first = self._openings.pop(key, None)
        ports = packet.data[:4]
        ends = (
            packet.source,
            int.from_bytes(ports[:2], "big"),
            packet.destination,
            int.from_bytes(ports[2:], "big"),
            packet.through,
        )
        stream = _Stream(ends, self._make_content(first is not None), sequence if first is None else first)
        if first is not None:
            stream.opened = True
            stream.start = stream.next = stream.reference
        self._streams[key] = stream
        return stream

    def _take(self, stream: _Stream, offset: int, packet: Payload, payload: bytes, out: list[TcpPiece]) -> None:
        end = offset + len(payload)
        if stream.next < 0:
            stream.assembly.add(offset, payload, packet.frame, packet.moment_ns)
            self._settle_start(stream, out, cut=packet.missing > 0)
            return
        if abs(offset - stream.next) > FAR:
            self._restart(stream, offset, packet, payload, out)
            return
        if end <= stream.next:
            if end <= stream.start and not stream.opened:
                self._by_itself(stream, packet, payload, (), out)  # what lies between may never come
            elif not self._disagrees(stream, offset, packet, payload, out):
                self._unread[SEEN_BEFORE] += 1
            return
        if offset < stream.next:
            self._disagrees(stream, offset, packet, payload, out)
        if offset <= stream.next and not stream.assembly.chunks:
            fresh = payload[stream.next - offset :] if offset < stream.next else payload
            self._feed(stream, fresh, packet.frame, packet.moment_ns, out)
        else:
            ahead = max(offset, stream.next)
            stream.assembly.add(ahead, payload[ahead - offset :], packet.frame, packet.moment_ns)
            self._drain(stream, out, packet)
            self._skip_holes(stream, packet.moment_ns, out)

    def _disagrees(self, stream: _Stream, offset: int, packet: Payload, payload: bytes, out: list[TcpPiece]) -> bool:
        """Whether a segment says otherwise about octets fed before.

        What it says of a message in progress is noted there; a message in place of one handed on is read by itself.
        """
        first, last = stream.difference(offset, payload)
        if not last:
            return False
        handed_on = stream.next - stream.content.held
        if last > handed_on:
            stream.assembly.disputes.add(max(first, handed_on), last)
        if first < handed_on and begins_message(payload):
            self._by_itself(stream, packet, payload, (DISPUTED,), out, known=stream.next - offset)
        else:
            self._unread[DISAGREES] += 1
        return True

    def _adopt_start(self, stream: _Stream, offset: int, out: list[TcpPiece]) -> None:
        """The opening of a connection that was joined midway, as it seemed, and of which nothing was handed on yet."""
        stream.content = self._make_content(True)
        stream.opened = True
        stream.start = stream.next = offset
        self._drain(stream, out, None)
        self._account(stream)

    def _settle_start(self, stream: _Stream, out: list[TcpPiece], *, cut: bool) -> None:
        """Joined midway: begin at the lowest segment, once it starts a message or enough came to trust the order.

        cut: whether octets are missing behind the segment that came last, for which the others would wait in vain.
        """
        first = stream.assembly.chunks[0]
        if cut or begins_message(first[1]) or len(stream.assembly) >= UNKNOWN_START_CHUNKS:
            stream.start = stream.next = first[0]
            self._drain(stream, out, None)

    def _restart(self, stream: _Stream, offset: int, packet: Payload, payload: bytes, out: list[TcpPiece]) -> None:
        """Another connection on the same ports, whose opening is not in the capture."""
        self._close(stream, out)
        stream.content = self._make_content(False)
        stream.opened = False
        stream.reference = offset
        stream.next = stream.start = -1
        stream.recent = b""
        stream.assembly.add(offset, payload, packet.frame, packet.moment_ns)
        self._settle_start(stream, out, cut=packet.missing > 0)

    def _by_itself(
        self,
        stream: _Stream,
        packet: Payload,
        payload: bytes,
        notes: tuple[str, ...],
        out: list[TcpPiece],
        *,
        known: int | None = None,
    ) -> None:
        """Read a segment without the stream that it stands beside.

        known: how many of its octets the stream had before; a message that begins behind them is the stream's to read.
        """
        content = self._make_content(False)
        pieces = content.feed(payload[:known], packet.frame, packet.moment_ns)
        rest = payload[known:] if known is not None and content.held else b""
        more = content.feed(rest, packet.frame, packet.moment_ns)[:1] if rest else []
        pieces += more or content.close()
        out += [(*stream.ends, piece._replace(notes=piece.notes + notes)) for piece in pieces]

    def _feed(self, stream: _Stream, data: bytes, frame: int, moment_ns: int, out: list[TcpPiece]) -> None:
        stream.next += len(data)
        stream.recent = (stream.recent + data)[-MAX_RECENT:]
        pieces = stream.content.feed(data, frame, moment_ns)
        if pieces:
            self._hand_on(stream, pieces, out)

    def _hand_on(self, stream: _Stream, pieces: list[Piece], out: list[TcpPiece]) -> None:
        if pieces and stream.assembly.disputes.settle(stream.next - stream.content.held):
            pieces = [piece._replace(notes=(*piece.notes, DISPUTED)) for piece in pieces]
        out += [(*stream.ends, piece) for piece in pieces]

    def _drain(self, stream: _Stream, out: list[TcpPiece], completed_by: Payload | None) -> None:
        """Feed what now follows without a hole; it came with packet `completed_by`, or with its own when None."""
        while chunk := stream.assembly.take_from(stream.next):
            _, data, frame, moment_ns = chunk
            if completed_by:
                frame, moment_ns = completed_by.frame, completed_by.moment_ns
            self._feed(stream, data, frame, moment_ns, out)

    def _skip_holes(self, stream: _Stream, now_ns: int, out: list[TcpPiece]) -> None:
        """Give up on a hole that too much waits behind, or for too long."""
        while first := stream.assembly.first():
            waiting = stream.assembly.octets > MAX_WAITING or len(stream.assembly) > MAX_CHUNKS
            if not waiting and now_ns - first[3] <= MAX_WAIT_NS:
                return
            self._hole(stream, first[0], out)

    def _hole(self, stream: _Stream, resume: int, out: list[TcpPiece], *, cut: bool = False) -> None:
        """Go on at `resume`; what lies before it is lost, or `cut` off by the capture."""
        self._hand_on(stream, stream.content.gap(cut=cut), out)
        stream.next = resume
        stream.recent = b""
        self._drain(stream, out, None)

    def _close(self, stream: _Stream, out: list[TcpPiece]) -> None:
        """Feed all that waits, holes and all, and end the content."""
        first = stream.assembly.first()
        if stream.next < 0 and first:
            stream.next = first[0]
        while first := stream.assembly.first():
            if first[0] != stream.next:
                self._hole(stream, first[0], out)
            else:
                self._drain(stream, out, None)
        self._hand_on(stream, stream.content.close(), out)
        stream.assembly.disputes.spans.clear()

    def _finish(self, stream: _Stream, out: list[TcpPiece]) -> None:
        self._close(stream, out)
        self.held -= stream.held

    def _account(self, stream: _Stream) -> None:
        held = stream.assembly.held + stream.content.held + len(stream.recent)
        self.held += held - stream.held
        stream.held = held
