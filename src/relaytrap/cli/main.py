"""The command line: finds the command, loads the settings, turns errors into one sentence and an exit status.

Commands live in one file each and are imported only when they run: `relaytrap --help` stays fast, and a sensor never
imports the store.
"""

import importlib
import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from relaytrap import __version__
from relaytrap.cli.streams import flush_output, is_without_room, prepare_streams, tell_without_room
from relaytrap.errors import MissingExtra, RelaytrapError
from relaytrap.sip.text import visible

__all__ = ["COMMANDS", "PURPOSES", "Group", "Settings", "explain_missing", "main", "relaytrap"]

# Name → module that holds a click command called `command`, and the help line.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("relaytrap.cli.up", "Sensor, hub and page in one: from nothing to a map."),
    "sensor": ("relaytrap.cli.sensor", "Listen, answer as a persona, record every byte."),
    "hub": ("relaytrap.cli.hub", "Take in what sensors send; serve the page and the API."),
    "import": ("relaytrap.cli.import_", "Read captures: pcap, pcapng, HEP, spool segments."),
    "messages": ("relaytrap.cli.messages", "Messages, newest first."),
    "sources": ("relaytrap.cli.sources", "Addresses that sent something, busiest first."),
    "numbers": ("relaytrap.cli.numbers", "Numbers that were dialled, and what they mean."),
    "relays": ("relaytrap.cli.relays", "Hosts that forwarded traffic for others."),
    "origins": ("relaytrap.cli.origins", "Addresses behind the relays, and who vouches."),
    "campaigns": ("relaytrap.cli.campaigns", "What belongs together across sources and sensors."),
    "show": ("relaytrap.cli.show", "Explain one message, source, relay, origin or campaign."),
    "tail": ("relaytrap.cli.tail", "Messages as they come in."),
    "report": ("relaytrap.cli.report", "Write up what was found, with pictures: HTML, Markdown or PDF."),
    "reanalyse": ("relaytrap.cli.reanalyse", "Derive everything again from the raw bytes."),
    "store": ("relaytrap.cli.store", "Move the store to a ClickHouse server or cluster, and back."),
    "sample": ("relaytrap.cli.sample", "Load or remove the bundled sample scene."),
    "feed": ("relaytrap.cli.feed", "Block lists and exchange formats: whom to block, whom to warn."),
    "probe": ("relaytrap.cli.probe", "Is the server that I run an open relay?"),
    "guard": ("relaytrap.cli.guard", "What does my own edge's traffic show?"),
    "witness": ("relaytrap.cli.witness", "The receiving side of open-relay tests that run elsewhere."),
    "config": ("relaytrap.cli.config", "Effective settings, and where each came from."),
    "doctor": ("relaytrap.cli.doctor", "What is wrong with this installation."),
    "completion": ("relaytrap.cli.completion", "What lets a shell complete commands and options."),
}

# What they are for → their names, as `--help` shows them. One that stands nowhere is shown at the end.
PURPOSES: dict[str, tuple[str, ...]] = {
    "Collect": ("up", "sensor", "hub", "import", "sample"),
    "Look": ("messages", "sources", "numbers", "relays", "origins", "campaigns", "show", "tail"),
    "Pass on": ("report", "feed"),
    "Your own servers": ("probe", "witness", "guard"),
    "Upkeep": ("doctor", "config", "reanalyse", "store", "completion"),
}


PLACE = click.Path(path_type=Path, readable=False)
"""Whoever reads it says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the global options said; commands call `load()` when they need the settings."""

    config_path: Path | None
    data_dir: Path | None

    def command(self, words: str) -> str:
        """A command line for the same settings and data, to be shown."""
        given = (("--config", self.config_path), ("--data", self.data_dir))
        options = [f"{name} {shlex.quote(visible(str(path)))}" for name, path in given if path]
        return " ".join(("relaytrap", *options, words))

    def load(self, **flags: Any) -> Any:
        """The effective Config; flags are `section__key=value`, None meaning not given."""
        return self.load_given(**flags)[0]

    def load_given(self, **flags: Any) -> Any:
        """The effective Config, and for each key where it came from."""
        from relaytrap.config import load_config

        named = {key.replace("__", "."): value for key, value in flags.items()}
        return load_config(self.config_path, environ=os.environ, flags={"data_dir": self.data_dir, **named})


class Group(click.Group):
    """A group that tells what each of its commands does in a whole sentence; click would cut it."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        members = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        lines = [(name, each.get_short_help_str(1000)) for name, each in members if each and not each.hidden]
        if lines:
            with formatter.section("Commands"):
                formatter.write_dl(lines)


class Commands(click.Group):
    """A group that knows its commands' names and help lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; `relaytrap messages | head`, a reader that had enough, is no failure.

        Caught here because click would end with status 1 for it. Rich does, by an exit of its own.
        """
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, SystemExit) as end:
            if not isinstance(end, BrokenPipeError) and not isinstance(end.__context__, BrokenPipeError):
                raise
            return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sorted_in = {name for names in PURPOSES.values() for name in names}
        shown = {**PURPOSES, "More": tuple(name for name in COMMANDS if name not in sorted_in)}
        width = max(map(len, COMMANDS))
        formatter.write_paragraph()
        for purpose, names in shown.items():
            if lines := [(name.ljust(width), COMMANDS[name][1]) for name in names if name in COMMANDS]:
                formatter.write_heading(purpose)
                with formatter.indentation():
                    formatter.write_dl(lines)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else " See relaytrap --help."
            ctx.fail(f"no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="relaytrap")
@click.option("--config", "config_path", type=PLACE, envvar="RELAYTRAP_CONFIG", help="Settings (a TOML file).")
@click.option("--data", "data_dir", type=PLACE, help="Where everything is kept.")
@click.pass_context
def relaytrap(ctx: click.Context, config_path: Path | None, data_dir: Path | None) -> None:
    """SIP honeypots and a hub that see through open relays.

    Records every byte, says for each message whether it came straight from its source or through somebody's open
    relay, and shows it on a map. It never forwards, never completes a call and sends nothing unasked.
    """
    ctx.obj = Settings(config_path, data_dir)
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit; every RelaytrapError becomes one line on standard error."""
    prepare_streams()
    status = _run(argv)
    unwritten = flush_output()
    sys.exit(status or unwritten)


def _run(argv: Sequence[str] | None) -> int | str | None:
    """The exit status of a command line."""
    try:
        status = relaytrap.main(args=argv, prog_name="relaytrap", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except SystemExit as end:
        return end.code
    except RelaytrapError as error:
        click.echo(f"relaytrap: {error}", err=True)
        return error.exit_status
    except ModuleNotFoundError as error:
        click.echo(f"relaytrap: {explain_missing(error)}", err=True)
        return MissingExtra.exit_status
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("relaytrap: stopped", err=True)
        return 130
    except OSError as error:
        if not is_without_room(error):
            raise
        return tell_without_room(error)


def explain_missing(error: ModuleNotFoundError) -> MissingExtra:
    """What to tell of a package that is not installed; raises the error again where it is a mistake of ours."""
    missing = error.name or ""
    if missing.startswith("relaytrap.") and importlib.util.find_spec("relaytrap.hub"):
        raise error
    return MissingExtra(
        f"this command needs the package {missing}, which a sensor's installation leaves out; install relaytrap[hub]"
    )


if __name__ == "__main__":
    main()
