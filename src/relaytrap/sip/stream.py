"""Messages out of a byte stream: TCP, TLS (RFC 3261 section 18.3, RFC 5626 section 4.4.1).

Bytes go in as they come, frames come out as soon as they are whole. Which messages come out depends on the bytes alone,
never on how they were cut into segments. Every byte that went in comes out in some frame, or is still pending.
"""

import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from relaytrap.sip.message import Unparsed
from relaytrap.sip.parse import MAX_HEADER_BYTES, parse_message

__all__ = ["MAX_MESSAGE_BYTES", "FrameKind", "Framed", "StreamParser"]

MAX_MESSAGE_BYTES: Final = 1 << 20

FrameKind = Literal["message", "keepalive", "junk"]


class Framed(NamedTuple):
    """A piece of the stream.

    raw: the octets, exactly.
    kind: "message" from first line to end of body; "keepalive" line ends and NULs between messages; "junk" what is
        neither.
    note: what the framing had to decide, "" for nothing: "ping" (a keep-alive that asks for CRLF), "no Content-Length",
        "Content-Length unusable", "Content-Length beyond limit", "header part too long", "cut".
    """

    raw: bytes
    kind: FrameKind
    note: str = ""


class StreamParser:
    """Frames one direction of one connection; holds at most one message.

    max_message_bytes: a message that claims more is framed without its body, which then arrives as junk.
    """

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._limit = max_message_bytes
        self._buffer = bytearray()
        self._position = 0  # of the first octet not yet framed
        self._scanned = 0  # up to where the buffer was searched for what the step waits for
        self._message_end = 0  # once the header part is whole: where the message ends
        self._note = ""
        self._junk_start = -1
        self._line_ends = b""  # the last line ends of the keep-alive run that the stream is in
        self._step: Callable[[list[Framed]], bool] = self._read_first_line

    @property
    def pending(self) -> int:
        """Octets held back until their message is whole."""
        return len(self._buffer)

    def receive(self, data: bytes) -> list[Framed]:
        """The frames that data completes, in order."""
        self._buffer += data
        frames: list[Framed] = []
        while self._step(frames):
            pass
        self._flush_junk(frames)
        del self._buffer[: self._position]
        self._scanned -= self._position
        self._message_end -= self._position
        self._position = 0
        return frames

    def close(self) -> list[Framed]:
        """What is left when the peer has closed: a message that was cut, or junk."""
        rest = bytes(self._buffer)
        kind: FrameKind = "junk" if self._step == self._read_first_line or self._step == self._skip_line else "message"
        self._buffer.clear()
        self._enter(self._read_first_line, 0)
        return [Framed(rest, kind, "cut")] if rest else []

    def _enter(self, step: Callable[[list[Framed]], bool], position: int) -> None:
        self._step = step
        self._position = self._scanned = position

    def _take(self, frames: list[Framed], end: int, kind: FrameKind, note: str = "") -> None:
        """Frames the octets from the position to end; junk before them goes first."""
        self._flush_junk(frames)
        frames.append(Framed(bytes(self._buffer[self._position : end]), kind, note))
        self._enter(self._read_first_line, end)

    def _pass_junk(self, end: int, step: Callable[[list[Framed]], bool]) -> None:
        """Counts the octets up to end as junk; adjacent junk of one segment becomes one frame."""
        if self._junk_start < 0:
            self._junk_start = self._position
        self._line_ends = b""
        self._enter(step, end)

    def _flush_junk(self, frames: list[Framed]) -> None:
        if self._junk_start >= 0:
            frames.append(Framed(bytes(self._buffer[self._junk_start : self._position]), "junk"))
            self._junk_start = -1

    # Steps: each reads one thing and tells whether there may be another; False waits for more octets.

    def _read_first_line(self, frames: list[Framed]) -> bool:
        run = _KEEPALIVE.match(self._buffer, self._scanned)
        if self._scanned == self._position and run:
            self._take_keepalive(frames, run[0], run.end())
            return True
        if self._skip_plain_junk():
            return True
        line_end = self._buffer.find(b"\n", self._scanned)
        limit = self._position + MAX_HEADER_BYTES
        if 0 <= line_end < limit:
            line = bytes(self._buffer[self._position : line_end + 1])
            start = find_start(line)
            if start:
                self._pass_junk(self._position + (start if start > 0 else len(line)), self._read_first_line)
            if start < 0:
                return True
            self._flush_junk(frames)
            self._line_ends = b""
            self._step, self._scanned = self._read_header, line_end
            return True
        if len(self._buffer) >= limit:
            self._pass_junk(limit, self._skip_line)
            return True
        self._scanned = len(self._buffer)
        return False

    def _skip_plain_junk(self) -> bool:
        """Steps over whole lines at once when none of them can be a first line: it would hold `SIP/`."""
        if self._scanned != self._position:
            return False
        version = _VERSION.search(self._buffer, self._position)
        end = self._buffer.rfind(b"\n", self._position, version.start() if version else len(self._buffer)) + 1
        if end <= self._position:
            return False
        self._pass_junk(end, self._read_first_line)
        return True

    def _take_keepalive(self, frames: list[Framed], run: bytes, end: int) -> None:
        line_ends = self._line_ends + run
        is_ping = b"\r\n\r\n" in line_ends
        self._take(frames, end, "keepalive", "ping" if is_ping else "")
        self._line_ends = b"" if is_ping else line_ends[-3:]

    def _skip_line(self, frames: list[Framed]) -> bool:
        """The rest of a line that is too long to be one."""
        line_end = self._buffer.find(b"\n", self._position)
        end = len(self._buffer) if line_end < 0 else line_end + 1
        if end > self._position:
            self._pass_junk(end, self._skip_line if line_end < 0 else self._read_first_line)
        return line_end >= 0

    def _read_header(self, frames: list[Framed]) -> bool:
        match = _HEADER_END.search(self._buffer, self._scanned)
        limit = self._position + MAX_HEADER_BYTES
        if match is None and len(self._buffer) < limit:
            self._scanned = max(self._scanned, len(self._buffer) - 2)
            return False
        if match is None or match.end() > limit:
            self._take(frames, limit, "junk", "header part too long")
            self._step = self._skip_line
            return True
        length, self._note = content_length(bytes(self._buffer[self._position : match.end()]))
        if match.end() - self._position + length > self._limit:
            length, self._note = 0, "Content-Length beyond limit"
        self._message_end = match.end() + length
        self._step = self._read_body
        return True

    def _read_body(self, frames: list[Framed]) -> bool:
        if len(self._buffer) < self._message_end:
            return False
        self._take(frames, self._message_end, "message", self._note)
        return True


