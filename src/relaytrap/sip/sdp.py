"""Session descriptions, line by line and lossless (RFC 4566)."""

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
    """One m= with the lines below it. `connection` is its own c= address, else None."""

    kind: bytes
    port: int | None
    protocol: bytes
    formats: tuple[bytes, ...]
    connection: bytes | None
    attributes: tuple[bytes, ...]


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
    def session_name(self) -> bytes | None:
        """The s= line."""
        return self.get(b"s")

    @property
    def connection(self) -> bytes | None:
        """Address of the first c= line, wherever it stands, without "/ttl"."""
        return _connection_address(self.get(b"c") or b"")

    @property
    def media(self) -> tuple[Media, ...]:
        """The m= lines with what stands below each."""
        found: list[Media] = []
        for kind, value in self.lines:
            if kind == b"m":
                found.append(_read_media(value))
            elif found and kind == b"c":
                found[-1] = found[-1]._replace(connection=_connection_address(value))
        return tuple(
            media._replace(attributes=attributes)
            for media, attributes in zip(found, self._media_attributes(), strict=True)
        )

    def _media_attributes(self) -> list[tuple[bytes, ...]]:
        groups: list[list[bytes]] = []
        for kind, value in self.lines:
            if kind == b"m":
                groups.append([])
            elif kind == b"a" and groups:
                groups[-1].append(value)
        return [tuple(group) for group in groups]


def _connection_address(value: bytes) -> bytes | None:
    """Address of `IN IP4 224.2.36.42/127`."""
    fields = value.split()
    return fields[2].partition(b"/")[0] if len(fields) == 3 else None


def _read_media(value: bytes) -> Media:
    fields = [*value.split(), b"", b"", b""]
    digits = fields[1].partition(b"/")[0]
    port = int(digits) if digits.isdigit() and len(digits) <= 5 else None
    return Media(fields[0], port, fields[2], tuple(fields[3:-3]), None, ())


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
