"""Header fields in wire order: names and values for use, the bytes as written for evidence (RFC 3261 section 7.3).

`Headers` answers by canonical name from a table that is filled while the message is split; lines with their offsets
and folding are only worked out when somebody asks for them.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from relaytrap.kept import Kept
from relaytrap.sip.grammar import TOKEN

__all__ = ["COMPACT_FORMS", "Header", "Headers", "Line", "canonical_name", "ends_in_cr", "scan_lines", "unfold"]

# RFC 3261 section 7.3.3 and the extensions registered since (IANA sip-parameters).
COMPACT_FORMS: Final[dict[bytes, bytes]] = {
    b"a": b"accept-contact",
    b"b": b"referred-by",
    b"c": b"content-type",
    b"d": b"request-disposition",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"j": b"reject-contact",
    b"k": b"supported",
    b"l": b"content-length",
    b"m": b"contact",
    b"n": b"identity-info",
    b"o": b"event",
    b"r": b"refer-to",
    b"s": b"subject",
    b"t": b"to",
    b"u": b"allow-events",
    b"v": b"via",
    b"x": b"session-expires",
    b"y": b"identity",
}


def _canonical_name(raw_name: bytes) -> bytes:
    name = raw_name.rstrip(b" \t").lower()
    return COMPACT_FORMS.get(name, name) if TOKEN.fullmatch(name) else b""


canonical_name: Final = Kept(_canonical_name, most=4096).__getitem__
"""Lower-case long form of a name as written, blanks before the colon included; b"" when it is no token."""


def field_name(raw_name: bytes) -> bytes:
    """The name a field goes by: canonical, or lower-cased as it stands when it is no token."""
    return canonical_name(raw_name) or raw_name.strip().lower()


class Header(NamedTuple):
    """One header line.

    raw_name: as written, with any blanks before the colon. name: lower-case long form (for a name that is no token, the
    lower-cased text). value: unfolded, blanks around it removed. offset: of the line in `raw`.
    """

    raw_name: bytes
    name: bytes
    value: bytes
    offset: int


class Line(NamedTuple):
    """A header line with its continuation lines: raw_name ":" raw_value as on the wire, without the last line end."""

    offset: int
    raw_name: bytes
    raw_value: bytes
    has_colon: bool
    line_end: bytes  # the octet that ends lines in this message; a CR elsewhere is part of the value

    @property
    def value_offset(self) -> int:
        """Offset in `raw` of the first octet behind the colon."""
        return self.offset + len(self.raw_name) + self.has_colon

    def raw_offsets(self, positions: Sequence[int]) -> list[int]:
        """Offsets in `raw` of the octets at positions of the unfolded value."""
        starts, shifts = [0], [self.value_offset]
        used = 0
        for offset, piece in _pieces(self.raw_value, self.line_end):
            starts.append(used)
            shifts.append(self.value_offset + offset - used)
            used += len(piece) + 1
        return [position + shifts[bisect_right(starts, position) - 1] for position in positions]


def _pieces(raw_value: bytes, line_end: bytes) -> Iterator[tuple[int, bytes]]:
    """What folding parted, blanks around removed, empty pieces left out, each with its offset in the raw value."""
    start = 0
    for line in raw_value.split(line_end):
        left = line.lstrip()
        stripped = left.rstrip()
        if stripped:
            yield start + len(line) - len(left), stripped
        start += len(line) + 1


def unfold(raw_value: bytes, line_end: bytes) -> bytes:
    """A field value with each fold as one SP and the blanks around it removed (section 7.3.1)."""
    if line_end not in raw_value:
        return raw_value.strip()
    return b" ".join(piece for _, piece in _pieces(raw_value, line_end))


def scan_lines(data: bytes, start: int, end: int, limit: int) -> tuple[list[Line], int]:
    """Header lines of data[start:end] with their folds, and the offset behind the empty line that ends them.

    Lines end in CRLF or LF; in CR where no LF stands before the empty line, and none ends the line before these. The
    offset is -1 when no empty line was met. Lines beyond `limit` are stepped over.
    """
    first = data.find(b"\n", start, end)
    ends_in_lf = data[start - 1 : start] == b"\n" or (first >= 0 and not ends_in_cr(data, start, first))
    line_end = b"\n" if ends_in_lf else b"\r"
    spans: list[list[int]] = []
    position, body = start, -1
    while position < end:
        found = data.find(line_end, position, end)
        content = end if found < 0 else found
        if found > position and line_end == b"\n" and data[found - 1] == 0x0D:
            content = found - 1
        if content == position and found >= 0:
            body = found + 1
            break
        if data[position] in b" \t" and spans:
            spans[-1][1] = content
        elif len(spans) <= limit:
            spans.append([position, content])
        position = end if found < 0 else found + 1
    return [_line(data, first, last, line_end) for first, last in spans], body


def ends_in_cr(data: bytes, start: int, first_lf: int) -> bool:
    """Whether lines from start on end in bare CR: an empty line of them stands before the first LF, which is body.

    Not so where the LF's own line has several CRs at its end, as files have that were converted twice.
    """
    return b"\r\r" in data[start:first_lf].rstrip(b"\r")


def _line(data: bytes, start: int, end: int, line_end: bytes) -> Line:
    name, colon, value = data[start:end].partition(b":")
    return Line(start, name, value, bool(colon), line_end)


class Headers:
    """The header fields of one message, in order; iterating gives `Header` values.

    Names asked for are canonical: lower case, long form (b"via", b"call-id").
    """

    __slots__ = (
        "_by_name",
        "_data",
        "_end",
        "_lines",
        "_raw_names",
        "_start",
        "first",
        "may_hold_line_ends",
        "repeated",
    )

    first: dict[bytes, bytes]
    """Canonical name to the value of its first field, for look-ups by the dozen; not to be changed."""
    repeated: dict[bytes, list[bytes]]
    """Fields that stand more than once: canonical name to values; not to be changed."""
    may_hold_line_ends: bool
    """Whether a CR or LF may stand in a value; what was split at its line ends holds none."""

    def __init__(
        self,
        data: bytes,
        start: int,
        end: int,
        raw_names: list[bytes],
        first: dict[bytes, bytes],
        repeated: dict[bytes, list[bytes]],
        lines: Sequence[Line] | None = None,
    ) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._raw_names = raw_names
        self.first = first
        self.may_hold_line_ends = lines is not None
        self.repeated = repeated
        self._lines = lines
        self._by_name: dict[bytes, list[Line]] | None = None

    @classmethod
    def from_lines(cls, data: bytes, start: int, end: int, lines: Sequence[Line]) -> "Headers":
        """Headers of lines that were scanned one by one."""
        first: dict[bytes, bytes] = {}
        more: dict[bytes, list[bytes]] = {}
        for line in lines:
            name = field_name(line.raw_name)
            value = unfold(line.raw_value, line.line_end)
            if name in first:
                more.setdefault(name, [first[name]]).append(value)
            else:
                first[name] = value
        return cls(data, start, end, [line.raw_name for line in lines], first, more, lines)

    def get(self, name: bytes) -> bytes | None:
        """Value of the first field of that name; None when there is none."""
        return self.first.get(name)

    def get_all(self, name: bytes) -> Sequence[bytes]:
        """Values of every field of that name, in order."""
        if name in self.repeated:
            return tuple(self.repeated[name])
        value = self.first.get(name)
        return () if value is None else (value,)

    def names(self) -> tuple[bytes, ...]:
        """Names as written, in order."""
        return tuple(self._raw_names)

    def canonical_names(self) -> tuple[bytes, ...]:
        """Canonical names, in order."""
        return tuple(map(field_name, self._raw_names))

    def raw_items(self) -> Iterator[tuple[bytes, bytes]]:
        """(name, value) exactly as written: name ":" value is the line, folds included, its last line end excluded."""
        return ((line.raw_name, line.raw_value) for line in self.lines)

    @property
    def lines(self) -> Sequence[Line]:
        """The lines with offsets and folding."""
        if self._lines is None:
            self._lines = scan_lines(self._data, self._start, self._end, len(self._raw_names))[0]
        return self._lines

    def line(self, name: bytes, index: int) -> Line | None:
        """The index-th line of a name."""
        if self._by_name is None:
            self._by_name = {}
            for line in self.lines:
                self._by_name.setdefault(field_name(line.raw_name), []).append(line)
        lines = self._by_name.get(name, ())
        return lines[index] if index < len(lines) else None

    def __contains__(self, name: bytes) -> bool:
        return name in self.first

    def __len__(self) -> int:
        return len(self._raw_names)

    def __iter__(self) -> Iterator[Header]:
        for line in self.lines:
            yield Header(line.raw_name, field_name(line.raw_name), unfold(line.raw_value, line.line_end), line.offset)