_VERSION: Final = re.compile(rb"[Ss][Ii][Pp]/")
_KEEPALIVE: Final = re.compile(rb"[\r\n\x00]++")
_HEADER_END: Final = re.compile(rb"\n\r?\n")
_REQUEST_END: Final = re.compile(rb"[ \t]SIP/[0-9]{1,3}\.[0-9]{1,3}[ \t]*+\r?\n", re.IGNORECASE)
_STATUS: Final = re.compile(rb"SIP/[0-9]{1,3}\.[0-9]{1,3}[ \t]++[0-9]", re.IGNORECASE)
_BINARY_OCTETS: Final = bytes([*range(32), *range(127, 256)])
_TOKEN_OCTETS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"


def find_start(line: bytes) -> int:
    """Offset in a line at which a message begins, behind junk that may stand before it; -1 when none does."""
    binary = len(line) - len(line.lstrip(_BINARY_OCTETS))
    if _STATUS.match(line, binary):
        return binary
    tail = max(line.rfind(b"SIP/"), line.rfind(b"sip/"), 1) - 1
    if not _REQUEST_END.fullmatch(line, tail):
        return -1
    before = line[: _first_blank(line)]
    method = len(before) - len(before.rstrip(_TOKEN_OCTETS))
    has_uri = len(before) < tail
    return len(before) - method if method and has_uri else -1


def _first_blank(line: bytes) -> int:
    found = [at for at in (line.find(b" "), line.find(b"\t")) if at >= 0]
    return min(found, default=len(line))


def content_length(header_part: bytes) -> tuple[int, str]:
    """Octets of body that a header part announces, and a note when it does not say so properly (then 0)."""
    message = parse_message(header_part)
    if isinstance(message, Unparsed) or b"content-length" not in message.headers:
        return 0, "no Content-Length"
    length = message.content_length
    return (0, "Content-Length unusable") if length is None else (length, "")
