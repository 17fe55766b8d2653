"""`relaytrap report`: what was found, written up with pictures, for people who never saw the page."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from relaytrap.cli.main import PLACE, Settings
from relaytrap.cli.output import TEXT, for_terminal
from relaytrap.cli.progress import shown_bars
from relaytrap.cli.session import open_session
from relaytrap.cli.writing import STANDARD_OUTPUT, write_whole
from relaytrap.clock import now_ns
from relaytrap.errors import DiskError, InputError
from relaytrap.web.report.blocks import Picture
from relaytrap.web.report.make import FORMATS, Made, Wanted, make_report, name_of, render

__all__ = ["command"]

ENDINGS: Final = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md", ".pdf": "pdf"}
NAMES_MAX: Final = 1000


@click.command()
@click.argument("what", type=TEXT, default="", metavar="[WHAT]")
@click.option("--since", type=TEXT, help="From this time on, as in messages. Default: a week.")
@click.option("--until", type=TEXT, help="Before this time. Default: now.")
@click.option(
    "--format", "form", type=click.Choice(tuple(FORMATS)), help="Default: by the ending of --output, else html."
)
@click.option("--output", type=PLACE, metavar="FILE", help="Where to write it; - for standard output.")
@click.option("--json", "as_json", is_flag=True, help="The facts of the report as one JSON object, instead of it.")
@click.option(
    "--redact/--no-redact",
    default=True,
    help="Leave out sensors' addresses and names and the last digits of numbers. That is the default, as a report is "
    "made to be handed on; --no-redact is for yourself, and for an abuse desk that needs the bytes as they came.",
)
@click.option("--also", type=TEXT, multiple=True, help="Another address, network or name of yours to leave out.")
@click.pass_obj
def command(
    settings: Settings,
    /,
    what: str,
    since: str | None,
    until: str | None,
    form: str | None,
    output: Path | None,
    as_json: bool,
    redact: bool,
    also: tuple[str, ...],
) -> None:
    """Write up what was found, with pictures, as one file.

    WHAT is a campaign's identifier, an address (as source, relay and origin) or a message's identifier, as in show;
    without it the report is of everything in a span of time. It names who is behind what and how sure that is, the
    relays that are abused and how they are closed, and quotes the bytes.
    """
    form = form or _form_of(output)
    if output and output != STANDARD_OUTPUT and not output.absolute().parent.is_dir():
        raise InputError(f"{for_terminal(output)}: there is no such directory")
    if what and (since or until):
        raise click.UsageError("--since and --until are for a report of everything; one of WHAT is of all its time")
    wanted = Wanted(what.strip(), since or "", until or "", redact=redact, also=also)
    config = settings.load()
    with _told() as tell:
        with open_session(config) as session:
            made = make_report(session.query, wanted, config.network, now_ns(), tell)
        if as_json:
            content, path = json.dumps(made.facts).encode() + b"\n", output or STANDARD_OUTPUT
        else:
            path = output or _free(Path(name_of(made, form)))
            tell("drawing")
            content = render(made, form, _beside(path) if form == "md" and path != STANDARD_OUTPUT else None)
    write_whole(path, content)
    _tell_of(made, path)


def _form_of(output: Path | None) -> str:
    if output is None or output == STANDARD_OUTPUT:
        return "html"
    if output.suffix.lower() not in ENDINGS:
        raise click.UsageError(f"{for_terminal(output)}: end its name in .html, .md or .pdf, or give --format")
    return ENDINGS[output.suffix.lower()]


def _free(path: Path) -> Path:
    """The path, or the first beside it that is not taken: what somebody may have edited is not overwritten unasked."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in range(2, NAMES_MAX))
    return path if not path.exists() else next((each for each in numbered if not each.exists()), path)


def _beside(path: Path) -> Callable[[Picture, bytes], str]:
    """Puts pictures into a folder beside a Markdown file."""
    folder = path.with_name(f"{path.stem}-pictures")

    def place(picture: Picture, png: bytes) -> str:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DiskError(
                f"{for_terminal(folder)}: cannot be made ({error.strerror}); free space or name another place"
            ) from None
        write_whole(folder / f"{picture.name}.png", png)
        return f"<{folder.name}/{picture.name}.png>"

    return place


def _tell_of(made: Made, path: Path) -> None:
    """Where it is, and what somebody who hands it on should know."""
    if path != STANDARD_OUTPUT:
        click.echo(for_terminal(path, 1000))
    for row in made.guessed:
        click.echo(
            f"relaytrap: sensor {for_terminal(row['sensor'])} receives behind a NAT; {row['address']}, which its "
            "requests name, is left out as well",
            err=True,
        )
    if not made.document.redacted:
        click.echo("relaytrap: not redacted: it names your sensors and whole numbers", err=True)


@contextlib.contextmanager
def _told() -> Iterator[Callable[[str], None]]:
    """Gives what takes the stage that a report is at; shown on a terminal while it lasts."""
    with shown_bars(_columns) as bars:
        task = bars.add_task("", total=None) if bars else None

        def tell(stage: str) -> None:
            if bars and task is not None:
                bars.update(task, description=for_terminal(stage))

        yield tell


def _columns() -> Any:
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    return SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
