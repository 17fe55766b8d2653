"""Capture files as an operator names them, and how they are read under the settings."""

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from relaytrap.capture import ReadOptions
from relaytrap.config import Config
from relaytrap.errors import ConfigError, InputError

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
        yield stream, path.name


def read_options(config: Config) -> ReadOptions:
    """How captures are read under the settings."""
    try:
        networks = tuple(ipaddress.ip_network(text.strip(), strict=False) for text in config.network.own_networks)
    except ValueError as error:
        raise ConfigError(f"network.own_networks: {error}; write 192.0.2.0/24 or 2001:db8::/32") from None
    return ReadOptions(own_networks=networks)
