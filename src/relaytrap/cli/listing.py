"""What all commands that list have in common: how many rows, in which order, and the way from question to table."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, for_terminal, output_options
from relaytrap.cli.session import open_session

__all__ = ["list_rows", "listing_options", "sort_option"]

F = TypeVar("F", bound=Callable[..., Any])
TABLE_ROWS: Final = 50


def listing_options(command: F) -> F:
    """Adds `--limit`, `--json` and `--csv`, passed on as `limit` (None when not given), `as_json` and `as_csv`."""
    text = f"At most this many; 0: all. Default: {TABLE_ROWS}, or all as JSON or CSV."
    return click.option("--limit", type=click.IntRange(min=0), metavar="N", help=text)(output_options(command))


def sort_option(*names: str) -> Callable[[F], F]:
    """Adds `--sort` by one of these, the first unless another is named."""
    return click.option("--sort", type=click.Choice(names), default=names[0], help="What counts, largest first.")


def list_rows(
    settings: Settings,
    question: str,
    wanted: dict[str, Any],
    columns: Sequence[tuple[str, str]],
    *,
    limit: int | None,
    as_json: bool,
    as_csv: bool,
    told: Callable[[Iterable[dict[str, Any]]], Iterator[dict[str, Any]]] | None = None,
) -> None:
    """Ask a question of the catalogue and print its rows. told: what a terminal has room for, made of whole rows."""
    whole = as_json or as_csv
    is_cut = limit is None and not whole
    wanted = {**wanted, "limit": limit if limit is not None else 0 if whole else TABLE_ROWS + 1}
    with open_session(settings.load()) as session:
        rows = session.query(question, wanted)
        left = iter(rows)
        shown = islice(left, TABLE_ROWS) if is_cut else left
        shown = shown if whole or told is None else told(shown)
        emit(shown, columns, as_json=as_json, as_csv=as_csv, empty=_none(question, wanted))
        if is_cut and is_watched() and any(True for _ in left):
            click.echo(f"there are more than these {TABLE_ROWS} {question}; --limit 0 shows all", err=True)


def is_watched() -> bool:
    """Whether a person reads what is said beside the rows."""
    return sys.stderr.isatty()


def _none(question: str, wanted: dict[str, Any]) -> str:
    """What is said when there is nothing. A lower-case method is another one (RFC 3261 7.1), and seldom meant."""
    method = wanted.get("method") or ""
    if method == method.upper():
        return f"no {question}"
    return f"no {question} (methods are told apart by case; try --method {for_terminal(method.upper())})"
