"""What a hub does for its store now and then: drop what is too old, and mend rollups that do not add up."""

import logging
from typing import TYPE_CHECKING

from relaytrap.store.rebuild import check_rollups, rebuild_rollups
from relaytrap.store.retention import Dropped, apply_retention

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["keep_up"]

log = logging.getLogger(__name__)


def keep_up(store: "Store", now_ns: int) -> list[Dropped]:
    """Apply the retention settings, then make rollups again for days where a crash left them short."""
    dropped = apply_retention(store, now_ns)
    if days := check_rollups(store):
        log.warning("rollups did not add up and are made again days=%s", ",".join(days))
        rebuild_rollups(store, days)
    return dropped
