"""A report as Markdown (GitHub's), and its pictures as PNG: beside it, or inside it where there is no beside.

Whatever Markdown or HTML would read in a text stands behind a backslash or as an entity: no text becomes a link, a
picture, a heading, a table or a tag. Octets stand in indented blocks, in which nothing is read.
"""

import base64
import re
from collections.abc import Callable
from functools import singledispatch
from typing import Any, Final

from relaytrap.sip.text import visible
from relaytrap.web.report.blocks import (
    Banner,
    Bullets,
    Document,
    FactList,
    Mono,
    Paragraph,
    Picture,
    Strong,
    Subheading,
    Table,
    Verbatim,
    Words,
)
from relaytrap.web.report.draw import as_png

__all__ = ["render_markdown"]

Place = Callable[[Picture, bytes], str]
"""Puts a picture somewhere and gives its address."""

# CommonMark 2.4: these may stand behind a backslash, and then mean themselves. Then what means something in some places
# only: a colon, but between digits and before a space (addresses, :names: of pictures), the dot of www., and what
# begins a list, a rule or a heading. What HTML reads is an entity, which is safe also for a reader that knows no
# Markdown.
ALWAYS: Final = re.compile(r"[\\`*_{}\[\]|~$^@#]")
SOMETIMES: Final = re.compile(r":(?!\s|\Z)(?!(?<=\d:)\d)|(?<=www)\.|\A\s*[-+=]|\A\s*\d+[.)](?=\s|\Z)", re.IGNORECASE)
# Of pictures/theme.py, in words.
COLOURS: Final = ("blue", "orange", "green", "violet", "ochre", "red", "slate", "light blue")
ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def render_markdown(document: Document, place: Place | None = None) -> str:
    """The text. place: where pictures go; None puts them into the text as data: addresses."""
    parts = [f"# {escaped(document.title)}", _words(document.lead)]
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [_written(block, place or _inside) for block in section.blocks]
    parts += ["---", escaped(document.foot)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows letter by letter, on one line."""
    shown = visible(text.replace("\r\n", " ").replace("\n", " "))
    behind = {match.start() for match in ALWAYS.finditer(shown)}
    behind |= {match.end() - 1 for match in SOMETIMES.finditer(shown)}
    return "".join(f"\\{sign}" if at in behind else ENTITIES.get(sign, sign) for at, sign in enumerate(shown))


def _words(given: Words) -> str:
    return "".join(_run(run) for run in given).strip()


def _run(run: str | Mono | Strong) -> str:
    if isinstance(run, Mono):
        return _code(run.text)
    if isinstance(run, Strong):
        inner = escaped(run.text.strip())
        return f"**{inner}**" if inner else ""
    return escaped(run)


def _code(text: str) -> str:
    """A code span around short plain text; anything that could end one, or a table's cell, is escaped text instead."""
    shown = visible(text)
    return (
        f"`{shown}`"
        if re.fullmatch(r"[A-Za-z0-9.:+@/_=,; -]*[A-Za-z0-9+]", shown) and shown == shown.strip()
        else escaped(text)
    )


def _inside(picture: Picture, png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


@singledispatch
def _written(block: Any, place: Place) -> str:
    raise TypeError(f"no way to write a {type(block).__name__}")


@_written.register
def _(block: Paragraph, place: Place) -> str:
    return _words(block.words)


@_written.register
def _(block: Subheading, place: Place) -> str:
    return f"### {escaped(block.text)}"


@_written.register
def _(block: Banner, place: Place) -> str:
    return f"> **{_words(tuple(run if isinstance(run, str) else run.text for run in block.words))}**"


@_written.register
def _(block: Bullets, place: Place) -> str:
    return "\n".join(f"- {_words(item)}" for item in block.items)


@_written.register
def _(block: FactList, place: Place) -> str:
    return "\n".join(f"- **{escaped(name)}:** {_words(value)}" for name, value in block.rows)


@_written.register
def _(block: Table, place: Place) -> str:
    head = " | ".join(escaped(column.title) for column in block.columns)
    rule = " | ".join("---:" if column.number else "---" for column in block.columns)
    lines = [f"| {head} |", f"| {rule} |", *(f"| {' | '.join(_words(cell) for cell in row)} |" for row in block.rows)]
    more = f"\n\n{escaped(block.more)}." if block.more else ""
    return "\n".join(lines) + more


@_written.register
def _(block: Picture, place: Place) -> str:
    named = zip(COLOURS, block.legend, strict=False)
    said = [
        escaped(block.caption),
        escaped(", ".join(f"{name or 'not SIP'} {total:,} ({colour})" for colour, (name, total) in named)),
    ]
    return f"![{escaped(block.alt)}]({place(block, as_png(block))})\n\n{' '.join(filter(None, said))}".rstrip()


@_written.register
def _(block: Verbatim, place: Place) -> str:
    lines = [f"    {visible(line)}" for line in block.text.replace("\r\n", "\n").rstrip("\n").split("\n")]
    # An indented block begins behind an empty line, and not within a list: the comment ends one.
    return f"{_words(block.note)}\n\n<!-- -->\n\n" + "\n".join(lines)
