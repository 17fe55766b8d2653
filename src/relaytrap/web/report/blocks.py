"""What a report is made of, whatever file it becomes: sections of paragraphs, tables, pictures and quoted octets.

Text in blocks is text: no door reads markup in it, each escapes what means something there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

__all__ = [
    "Banner",
    "Block",
    "Bullets",
    "Column",
    "Document",
    "FactList",
    "Mono",
    "Paragraph",
    "Picture",
    "Section",
    "Strong",
    "Subheading",
    "Table",
    "Verbatim",
    "Words",
    "cut",
    "plain_words",
    "words",
]

VALUE_CHARS: Final = 160
QUOTE_CHARS: Final = 6000


class Mono(NamedTuple):
    """Text that is read letter by letter: an address, an identifier, what somebody wrote."""

    text: str


class Strong(NamedTuple):
    """Text that is to be seen first."""

    text: str


Run: TypeAlias = str | Mono | Strong
Words: TypeAlias = tuple[Run, ...]


def words(*runs: Run | int | None) -> Words:
    """Runs of text; nothing for None, numbers with their commas."""
    return tuple(f"{each:,}" if isinstance(each, int) else each for each in runs if each is not None and each != "")


def plain_words(given: Words) -> str:
    """The text alone."""
    return "".join(run if isinstance(run, str) else run.text for run in given)


def cut(text: Any, limit: int = VALUE_CHARS) -> str:
    """Text that somebody else made long enough, and says so."""
    text = "" if text is None else str(text)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words. muted: said in passing."""

    words: Words
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Subheading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Banner:
    """What must not be overlooked."""

    words: Words


@dataclass(frozen=True, slots=True)
class Bullets:
    """One thing after the other."""

    items: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class FactList:
    """Names and what stands for each."""

    rows: tuple[tuple[str, Words], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. share: of the width on paper. number: aligned to the right."""

    title: str
    share: int = 10
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells. more: what is left out, or ""."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Words, ...], ...]
    more: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a picture module made, or the rows of a world map.

    name: what its file is called. legend: names of colours, in their order. caption: how to read it.
    """

    name: str
    kind: Literal["timeline", "ladder", "sweep", "fan", "world"]
    made: Any
    alt: str
    caption: str = ""
    legend: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Octets as they came, as text. note: what they are."""

    text: str
    note: Words = ()


Block: TypeAlias = Paragraph | Subheading | Banner | Bullets | FactList | Table | Picture | Verbatim


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it. anchor: its name in a link."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A report. lead: what it is of, in one line; foot: who made it, when, by which rules."""

    title: str
    lead: Words
    sections: tuple[Section, ...]
    foot: str
    redacted: bool = True

    def pictures(self) -> Iterable[Picture]:
        """Every picture, in order."""
        return (block for section in self.sections for block in section.blocks if isinstance(block, Picture))
