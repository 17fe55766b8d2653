"""What has just come in, by the hub's clock: for the live stream of page and terminal."""

from typing import TYPE_CHECKING, Final

from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.messages import SELECTED, finished
from relaytrap.store.queries.shape import COLUMNS_FIRST

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_arrivals"]

# Rows are found by the time they were received (the table's key) and then by the time they were taken in: a sensor
# that was away for longer than this delivers its past without flooding whoever looks at the present.
PAST_S: Final = 3600


def list_arrivals(store: "Store", where: Filter, *, since_ms: int, limit: int = 200) -> "list[Row]":
    """Messages taken in since a moment (milliseconds since the epoch), the newest `limit` of them, oldest first."""
    extra = (
        "ingested_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC') AND "
        f"received_at >= fromUnixTimestamp64Milli({{since_ms:Int64}}, 'UTC') - INTERVAL {PAST_S} SECOND"
    )
    clause = where.where(extra=extra)
    newest = "ORDER BY ingested_at DESC, received_at DESC, id DESC LIMIT {newest:UInt32}"
    rows = store.rows(
        f"SELECT {SELECTED} FROM messages {clause.sql} {newest} {COLUMNS_FIRST}",
        clause.params | {"since_ms": since_ms, "newest": limit},
    )[::-1]
    return list(finished(store, rows))
