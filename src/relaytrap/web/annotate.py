"""A raw message as lines and pieces of lines, each with what was found there. Pure; the template only prints it.

Marks say where something was found (offset and length in the raw bytes). A piece of text belongs to every mark that
covers it and is coloured by the shortest one; what a mark has to say stands below the line in which it begins.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relaytrap.sip import ANOMALIES, Message, Unparsed
from relaytrap.sip.text import display

__all__ = ["Line", "Mark", "Piece", "annotate", "hex_lines", "marks_of"]

# Kinds of marks; of two over the same bytes the first decides the colour.
KINDS: Final = ("path", "anomaly", "tool", "decoded")
BYTES_MAX: Final = 1 << 16
LINE_BYTES_MAX: Final = 4096
HEX_BYTES_MAX: Final = 1 << 14
LINE: Final = re.compile(rb"([^\n]*?)(\r?\n|\Z)")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something found at bytes [start, end) of the raw message. kind: one of KINDS; text: a sentence of ours."""

    start: int
    end: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one look. kind: of the mark that decides, "name" for a header's name, "" for plain text."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line. part: start, header, folded, blank or body. end: "CRLF", "LF" or "". notes: (kind, text)."""

    offset: int
    part: str
    pieces: tuple[Piece, ...]
    end: str
    notes: tuple[tuple[str, str], ...]
    cut: int = 0


def marks_of(row: Mapping[str, Any], message: Message) -> list[Mark]:
    """Marks from a stored row's evidence and identifiers, and from the anomalies of its message parsed again."""
    size = len(message.raw)
    made = [
        _placed(each, "path" if each["rule"].startswith("path.") else "tool", each["text"], size)
        for each in row["evidence"]
    ]
    made += [_placed(each, "decoded", _identifier(each), size) for each in row["decoded"]]
    for found in message.anomalies:
        kind = ANOMALIES.get(found.name)
        says = f"{kind.text} ({found.section})" if kind else f"{found.name} ({found.section})"
        start = min(found.offset, max(size - 1, 0))
        made.append(Mark(start, start + 1, "anomaly", says[0].upper() + says[1:]))
    return [mark for mark in made if mark is not None]


def annotate(message: Message, marks: Iterable[Mark]) -> tuple[list[Line], int]:
    """The lines of a message with its marks, and how many bytes at the end are not shown."""
    raw = message.raw[:BYTES_MAX]
    kept = sorted(marks, key=lambda mark: (mark.start, -mark.end))
    names = _names(message)
    lines, part = [], "start"
    for found in LINE.finditer(raw):
        if found.start() == len(raw):
            break
        text, start = found[1], found.start()
        if part not in ("start", "body") and not text.strip(b"\r"):
            part = "blank"
        elif part != "start" and part != "body":
            part = "folded" if text[:1] in (b" ", b"\t") else "header"
        lines.append(_line(text, start, part, found[2], kept, names.get(start, 0)))
        part = "body" if part in ("blank", "body") else "header" if text.strip() else part
    return lines, len(message.raw) - len(raw)


def hex_lines(raw: bytes) -> tuple[str, int]:
    """A hex dump, 16 bytes a line, and how many bytes at the end are left out."""
    shown = raw[:HEX_BYTES_MAX]
    lines = []
    for at in range(0, len(shown), 16):
        part = shown[at : at + 16]
        digits = " ".join(f"{byte:02x}" for byte in part[:8]) + "  " + " ".join(f"{byte:02x}" for byte in part[8:])
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{at:06x}  {digits:<49} {text}")
    return "\n".join(lines), len(raw) - len(shown)


def _placed(found: Mapping[str, Any], kind: str, text: str, size: int) -> Mark | None:
    offset, length = found["offset"], found["length"]
    if not 0 <= offset < size or length <= 0:
        return None
    return Mark(offset, min(offset + length, size), kind, text)


def _identifier(found: Mapping[str, Any]) -> str:
    whose = " (the source)" if found["is_source"] else " (our own address)" if found["is_local"] else ""
    what = f"{found['kind']} {found['value']}{whose}, {found['encoding']}" if found["value"] else found["encoding"]
    return f"{what}: {found['note']}" if found["note"] else what


def _names(message: Message) -> dict[int, int]:
    """Offset of each header line → length of its name as written."""
    if isinstance(message, Unparsed):
        return {}
    return {header.offset: len(header.raw_name) for header in message.headers}


def _line(text: bytes, start: int, part: str, end: bytes, marks: Sequence[Mark], name: int) -> Line:
    shown = text[:LINE_BYTES_MAX]
    stop = start + len(shown)
    here = [mark for mark in marks if mark.start < stop and mark.end > start]
    begins = [mark for mark in marks if start <= mark.start < start + len(text) + len(end)]
    edges = {start, stop, start + min(name, len(shown))}
    edges |= {min(max(edge, start), stop) for mark in here for edge in (mark.start, mark.end)}
    ordered = sorted(edges)
    pieces = tuple(
        Piece(display(shown[low - start : high - start]), _kind(low, high, here, start + name))
        for low, high in itertools.pairwise(ordered)
    )
    notes = tuple(dict.fromkeys((mark.kind, mark.text) for mark in begins))
    return Line(start, part, pieces, {b"\r\n": "CRLF", b"\n": "LF"}.get(end, ""), notes, len(text) - len(shown))


def _kind(low: int, high: int, marks: Iterable[Mark], name_end: int) -> str:
    covering = [mark for mark in marks if mark.start <= low and mark.end >= high]
    if covering:
        return min(covering, key=lambda mark: (mark.end - mark.start, KINDS.index(mark.kind))).kind
    return "name" if high <= name_end else ""
