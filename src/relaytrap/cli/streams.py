"""Where a command prints: a terminal of any encoding, a reader who leaves, a disk without room, or nothing at all."""

import codecs
import errno
import io
import os
import sys
from typing import Final

import click

from relaytrap.errors import DiskError

__all__ = ["flush_output", "is_without_room", "prepare_streams", "tell_without_room"]

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PLAIN: Final = {"→": "->", "←": "<-", "–": "-", "…": "...", "«": '"', "»": '"', "×": "x", "└": "`-", "·": "."}
"""What we write ourselves beyond ASCII, for a terminal that lacks it; what others wrote is escaped there."""
SEVEN_BIT: Final = "relaytrap-ascii"
"""ASCII under another name: click takes plain ASCII for a mistake and writes UTF-8 all the same."""


def prepare_streams() -> None:
    """Make standard streams that can be written to, whatever the shell closed and the terminal's encoding is."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened, such as a database, would be written as if it were this
            os.open(os.devnull, os.O_RDWR)
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
            setattr(sys, name, stream)
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and not (encoding := codecs.lookup(out.encoding).name).startswith("utf"):
        codecs.register(_seven_bit)
        codecs.register_error(SEVEN_BIT, _plain)
        out.reconfigure(encoding=SEVEN_BIT if encoding == "ascii" else encoding, errors=SEVEN_BIT)


def _seven_bit(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != SEVEN_BIT:
        return None
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(known.encode, known.decode, incrementalencoder=known.incrementalencoder, name=SEVEN_BIT)


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_plain_character, error.object[error.start : error.end])), error.end


def _plain_character(character: str) -> str:
    if "\u2800" <= character <= "\u28ff":  # a dot chart
        return " " if character == "\u2800" else "*"
    return PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()


def flush_output() -> int:
    """Write what is left, and give the exit status of that. What nobody reads any more goes nowhere, without a word."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
    except OSError as error:
        if not is_without_room(error):
            raise
        return tell_without_room(error)
    return 0


def is_without_room(error: OSError) -> bool:
    """Whether the place that was written to has no room."""
    return error.errno in NO_ROOM


def tell_without_room(error: OSError) -> int:
    """Say so in one sentence, and give the exit status for it."""
    _silence()
    where = f"{error.filename} cannot" if error.filename else "what this prints cannot"
    click.echo(f"relaytrap: {where} be written ({error.strerror}); make room, or send it elsewhere", err=True)
    return DiskError.exit_status


def _silence() -> None:
    """Send nowhere what is still to be written, or Python would try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
