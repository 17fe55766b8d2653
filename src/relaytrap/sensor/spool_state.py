"""What outlives a segment: the spool's own memory, in `state.json` beside the segments."""

import contextlib
import json
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["SpoolState"]

log = logging.getLogger(__name__)

NAME: Final = "state.json"


@dataclass(slots=True)
class SpoolState:
    """Written whenever it changes.

    spool_id: made when the folder is; tells a hub that a sensor's numbers began again.
    hub_id, acknowledged: the hub that took the last segment, and the highest number that it acknowledged.
    lost_observations: received or sent, and never on disk. dropped_*: on disk, never acknowledged, removed for room.
    """

    spool_id: str
    hub_id: str = ""
    next_segment: int = 1
    acknowledged: int = 0
    lost_observations: int = 0
    dropped_segments: int = 0
    dropped_observations: int = 0

    @classmethod
    def load(cls, folder: Path) -> "SpoolState":
        """What the file says; begun anew when there is none, or none that can be read."""
        kept: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            loaded = json.loads((folder / NAME).read_text(encoding="utf-8"))
            kept = loaded if isinstance(loaded, dict) else {}
        state = cls(str(kept.get("spool_id") or secrets.token_hex(8)), str(kept.get("hub_id") or ""))
        for name in COUNTS:
            value = kept.get(name)
            if isinstance(value, int) and value >= 0:
                setattr(state, name, value)
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
