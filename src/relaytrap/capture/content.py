"""What one direction of a captured TCP connection carries: SIP, HEP3, or something else to count and leave.

Framing is `sip.stream`'s; here is what only a capture needs: joining in the middle, going on after a gap, telling
foreign traffic by its first octets so that a gigabyte of HTTP costs one look at each segment.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from relaytrap.capture import hep
from relaytrap.capture.proxy import may_begin_proxy, read_proxy
from relaytrap.capture.recognition import (
    KEEPALIVE,
    begins_cut_request,
    begins_message,
    find_message,
    is_one_message,
    may_begin,
)
from relaytrap.capture.websocket import (
    MAX_HANDSHAKE,
    WebSocketFrames,
    begins_handshake,
    first_payload,
    offers_compression,
    upgrades_to_sip,
)
from relaytrap.sip.stream import Framed, StreamParser

__all__ = ["CUT_BY_SNAPLEN", "GAP_AFTER", "GAP_BEFORE", "UNFINISHED", "Piece", "StreamContent"]

CUT_BY_SNAPLEN: Final = "cut by snaplen"
GAP_BEFORE: Final = "TCP gap before this"
GAP_AFTER: Final = "TCP gap within this"
UNFINISHED: Final = "TCP stream ends within this"

NOT_SIP: Final = "TCP payload that is not SIP"
ENCRYPTED: Final = "TLS, whose keys are not here"
HEADLESS: Final = "TCP payload whose message began before the capture or in a gap"
HANDSHAKE: Final = "WebSocket handshake"
PROXY: Final = "PROXY header"
SPLIT_MESSAGE: Final = "WebSocket message that never became whole"
JUNK: Final = "junk between SIP messages in a TCP stream"
TLS_RECORDS: Final = (b"\x16\x03", b"\x15\x03")
"""How a connection begins that speaks TLS: a handshake, or an alert that refuses one."""
MAX_SEEK: Final = 16_384
"""Octets kept while a start line may be coming together."""
MAX_SOUGHT: Final = 1 << 20
"""Octets passed over in search of a start line before the stream counts as something else."""


class Piece(NamedTuple):
    """A message that came out of a stream."""

    raw: bytes
    frame: int
    moment_ns: int
    notes: tuple[str, ...]
    carried: Literal["tcp", "ws", "hep"] = "tcp"
    """What the stream was: SIP itself, SIP in WebSocket frames, or a HEP packet that holds a message."""


Reader = Callable[[bytes, int, int], list[Piece]]


class StreamContent:
    """Octets in, messages out.

    unread: where what is no message is counted, by segments. opened: whether the first octet fed is the connection's
    first. held: octets that wait for more.
    """

    __slots__ = (
        "_buffer",
        "_claimed",
        "_else",
        "_frame",
        "_lost_before",
        "_moment_ns",
        "_parser",
        "_read",
        "_sought",
        "_unread",
        "_websocket",
    )

    def __init__(self, unread: Counter[str], *, opened: bool) -> None:
        self._unread = unread
        self._parser: StreamParser | None = None
        self._websocket: WebSocketFrames | None = None
        self._buffer = b""
        self._claimed: tuple[str, ...] = ()
        self._else = NOT_SIP
        self._lost_before = False
        self._frame = 0
        self._sought = 0
        self._moment_ns = 0
        self._read: Reader = self._decide if opened else self._seek

    @property
    def held(self) -> int:
        inside = self._parser.pending if self._parser else self._websocket.held if self._websocket else 0
        return len(self._buffer) + inside

    def feed(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        """The messages that `data` completes; frame and moment_ns are of the packet that brought it."""
        self._frame, self._moment_ns = frame, moment_ns
        return self._read(data, frame, moment_ns)

    def gap(self, *, cut: bool = False) -> list[Piece]:
        """Octets are lost here: the message in progress as far as it came; then look for the next start line.

        cut: whether the capture left them out of the packet that was fed last.
        """
        pieces = self._abandon(CUT_BY_SNAPLEN if cut else GAP_AFTER)
        self._websocket = None  # where the next frame begins is lost for good
        if self._read != self._foreign:
            self._read = self._seek
            self._lost_before = True
        return pieces

    def close(self) -> list[Piece]:
        """The stream is over: the message in progress as far as it came."""
        return self._abandon(UNFINISHED)

    def _abandon(self, note: str) -> list[Piece]:
        if self._websocket and self._websocket.held:
            self._unread[SPLIT_MESSAGE] += 1
        if not self._parser:
            rest, self._buffer = self._buffer, b""
            if note == CUT_BY_SNAPLEN and begins_cut_request(rest):
                return [Piece(rest, self._frame, self._moment_ns, self._notes(note))]
            if rest:
                self._unread[HEADLESS if self._read == self._seek else NOT_SIP] += 1
            return []
        pieces = []
        for framed in self._parser.close():
            begins = begins_message(framed.raw) or (note == CUT_BY_SNAPLEN and begins_cut_request(framed.raw))
            if begins and (framed.kind == "message" or note == CUT_BY_SNAPLEN):
                pieces.append(Piece(framed.raw, self._frame, self._moment_ns, self._notes(note)))
            elif framed.kind != "keepalive":
                self._unread[HEADLESS] += 1
        self._parser = None
        return pieces

    def _decide(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        """The first octets of a connection: keep them until they tell what they are."""
        data = self._buffer + data
        self._buffer = b""
        if data.startswith(hep.HEP3_MAGIC):
            self._read = self._hep
        elif begins_message(data):
            return self._enter_sip(data, frame, moment_ns)
        elif may_begin(data) or (not self._claimed and may_begin_proxy(data)):
            self._buffer = data
            return []
        elif not self._claimed and (end := (claim := read_proxy(data))[0]):
            self._claimed = (claim[1],)
            self._unread[PROXY] += 1
            return self._decide(data[end:], frame, moment_ns) if len(data) > end else []
        else:
            self._else = ENCRYPTED if data[:2] in TLS_RECORDS else NOT_SIP
            self._read = self._handshake if begins_handshake(data) else self._foreign
        return self._read(data, frame, moment_ns)

    def _enter_sip(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        self._parser = StreamParser()
        self._read = self._sip
        return self._sip(data, frame, moment_ns)

    def _sip(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        assert self._parser
        if not self._parser.pending and is_one_message(data):  # most segments are: no need to take them apart here
            return [Piece(data, frame, moment_ns, self._notes(""))]
        framed_pieces = self._parser.receive(data)
        return self._messages(framed_pieces, frame, moment_ns) if framed_pieces else []

    def _messages(self, framed_pieces: list[Framed], frame: int, moment_ns: int) -> list[Piece]:
        pieces = []
        for raw, kind, note in framed_pieces:
            if kind == "message":
                pieces.append(Piece(raw, frame, moment_ns, self._notes(note)))
            else:
                self._unread[KEEPALIVE if kind == "keepalive" else JUNK] += 1
        return pieces

    def _notes(self, note: str) -> tuple[str, ...]:
        notes = (*self._claimed, GAP_BEFORE) if self._lost_before else self._claimed
        self._lost_before = False
        return (*notes, note) if note else notes

    def _seek(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        """In the midst of a stream: pass over everything up to a start line with a header line below it."""
        if not self._buffer and begins_message(data):
            return self._enter_sip(data, frame, moment_ns)
        is_hep = data.startswith(hep.HEP3_MAGIC)
        if is_hep or begins_message(first_payload(data)):  # whatever stands before it, that is the end of something
            if self._buffer:
                self._unread[HEADLESS] += 1
                self._buffer = b""
            self._sought = 0
            self._websocket = None if is_hep else WebSocketFrames()  # whose handshake is not in the capture
            self._read = self._hep if is_hep else self._frames
            return self._read(data, frame, moment_ns)
        data = self._buffer + data
        at = find_message(data)
        if at >= 0:
            self._buffer = b""
            self._sought = 0
            if at:
                self._unread[HEADLESS] += 1
            return self._enter_sip(data[at:], frame, moment_ns)
        self._sought += len(data)
        if self._sought > MAX_SOUGHT:
            self._buffer = b""
            self._read = self._foreign
            self._unread[NOT_SIP] += 1
            return []
        # The next segment may complete a line that began in this one, and the one above it.
        keep = data.rfind(b"\n", 0, data.rfind(b"\n")) + 1 if b"\n" in data else 0
        self._buffer = data[keep:] if len(data) - keep < MAX_SEEK else b""
        if keep or not self._buffer:
            self._unread[HEADLESS] += 1
        return []

    def _foreign(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        """Not SIP so far; a segment that starts like a message changes that."""
        if begins_message(data):
            return self._enter_sip(data, frame, moment_ns)
        self._unread[self._else] += 1
        return []

    def _handshake(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        """HTTP that may open a WebSocket for SIP: wait for the end of its header part."""
        data = self._buffer + data
        self._buffer = b""
        head, blank_line, rest = data.partition(b"\r\n\r\n")
        if blank_line and upgrades_to_sip(head + blank_line):
            self._websocket = WebSocketFrames(compressed=offers_compression(head))
            self._read = self._frames
            self._unread[HANDSHAKE] += 1
            return self._frames(rest, frame, moment_ns) if rest else []
        if blank_line or len(data) > MAX_HANDSHAKE:
            self._read = self._foreign
            return self._foreign(data, frame, moment_ns)
        self._buffer = data
        return []

    def _frames(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        """WebSocket frames after the handshake; RFC 7118 section 5: one SIP message in each WebSocket message."""
        assert self._websocket
        pieces = []
        for message in self._websocket.receive(data):
            if begins_message(message):
                pieces.append(Piece(message, frame, moment_ns, self._notes(""), "ws"))
            else:
                self._unread[KEEPALIVE if not message.strip(b"\r\n") else JUNK] += 1
        if self._websocket.broken:
            self._websocket = None
            self._read = self._foreign
            self._unread[NOT_SIP] += 1
        return pieces

    def _hep(self, data: bytes, frame: int, moment_ns: int) -> list[Piece]:
        """HEP3 packets one behind the other."""
        data = self._buffer + data
        pieces: list[Piece] = []
        at = 0
        while len(data) - at >= 6:
            length = hep.hep3_length(data[at : at + 6])
            if length < 6:
                self._unread[NOT_SIP] += 1
                self._read = self._foreign
                self._buffer = b""
                return pieces
            if at + length > len(data):
                break
            pieces.append(Piece(data[at : at + length], frame, moment_ns, self._notes(""), "hep"))
            at += length
        self._buffer = data[at:]
        return pieces
