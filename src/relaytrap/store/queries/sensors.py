"""Questions about sensors: which ones have messages, and since when."""

from typing import TYPE_CHECKING

from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.shape import moment

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_sensors"]


def list_sensors(store: "Store", where: Filter) -> "list[Row]":
    """Sensors that have messages: sensor, messages, sources, first_seen, last_seen, last_ingested."""
    clause = where.where()
    return store.rows(
        "SELECT sensor, count() AS messages, uniq(source) AS sources, "
        f"{moment('min(received_at)')} AS first_seen, {moment('max(received_at)')} AS last_seen, "
        f"{moment('max(ingested_at)')} AS last_ingested FROM messages {clause.sql} GROUP BY sensor ORDER BY sensor",
        clause.params,
    )
