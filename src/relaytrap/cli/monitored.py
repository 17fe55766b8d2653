"""For commands whose exit status a monitor reads: whatever goes wrong ends with 3, "not run".

Python's own 1 would say that something was found, click's 2 that it is undecided.
"""

import contextlib
import logging
from collections.abc import Iterator

import click

from relaytrap.cli.streams import flush_output, is_without_room, tell_without_room
from relaytrap.probe.verdict import EXIT_NOT_RUN

__all__ = ["WrongUsage", "output_keeps_status", "usage_is_not_run"]

log = logging.getLogger(__name__)


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


@contextlib.contextmanager
def output_keeps_status() -> Iterator[None]:
    """Print within: whatever becomes of the output, a monitor gets the result's exit status."""
    try:
        yield
    except (BrokenPipeError, SystemExit):  # the latter is how Rich says it
        log.debug("the reader left")
    except Exception as error:  # the edge of one unit of work: a traceback's status would be a result
        if isinstance(error, OSError) and is_without_room(error):
            tell_without_room(error)
        else:
            log.exception("the result could not be printed")
    flush_output()
