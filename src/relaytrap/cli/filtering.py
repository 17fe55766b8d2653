"""The fields of filters and places as options of every command that lists."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from relaytrap.cli.output import TEXT

if TYPE_CHECKING:
    from relaytrap.store.queries.filter import Conditions

__all__ = ["filter_options", "place_options", "seen_options"]

F = TypeVar("F", bound=Callable[..., Any])

# Shown in a command's help; the others work too and are listed by --conditions, so that help fits one screen.
COMMON: Final = (
    "since",
    "until",
    "source",
    "country",
    "sensor",
    "method",
    "tool",
    "verdict",
    "target",
    "dialled",
    "text",
)


def filter_options(*, without: Iterable[str] = ()) -> Callable[[F], F]:
    """Adds an option for each field of store.queries.Filter, passed on under the field's name; None when not given."""
    left_out = frozenset(without)

    def decorate(command: F) -> F:
        from relaytrap.store.queries.filter import FIELDS

        names = [name for name in FIELDS if name not in left_out]

        def show_all(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
            if wanted:
                formatter = ctx.make_formatter()
                formatter.write_dl([(f"{_option(name)} TEXT", f"{FIELDS[name]['doc']}.") for name in names])
                click.echo(formatter.getvalue(), nl=False)
                ctx.exit()

        text = f"Show all {len(names)} conditions that messages can be chosen by."
        command = click.option(
            "--conditions", is_flag=True, is_eager=True, expose_value=False, callback=show_all, help=text
        )(command)
        for name in sorted(names, key=_rank, reverse=True):
            command = _with_option(command, name, FIELDS[name], hidden=name not in COMMON)
        return command

    return decorate


def place_options(command: F) -> F:
    """Adds an option for each field of store.queries.Place, as `filter_options` does for those of a filter."""
    from relaytrap.store.queries.filter import Place

    return _with_options(command, Place)


def seen_options(command: F) -> F:
    """Adds an option for each field of store.queries.Seen."""
    from relaytrap.store.queries.filter import Seen

    return _with_options(command, Seen)


def _with_options(command: F, kind: "type[Conditions]") -> F:
    from relaytrap.store.queries.filter import fields_of

    for name, spec in reversed(fields_of(kind).items()):
        command = _with_option(command, name, spec)
    return command


def _with_option(command: F, name: str, spec: Mapping[str, Any], *, hidden: bool = False) -> F:
    """Not parsed here: that is done in one place (parse_conditions) for the command line and the API alike."""
    told = f"{spec['doc']}."
    return click.option(_option(name), name, type=TEXT, help=told, hidden=hidden)(command)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _rank(name: str) -> int:
    return COMMON.index(name) if name in COMMON else len(COMMON)
