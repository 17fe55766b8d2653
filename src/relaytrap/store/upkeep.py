"""What a hub does for its store now and then: drop what is too old, and mend rollups that do not add up."""

import logging
from typing import TYPE_CHECKING, Final

from relaytrap.store.rebuild import check_rollups, rebuild_rollups
from relaytrap.store.retention import Dropped, apply_retention

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["keep_up"]

log = logging.getLogger(__name__)
QUIET_NS: Final = 3600 * 10**9


def keep_up(store: "Store", now_ns: int) -> list[Dropped]:
    """Apply the retention settings, then make rollups again for days where a crash left them short."""
    dropped = apply_retention(store, now_ns)
    days = check_rollups(store)
    if days and not store.embedded:
        # Other hubs write to a server as well, and what they insert while a day is made again would be lost from its
        # sums: such a day waits until nothing came for it. A number that is short only while they write mends itself.
        busy = _days_written_since(store, now_ns - QUIET_NS)
        days = [day for day in days if day not in busy]
    if days:
        log.warning("rollups did not add up and are made again days=%s", ",".join(days))
        rebuild_rollups(store, days)
    return dropped


def _days_written_since(store: "Store", moment_ns: int) -> set[str]:
    sql = "SELECT DISTINCT _partition_id AS day FROM messages WHERE ingested_at >= fromUnixTimestamp64Milli({ms:Int64})"
    return {row["day"] for row in store.rows(sql, {"ms": moment_ns // 1_000_000})}
