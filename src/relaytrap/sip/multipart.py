"""Bodies of several parts, taken apart when somebody asks; the parts are exact slices (RFC 2046 section 5.1.1)."""

import re
from typing import Final, NamedTuple

from relaytrap.sip.headers import Headers, scan_lines
from relaytrap.sip.params import find_param, read_params, unquote

__all__ = ["Part", "split_multipart"]

MAX_PARTS: Final = 64
MAX_PART_HEADERS: Final = 64


class Part(NamedTuple):
    """One part: its own header fields and its octets, binary ones too."""

    headers: Headers
    body: bytes


def split_multipart(body: bytes, content_type: bytes) -> tuple[Part, ...]:
    """The parts of a multipart body in order; () when the type names no boundary or the body has none.

    A body that is cut before its closing boundary gives its last part as far as it goes.
    """
    start = content_type.find(b";")
    boundary = (
        unquote(find_param(read_params(content_type[start:], start, []), b"boundary") or b"") if start > 0 else b""
    )
    if not boundary or len(boundary) > 256:
        return ()
    # boundary delimiter: CRLF "--" boundary, "--" behind the last one, blanks allowed before the line end
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*+(?=\r?\n|\Z)")
    parts: list[Part] = []
    begun = -1
    for match in delimiter.finditer(body):
        if begun >= 0:
            parts.append(_read_part(body[begun : match.start()]))
        begun = -1 if match[1] else match.end()
        if match[1] or len(parts) == MAX_PARTS:
            return tuple(parts)
    if begun >= 0:
        parts.append(_read_part(body[begun:]))
    return tuple(parts)


def _read_part(octets: bytes) -> Part:
    """A part from behind its boundary: line end, header lines, empty line, body."""
    line_end = octets.find(b"\n") + 1
    lines, start = scan_lines(octets, line_end, len(octets), MAX_PART_HEADERS)
    end = start if start >= 0 else len(octets)
    return Part(Headers.from_lines(octets, line_end, end, lines[:MAX_PART_HEADERS]), octets[end:])
