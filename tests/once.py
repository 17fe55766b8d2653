"""What an installation unpacks and makes once, its address tables and its map's script, handed on from test to test.

The first hub or import of a test process begins with an empty data directory, as on a new machine; that takes two
seconds of a processor, which the ones after it spare.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["hand_on", "keep_made"]

KINDS = {"tables": "*.mmdb", "cache": "*.js"}
_KEPT = tempfile.TemporaryDirectory(prefix="relaytrap-once-")


def hand_on(data: Path) -> Path:
    """Put what an earlier installation made into a data directory."""
    _link(Path(_KEPT.name), data)
    return data


def keep_made(data: Path) -> None:
    """Keep what an installation has made so far for the next."""
    _link(data, Path(_KEPT.name))


def _link(source: Path, target: Path) -> None:
    for folder, names in KINDS.items():
        for path in (source / folder).glob(names):
            (target / folder).mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # it is there, or on another disk: then it is made anew
                os.link(path, target / folder / path.name)
