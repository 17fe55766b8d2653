"""Segments that the hub has acknowledged, kept for a while: a hub that is restored from a backup gets them again.

They stand in the spool's folder as `00000017.pcapng.acked`, give way to everything else, and are the first that go when
room is needed. Nothing here counts as loss: the hub had it.
"""

import contextlib
import logging
import threading
from pathlib import Path
from typing import Final

from relaytrap.sensor.spool_folder import segment_number

__all__ = ["Shelf"]

log = logging.getLogger(__name__)

ACKNOWLEDGED_SUFFIX: Final = ".acked"


class Shelf:
    """The kept segments of one spool, by number. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._guard = threading.Lock()
        self._kept: dict[int, tuple[Path, int]] = {}
        self.size_bytes = 0
        found = [path for path in folder.glob(f"*{ACKNOWLEDGED_SUFFIX}") if path.name.partition(".")[0].isdecimal()]
        for path in sorted(found, key=segment_number):
            self._add(segment_number(path), path)

    @property
    def numbers(self) -> tuple[int, int] | None:
        """The lowest and the highest number kept; None when the shelf is empty."""
        with self._guard:
            return (min(self._kept), max(self._kept)) if self._kept else None

    def put(self, number: int, path: Path) -> None:
        """Keep a closed segment that was acknowledged."""
        kept = path.with_name(path.name + ACKNOWLEDGED_SUFFIX)
        with contextlib.suppress(FileNotFoundError):
            path.rename(kept)
            with self._guard:
                self._add(number, kept)

    def trim(self, most_bytes: int) -> None:
        """Remove the oldest until no more than so many bytes are kept."""
        while self.size_bytes > most_bytes:
            with self._guard:
                if not self._kept:
                    return
                path, octets = self._kept.pop(next(iter(self._kept)))
                self.size_bytes -= octets
            path.unlink(missing_ok=True)

    def take_back(self, after: int) -> list[tuple[int, Path]]:
        """Number and path of the segments beyond a number, made closed ones again, in order."""
        with self._guard:
            numbers = sorted(number for number in self._kept if number > after)
            taken = [(number, *self._kept.pop(number)) for number in numbers]
            self.size_bytes -= sum(octets for _, _, octets in taken)
        back = []
        for number, path, _ in taken:
            with contextlib.suppress(FileNotFoundError):
                back.append((number, path.rename(path.with_name(path.name.removesuffix(ACKNOWLEDGED_SUFFIX)))))
        return back

    def _add(self, number: int, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            octets = path.stat().st_size
            self._kept[number] = path, octets
            self.size_bytes += octets
