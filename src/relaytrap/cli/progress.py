"""How far a command is: bars on a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from relaytrap.cli.output import for_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

    from relaytrap.cli.session import Session
    from relaytrap.config import Config

__all__ = ["byte_bars", "find_anew", "message_bar", "shown_bars"]

NAME_CHARS = 40


@contextmanager
def shown_bars(columns: "Callable[[], Sequence[ProgressColumn]]") -> "Iterator[Progress | None]":
    """Bars of these columns on a terminal, which vanish at the end; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*columns(), console=Console(stderr=True), transient=True) as bars:
        yield bars


@contextmanager
def message_bar() -> Iterator[Callable[[int, int], None]]:
    """Gives what takes messages done, and of how many."""
    with shown_bars(_message_columns) as bars:
        task = bars.add_task("messages", total=None) if bars else None

        def advance(done: int, total: int) -> None:
            if bars and task is not None:
                bars.update(task, completed=done, total=total)

        yield advance


@contextmanager
def byte_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Gives what takes a name, its bytes done, and of how many (None: nobody knows); each name has its bar."""
    with shown_bars(_byte_columns) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(name: str, done: int, total: int | None) -> None:
            if bars is None:
                return
            if name not in tasks:
                tasks[name] = bars.add_task(for_terminal(name, NAME_CHARS), total=total)
            bars.update(tasks[name], completed=done)

        yield advance


def find_anew(session: "Session", config: "Config") -> None:
    """Bring relays, origins and campaigns up to date, here or in the hub, and say so to who waits for it."""
    from relaytrap.cli.session import StoreSession

    if sys.stderr.isatty():
        click.echo("bringing relays, origins and campaigns up to date ...", err=True)
    if isinstance(session, StoreSession):
        from relaytrap.hub.analyse import analyse_now

        analyse_now(session.store, config)
    else:
        for _ in session.lines("POST", "/api/analyse"):
            pass


def _message_columns() -> "Sequence[ProgressColumn]":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


def _byte_columns() -> "Sequence[ProgressColumn]":
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    name = TextColumn("{task.description}", markup=False)
    return name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
