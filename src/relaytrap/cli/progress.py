"""How far a command over all messages is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["message_bar"]


@contextmanager
def message_bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere; gives what takes messages done, and of how many."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("messages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("messages", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
