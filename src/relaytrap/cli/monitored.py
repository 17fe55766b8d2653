"""For commands whose exit status a monitor reads: whatever goes wrong ends with 3, "not run".

Python's own 1 would say that something was found, click's 2 that it is undecided.
"""

import contextlib
from collections.abc import Iterator

import click

from relaytrap.probe.verdict import EXIT_NOT_RUN

__all__ = ["WrongUsage", "usage_is_not_run"]


class WrongUsage(click.UsageError):
    """Wrong usage of a command, which was not run."""

    exit_code = EXIT_NOT_RUN


@contextlib.contextmanager
def usage_is_not_run() -> Iterator[None]:
    """Give wrong usage that exit status."""
    try:
        yield
    except click.UsageError as error:
        raise WrongUsage(error.format_message(), error.ctx) from None
