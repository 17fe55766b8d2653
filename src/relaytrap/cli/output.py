"""The doors through which rows leave the command line: terminal table, JSON lines, CSV. Each escapes for itself."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from relaytrap.sip.text import display, visible
from relaytrap.spreadsheet import csv_cell

__all__ = ["TEXT", "emit", "for_terminal", "moment", "output_options"]

Row = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., Any])

CELL_MAX_CHARS = 200
# A table is for people: moments to the millisecond or second, no number where none is known. JSON and CSV have all.
MOMENTS = {
    "received_at": 23,
    "first_seen": 19,
    "last_seen": 19,
    "started": 19,
    "since": 19,
    "heard": 19,
    "next": 19,
    "changed": 19,
}
SHARES = frozenset({"coverage"})
SENTENCES = frozenset({"incidents"})
NONE_KNOWN = frozenset({"asn"})


def output_options(command: F) -> F:
    """Adds `--json` and `--csv`, passed on as `as_json` and `as_csv`."""
    csv_help = "Comma-separated values, with a header line."
    command = click.option("--csv", "as_csv", is_flag=True, help=csv_help, callback=_one_form)(command)
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.", callback=_one_form)(command)


def _one_form(ctx: click.Context, option: click.Parameter, given: bool) -> bool:
    if given and ctx.params.get("as_csv" if option.name == "as_json" else "as_json"):
        raise click.UsageError("--json and --csv exclude each other")
    return given


class Text(click.types.StringParamType):
    """Text that somebody gave: UTF-8, for nothing else can be stored or compared. A file's name may be otherwise."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{for_terminal(display(os.fsencode(text)))} is no UTF-8; write it in UTF-8", param, ctx)
        return text


TEXT = Text()


def for_terminal(value: Any, limit: int = CELL_MAX_CHARS) -> str:
    """Text that cannot move a cursor, ring a bell or change direction; long text is cut and says so."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(for_terminal(each, limit) for each in value)
    text = visible(str(value))
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)})"


def moment(text: str, chars: int = 19) -> str:
    """A moment in RFC 3339 as people read it, in UTC; chars: 19 to the second, 23 to the millisecond."""
    return text[:chars].replace("T", " ")


def _table_cell(key: str, value: Any) -> str:
    if key in MOMENTS and isinstance(value, str):
        return moment(value, MOMENTS[key])
    if key in NONE_KNOWN and not value:
        return ""
    if key in SHARES and value is not None:
        return f"{value:.1%}" if value >= 0.001 else "<0.1%"
    if key in SENTENCES:
        return " ".join(map(for_terminal, value))
    if key == "range" and value:
        return f"{value[0]} to {value[1]}"
    return for_terminal(value)


def emit(
    rows: Iterable[Row],
    columns: Sequence[tuple[str, str]],
    *,
    as_json: bool,
    as_csv: bool,
    empty: str = "nothing found",
) -> None:
    """Print rows; empty: what a terminal is told when there are none.

    columns: (key, heading) of the terminal's table. JSON prints each row whole; CSV has a header line of every key of
    the first row, or of the columns' keys when there is none.
    """
    if as_json:
        _emit_json(rows)
    elif as_csv:
        _emit_csv(rows, columns)
    else:
        _emit_table(rows, columns, empty)


def _emit_json(rows: Iterable[Row]) -> None:
    for row in rows:
        # ASCII only: no terminal takes an escape sequence or a direction mark from a JSON line.
        sys.stdout.write(json.dumps(row, ensure_ascii=True, separators=(", ", ": ")) + "\n")


def _emit_csv(rows: Iterable[Row], columns: Sequence[tuple[str, str]]) -> None:
    writer = csv.writer(sys.stdout)
    has_header = False
    for row in rows:
        if not has_header:
            writer.writerow(row.keys())
            has_header = True
        writer.writerow([csv_cell(value) for value in row.values()])
    if not has_header:
        writer.writerow(key for key, _ in columns)


def _emit_table(rows: Iterable[Row], columns: Sequence[tuple[str, str]], empty: str) -> None:
    from relaytrap.cli.table import Column, print_table

    kept = list(rows)
    if not kept:
        click.echo(empty)
        return
    told = [
        Column(
            key,
            heading,
            [_table_cell(key, row.get(key)) for row in kept],
            all(isinstance(row.get(key), (int, float, type(None))) for row in kept),
        )
        for key, heading in columns
    ]
    # Not a terminal: as wide as the content needs, so that a pipe loses nothing.
    print_table(told, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
