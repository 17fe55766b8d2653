"""What outlives a segment: the spool's own memory, in `state.json` beside the segments, and its name in `spool-id`."""

import json
import logging
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

__all__ = ["SpoolState", "is_id", "is_number"]

log = logging.getLogger(__name__)

NAME: Final = "state.json"
ID_NAME: Final = "spool-id"
ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")
NUMBER_MAX: Final = 10**15
"""A segment a microsecond for thirty years; a hub that names more has no spool in mind."""


@dataclass(slots=True)
class SpoolState:
    """Written whenever it changes, and not synced: it changes every two seconds, on cards that wear out.

    spool_id: made when the folder is; tells a hub that a sensor's numbers began again. It is also in a file of its own,
    written once and synced. A power cut that leaves `state.json` without its contents costs counts, of which hub and
    segments know the numbers; under another name, what the hub had taken and not acknowledged would be taken twice.
    hub_id, acknowledged: the hub that took the last segment, and the highest number that it acknowledged.
    lost_observations: received or sent, and never on disk. dropped_*: on disk, never acknowledged, removed for room.
    begun_anew: the rest of it was lost, and no hub has said yet what it has.
    """

    spool_id: str
    hub_id: str = ""
    next_segment: int = 1
    acknowledged: int = 0
    lost_observations: int = 0
    dropped_segments: int = 0
    dropped_observations: int = 0
    begun_anew: bool = False

    @classmethod
    def load(cls, folder: Path) -> "SpoolState":
        """What the files say; begun anew where there is none, or none that can be read."""
        kept = _read(folder)
        spool_id, hub_id, own_id = kept.get("spool_id"), kept.get("hub_id"), _read_id(folder)
        if not is_id(spool_id):
            spool_id = own_id or secrets.token_hex(8)
        state = cls(spool_id, hub_id if is_id(hub_id) else "")
        state.begun_anew = kept.get("begun_anew") is True or bool(own_id and not kept)
        for name in COUNTS:
            value = kept.get(name)
            if isinstance(value, int) and value >= 0:
                setattr(state, name, value)
        if own_id != spool_id:
            _write_id(folder, spool_id)
        return state

    def save(self, folder: Path) -> None:
        """Write the file; a full disk is no reason to stop, the next change tries again."""
        text = json.dumps({name: getattr(self, name) for name in self.__slots__}, indent=1)
        fresh = folder / f"{NAME}.new"
        try:
            fresh.write_text(text + "\n", encoding="utf-8")
            fresh.replace(folder / NAME)
        except OSError as error:
            log.debug("state not saved: folder=%s reason=%s", folder, error.strerror)


COUNTS: Final = ("next_segment", "acknowledged", "lost_observations", "dropped_segments", "dropped_observations")


def is_id(value: object) -> TypeGuard[str]:
    """Whether it can be a hub's or a spool's: they stand in the head of requests."""
    return isinstance(value, str) and ID.fullmatch(value) is not None


def is_number(value: object) -> TypeGuard[int]:
    """Whether it can be a segment's."""
    return isinstance(value, int) and 0 <= value <= NUMBER_MAX


def _read(folder: Path) -> dict[str, Any]:
    try:
        loaded = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict):
        log.warning("the spool's memory cannot be read, its counts begin anew: file=%s", folder / NAME)
        return {}
    return loaded


def _read_id(folder: Path) -> str:
    """ "" when it is not there."""
    try:
        text = (folder / ID_NAME).read_text(encoding="ascii").strip()
    except (FileNotFoundError, ValueError):
        return ""
    return text if is_id(text) else ""


def _write_id(folder: Path, spool_id: str) -> None:
    fresh = folder / f"{ID_NAME}.new"
    try:
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{spool_id}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / ID_NAME)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        log.warning("the spool's name is not kept: folder=%s reason=%s", folder, error.strerror)
