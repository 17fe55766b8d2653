"""The filter's fields as options of every command that lists."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

__all__ = ["filter_options"]

F = TypeVar("F", bound=Callable[..., Any])


def filter_options(*, without: Iterable[str] = ()) -> Callable[[F], F]:
    """Adds an option for each field of store.queries.Filter, passed on under the field's name; None when not given."""

    def decorate(command: F) -> F:
        from relaytrap.store.queries.filter import FIELDS

        for name, meta in reversed(FIELDS.items()):
            if name not in without:
                # Parsed in one place (parse_filter) for the command line and the API alike.
                command = click.option(f"--{name.replace('_', '-')}", name, metavar="TEXT", help=f"{meta['doc']}.")(
                    command
                )
        return command

    return decorate
