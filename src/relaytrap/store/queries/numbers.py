"""Questions about dialled numbers: which cores recur, under which prefixes, and where they lead."""

from typing import TYPE_CHECKING, Final

from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.shape import COLUMNS_FIRST, moment

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_numbers"]

LISTED_PREFIXES: Final = 40


def list_numbers(store: "Store", where: Filter, *, limit: int = 50, offset: int = 0) -> "list[Row]":
    """Numbers that were dialled, by the core that recurs under their prefixes; most dialled first.

    core, dialled (the reading seen most), country, kind, messages, sources, sensors, prefixes (list), tries (distinct
    spellings), first_seen, last_seen. limit: 0 for all.
    """
    clause = where.where(attack=True, extra="dialled_core != ''")
    page = f"LIMIT {int(limit)} OFFSET {int(offset)}" if limit else ""
    return store.rows(
        "SELECT dialled_core AS core, topK(1)(dialled)[1] AS dialled, topK(1)(dialled_country)[1] AS country, "
        "topK(1)(dialled_kind)[1] AS kind, count() AS messages, uniq(source) AS sources, uniq(sensor) AS sensors, "
        f"arraySort(groupUniqArray({LISTED_PREFIXES})(dialled_prefix)) AS prefixes, uniq(dialled_digits) AS tries, "
        f"{moment('min(received_at)')} AS first_seen, {moment('max(received_at)')} AS last_seen "
        f"FROM messages {clause.sql} GROUP BY dialled_core ORDER BY count() DESC, dialled_core {page} {COLUMNS_FIRST}",
        clause.params,
    )
