"""A table for people, in the room that their terminal has: what finds no column stands beneath its row, nothing is cut.

Takes cells that were made safe already (cli/output.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["Column", "print_table"]

GAP: Final = 2
SHORT_CHARS: Final = 26
"""What is no longer (times, addresses, identifiers to copy) stays whole; longer text folds to what room there is."""
LESSER: Final = (
    "incidents", "first_seen", "asn", "prefixes", "user_agent", "listen", "version", "persona", "product", "networks",
    "countries", "coverage", "per_hour", "associated", "behind", "sensors", "sensor", "tools", "methods", "spellings",
    "range", "last_seen", "direct", "contradictions", "vouched", "kind", "tool", "targets", "campaigns", "origins",
    "whom", "spool_bytes", "clock_s", "user", "proof", "was", "problem", "where", "country",
)  # fmt: skip
"""Keys that leave a narrow table for the line beneath, the first of them first."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its cells from top to bottom, under a heading."""

    key: str
    heading: str
    cells: Sequence[str]
    is_numeric: bool

    @property
    def width(self) -> int:
        """What heading and cells take; of text that folds, as much as it is read well in."""
        longest = max(map(cell_len, self.cells))
        return max(cell_len(self.heading), longest if longest <= SHORT_CHARS else SHORT_CHARS)

    @property
    def folds(self) -> bool:
        """Whether it takes a share of the room that is left, and more lines than one where that is too little."""
        return max(map(cell_len, self.cells)) > SHORT_CHARS


def print_table(columns: Sequence[Column], width: int | None) -> None:
    """Print rows of at least one cell each. width: of the terminal; None: as wide as the content needs."""
    if width is None:
        console = _console(sum(max(map(cell_len, each.cells)) + GAP for each in columns) + 400)
        console.print(_table(columns, [each.cells for each in columns]))
        return
    console = _console(width)
    kept = _fitting(columns, width)
    if len(kept) == len(columns):
        console.print(_table(columns, [each.cells for each in columns]))
        return
    beneath = [each for each in columns if each not in kept]
    room = (width - sum(each.width + GAP for each in kept) + GAP) // max(1, sum(each.folds for each in kept))
    for row in range(len(columns[0].cells)):
        cells = [each.cells[row : row + 1] for each in kept]
        console.print(_table(kept, cells, has_header=not row, room=room))
        told = "; ".join(f"{each.heading} {each.cells[row]}" for each in beneath if each.cells[row])
        if told:
            console.print(Padding(Text(told, style="dim", overflow="fold"), (0, 0, 0, GAP)))


def _console(width: int) -> Console:
    """Rich takes a dumb terminal for one of 80 columns unless the height is given as well."""
    return Console(width=width, height=25, highlight=False)


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that a row has room for, in their order: the first, then what tells most; empty ones with all."""
    if sum(each.width + GAP for each in columns) - GAP <= width:
        return list(columns)

    def lesser(column: Column) -> int:
        return len(LESSER) - LESSER.index(column.key) if column.key in LESSER else 0

    left, kept = width + GAP, list[Column]()
    for column in [columns[0], *sorted(filter(_tells, columns[1:]), key=lesser)]:
        if column.width + GAP <= left or not kept:
            kept.append(column)
            left -= column.width + GAP
    return [column for column in columns if column in kept]


def _tells(column: Column) -> bool:
    return any(column.cells)


def _table(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], *, has_header: bool = True, room: int | None = None
) -> Table:
    """room: how much wider than its least a column that folds is; None: every column as its content needs."""
    table = Table(header_style="bold", box=None, pad_edge=False, show_header=has_header)
    for column in columns:
        width = None if room is None else column.width + room * column.folds
        table.add_column(
            column.heading,
            justify="right" if column.is_numeric else "left",
            overflow="fold",
            no_wrap=not column.folds and len(columns) > 1,
            width=width,
        )
    for row in zip(*cells, strict=True):
        table.add_row(*map(Text, row))
    return table
