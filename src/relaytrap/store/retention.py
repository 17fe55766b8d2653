"""What is kept, and for how long: whole days are dropped, from messages and rollups alike.

A day goes when nothing in it was received or taken in during the last `retention_days`: an old capture imported today
stays as long as today's traffic. While the store is larger than `retention_bytes` the oldest day goes, but never
the newest. A day that is yet to come was named by a clock that is wrong: it counts as the eve of when it was taken in.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from relaytrap.store.rebuild import rebuild_rollups

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["Dropped", "apply_retention", "bytes_stored", "drop_sensors"]

log = logging.getLogger(__name__)

PARTITIONED: Final = ("messages", "hourly", "hourly_sources")
NS_PER_DAY: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Dropped:
    """One day that was dropped: YYYYMMDD, how many messages it held, and why ("age" or "size")."""

    day: str
    messages: int
    reason: str


def apply_retention(store: "Store", now_ns: int) -> list[Dropped]:
    """Drop the days that the settings no longer keep; gives what was dropped, oldest first."""
    dropped = []
    days = sorted(_days(store), key=lambda day: _received_ns(day, now_ns))
    if store.config.retention_days:
        oldest_ns = now_ns - store.config.retention_days * NS_PER_DAY
        aged = [day for day in days if max(_received_ns(day, now_ns), day["ingested_ns"]) < oldest_ns]
        dropped += [_drop(store, day, "age") for day in aged]
        days = [day for day in days if day not in aged]
    if store.config.retention_bytes:
        while len(days) > 1 and bytes_stored(store) > store.config.retention_bytes:
            dropped.append(_drop(store, days.pop(0), "size"))
    return dropped


def bytes_stored(store: "Store") -> int:
    """Bytes on disk of everything that is not yet superseded; on a cluster of one replica of each shard."""
    sql = (
        f"SELECT sum(bytes_on_disk) AS bytes FROM {store.layout.parts()} WHERE active AND database = currentDatabase()"
    )
    return int(store.row(sql)["bytes"])


def drop_sensors(store: "Store", prefix: str) -> int:
    """Remove everything of the sensors whose names start with a prefix, rollups included; gives how many messages."""
    params = {"prefix": prefix}
    where = "startsWith(sensor, {prefix:String})"
    days = store.rows(f"SELECT _partition_id AS day, count() AS n FROM messages WHERE {where} GROUP BY day", params)
    if days:
        with store.gate.alone():
            store.command(f"DELETE FROM {store.layout.altered('messages')} WHERE {where}", params)
        rebuild_rollups(store, [row["day"] for row in days])
    return sum(row["n"] for row in days)


def _days(store: "Store") -> list[dict[str, Any]]:
    return store.rows(
        "SELECT _partition_id AS day, count() AS messages, toUnixTimestamp64Nano(max(received_at)) AS received_ns, "
        "toInt64(toUnixTimestamp64Milli(max(ingested_at))) * 1000000 AS ingested_ns "
        "FROM messages GROUP BY day ORDER BY day"
    )


def _received_ns(day: dict[str, Any], now_ns: int) -> int:
    """When the newest of a day was received, as far as that can be."""
    received_ns, ingested_ns = int(day["received_ns"]), int(day["ingested_ns"])
    return received_ns if received_ns <= now_ns else ingested_ns - ingested_ns % NS_PER_DAY


def _drop(store: "Store", day: dict[str, Any], reason: str) -> Dropped:
    with store.gate.alone():
        for table in PARTITIONED:
            store.command(f"ALTER TABLE {store.layout.altered(table)} DROP PARTITION ID '{int(day['day'])}'")
    log.info("day dropped day=%s messages=%d reason=%s", day["day"], day["messages"], reason)
    return Dropped(day["day"], day["messages"], reason)
