"""Session descriptions, line by line and lossless (RFC 8866)."""

from typing import Final, NamedTuple

from relaytrap.sip.grammar import SDP_LINES

__all__ = ["Media", "Origin", "Sdp", "find_odd_line", "read_sdp"]

# More lines than any description needs; the rest is only in the body.
MAX_LINES: Final = 1024


class Origin(NamedTuple):
    """o= as written: who made the session, and what it calls its own address."""

    username: bytes
    session_id: bytes
    version: bytes
    network: bytes
    address_type: bytes
    address: bytes


class Media(NamedTuple):
    """One m=, without its port."""

    kind: bytes
    protocol: bytes
    formats: tuple[bytes, ...]


class Sdp(NamedTuple):
    """A description as its lines: (type, value), in order, values as written without the line end.

    A line that is no `x=value` has the type b"" and the whole line as its value.
    """

    lines: tuple[tuple[bytes, bytes], ...]

    def get(self, kind: bytes) -> bytes | None:
        """Value of the first line of a type; None when there is none."""
        return next((value for name, value in self.lines if name == kind), None)

    @property
    def origin(self) -> Origin | None:
        """The o= line; None when it is missing or has not six fields."""
        fields = (self.get(b"o") or b"").split()
        return Origin(*fields) if len(fields) == 6 else None

    @property
    def connection(self) -> bytes | None:
        """Address of the first c= line, wherever it stands, without "/ttl"."""
        return _connection_address(self.get(b"c") or b"")

    @property
    def media(self) -> tuple[Media, ...]:
        """What the m= lines offer."""
        media = ([*value.split(), b"", b"", b""] for kind, value in self.lines if kind == b"m")
        return tuple(Media(fields[0], fields[2], tuple(fields[3:-3])) for fields in media)


def _connection_address(value: bytes) -> bytes | None:
    """Address of `IN IP4 224.2.36.42/127`."""
    fields = value.split()
    return fields[2].partition(b"/")[0] if len(fields) == 3 else None


def read_sdp(body: bytes) -> Sdp:
    """A description from any bytes; lines may end in CRLF, LF or CR."""
    lines = []
    for line in body.splitlines()[:MAX_LINES]:
        if line[1:2] == b"=":
            lines.append((line[:1], line[2:]))
        elif line:
            lines.append((b"", line))
    return Sdp(tuple(lines))


def find_odd_line(body: bytes) -> int:
    """Offset of the first line that is no `x=value`; -1 when every line is."""
    match = SDP_LINES.match(body)
    end = match.end() if match else 0
    return -1 if end == len(body) or not body[end:].strip(b"\r\n") else end
