"""Capture files as an operator names them, and how they are read under the settings."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from relaytrap.capture import ReadOptions
from relaytrap.capture.direction import parse_networks
from relaytrap.config import Config
from relaytrap.errors import InputError
from relaytrap.sip.text import display

__all__ = ["opened_capture", "read_options"]


@contextmanager
def opened_capture(file: Path | str) -> Iterator[tuple[BinaryIO, str]]:
    """A file, or standard input for "-", and the name under which its messages are kept.

    Raises InputError with a sentence for one that cannot be opened.
    """
    if str(file) == "-":
        yield sys.stdin.buffer, "-"
        return
    path = Path(file)
    try:
        stream = path.open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a readable capture file") from None
    with stream:
        yield stream, display(os.fsencode(path.name))


def read_options(config: Config) -> ReadOptions:
    """How captures are read under the settings."""
    return ReadOptions(own_networks=parse_networks(config.network.own_networks))
