"""Header parameters and comma-separated lists: what Via, From, Contact and the rest have in common."""

import re
from typing import Final

from relaytrap.kept import Kept
from relaytrap.sip.anomaly import Defect
from relaytrap.sip.grammar import LIST_MARK, PARAM, QUOTED_PAIR, QUOTED_STRING

__all__ = [
    "MAX_PARAMS",
    "MAX_VALUES",
    "Params",
    "find_param",
    "plain_params",
    "read_params",
    "split_list",
    "split_params",
    "unquote",
]

Params = tuple[tuple[bytes, bytes | None], ...]
"""(name, value) as written and in order; value None without "=", in quotes when it was quoted."""

# More values in one header, or parameters behind one value, than any real message has; the rest is only in raw.
MAX_VALUES: Final = 255
MAX_PARAMS: Final = 64


def split_list(value: bytes) -> list[tuple[int, bytes]]:
    """The comma-separated elements of a field value as (offset, element), blanks around each removed.

    Commas in quoted strings and angle brackets do not part. At most MAX_VALUES + 1 elements are returned; the last
    then holds the unread rest, which tells the caller that there is more.
    """
    elements: list[tuple[int, bytes]] = []
    start = position = 0
    quote_ends = bracket_ends = True
    while len(elements) < MAX_VALUES and (mark := LIST_MARK.search(value, position)):
        position = mark.end()
        octet = mark[0]
        if octet == b",":
            elements.append(_trimmed(value, start, mark.start()))
            start = position
        elif octet == b'"' and quote_ends:
            end = _quote_end(value, position)
            quote_ends, position = end > 0, end or position
        elif octet == b"<" and bracket_ends:
            end = value.find(b">", position) + 1
            bracket_ends, position = end > 0, end or position
    elements.append(_trimmed(value, start, len(value)))
    return elements


def _trimmed(value: bytes, start: int, end: int) -> tuple[int, bytes]:
    element = value[start:end]
    stripped = element.lstrip(b" \t")
    return start + len(element) - len(stripped), stripped.rstrip(b" \t")


def _quote_end(value: bytes, position: int) -> int:
    """Offset behind the quote that closes the string opened just before position; 0 when none does."""
    while (quote := value.find(b'"', position)) >= 0:
        slashes = quote
        while slashes > position and value[slashes - 1] == 0x5C:
            slashes -= 1
        if (quote - slashes) % 2 == 0:
            return quote + 1
        position = quote + 1
    return 0


def read_params(text: bytes, base: int, defects: list[Defect]) -> Params:
    """Parameters from text that begins at the first ";" (or is empty); `base` is its offset in the value.

    What breaks the grammar is noted and kept as well as it can be told apart.
    """
    found: list[tuple[bytes, bytes | None]] = []
    position, end = 0, len(text)
    left = MAX_PARAMS
    while position < end:
        if not left:
            defects.append(("too-many-values", base + position))
            break
        left -= 1
        match = PARAM.match(text, position)
        if match and (match.end() == end or text[match.end()] == 0x3B):
            found.append((match[1], match[2]))
            position = match.end()
        else:
            position = _read_odd_param(text, position, base, found, defects)
    _note_repeated(found, base, defects)
    return tuple(found)


def _read_odd_param(
    text: bytes, position: int, base: int, found: list[tuple[bytes, bytes | None]], defects: list[Defect]
) -> int:
    """Takes one parameter that PARAM refuses; gives the offset behind it."""
    end = text.find(b";", position + 1)
    if end < 0:
        end = len(text)
    piece = text[position + 1 : end].strip(b" \t")
    if text[position] != 0x3B:
        defects.append(("param", base + position))
        return end
    if not piece:
        defects.append(("param-gap", base + position))
        return end
    defects.append(("param", base + position))
    name, equals, value = piece.partition(b"=")
    found.append((name.rstrip(b" \t"), value.lstrip(b" \t") if equals else None))
    return end


def split_params(text: bytes) -> list[tuple[bytes, bytes]]:
    """(name, octets) of each parameter as `read_params` tells them apart, all of them; joined, the octets are `text`.

    text: begins at the first ";", or is empty. A name may be empty, and is b"" for what stands between parameters.
    """
    pieces = []
    for match in PIECE.finditer(text):
        name, piece = match[1], match[0]
        if name is None:
            name = piece[1:].partition(b"=")[0].strip(b" \t") if piece[:1] == b";" else b""
        pieces.append((name, piece))
    return pieces


PIECE: Final = re.compile(PARAM.pattern + rb"(?=;|\Z)|.[^;]*+", re.DOTALL)


def _note_repeated(found: list[tuple[bytes, bytes | None]], base: int, defects: list[Defect]) -> None:
    if len(found) > 1 and len({name.lower() for name, _ in found}) != len(found):
        defects.append(("param-repeated", base))


def _split_plain(text: bytes) -> Params:
    pieces = []
    for piece in text.split(b";")[1:]:
        name, equals, value = piece.partition(b"=")
        pieces.append((name, value if equals else None))
    return tuple(pieces)


plain_params: Final = Kept(_split_plain).__getitem__
"""Parameters of a text that a pattern has judged: few, ";name" and ";name=value" without blanks, quotes and gaps."""


def find_param(params: Params, name: bytes) -> bytes | None:
    """Value of the first parameter of that lower-case name; None when it is absent or stands without a value."""
    for key, value in params:
        if key == name or key.lower() == name:
            return value
    return None


def unquote(value: bytes) -> bytes:
    """A quoted-string's text without its quotes and backslashes; any other value as it is."""
    if len(value) >= 2 and value[0] == 0x22 and QUOTED_STRING.fullmatch(value):
        return QUOTED_PAIR.sub(rb"\1", value[1:-1]) if b"\\" in value else value[1:-1]
    return value
