"""Questions about dialled numbers: which cores recur, under which prefixes, and where they lead."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from relaytrap.store.queries.filter import Filter, Where
from relaytrap.store.queries.hours import core_hours, rolled_up
from relaytrap.store.queries.shape import COLUMNS_FIRST, moment

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["READING", "list_numbers", "read_cores"]

LISTED_PREFIXES: Final = 40
# Of ten million messages all took 530 ms, on a page that is to be there in 150.
READ_ROWS: Final = 500
# How a core reads, the same in every list: +E.164, which sorts before bare digits, when any message gave that.
READING: Final = (
    "min(dialled) AS dialled, argMin(dialled_country, dialled) AS country, argMin(dialled_kind, dialled) AS kind"
)


def list_numbers(store: "Store", where: Filter, *, limit: int = 50, offset: int = 0) -> "list[Row]":
    """Numbers that were dialled, by the core that recurs under their prefixes; most dialled first.

    core, dialled (one reading of it), country, kind, messages, sources, sensors, prefixes (up to forty), spellings (how
    many), first_seen, last_seen. limit: 0 for all.
    """
    clause = where.where(attack=True, extra="dialled_core != ''")
    if limit:
        # Counting alone is cheap; the rest is asked only for the cores that are shown.
        counted, params = _counted(where)
        top = store.rows(f"{counted} LIMIT {int(limit)} OFFSET {int(offset)}", params)
        cores = {"cores": [row["core"] for row in top]}
        clause = where.where(attack=True, extra="dialled_core IN {cores:Array(String)}")
        clause = Where(clause.sql, clause.params | cores)
    return store.rows(
        f"SELECT dialled_core AS core, {READING}, count() AS messages, uniq(source) AS sources, "
        "uniq(sensor) AS sensors, "
        f"arraySort(groupUniqArray({LISTED_PREFIXES})(dialled_prefix)) AS prefixes, uniq(dialled_digits) AS spellings, "
        f"{moment('min(received_at)')} AS first_seen, {moment('max(received_at)')} AS last_seen "
        f"FROM messages {clause.sql} GROUP BY dialled_core ORDER BY count() DESC, dialled_core {COLUMNS_FIRST}",
        clause.params,
    )


def read_cores(store: "Store", where: Filter, cores: Sequence[str]) -> dict[str, str]:
    """How some leading cores read among the newest messages of a filter that have one of them; none for a core that
    has not been among those."""
    if not cores:
        return {}
    clause = where.where(attack=True, extra="dialled_core IN {cores:Array(String)}")
    # By time alone, whichever of the same nanosecond come first: the engine then leaves off three times as early.
    newest = f"SELECT dialled_core, dialled FROM messages {clause.sql} ORDER BY received_at DESC LIMIT {READ_ROWS}"
    rows = store.rows(
        f"SELECT dialled_core AS core, min(dialled) AS dialled FROM ({newest}) GROUP BY dialled_core {COLUMNS_FIRST}",
        clause.params | {"cores": list(cores)},
    )
    return {row["core"]: row["dialled"] for row in rows}


def _counted(where: Filter) -> tuple[str, dict[str, Any]]:
    """SELECT of the cores, most dialled first; from the hourly rollup when it knows everything that is asked."""
    if rolled_up(where):
        clause = core_hours(where)
        return (
            f"SELECT value AS core FROM hourly {clause.sql} GROUP BY core ORDER BY sum(messages) DESC, core",
            clause.params,
        )
    clause = where.where(attack=True, extra="dialled_core != ''")
    return (
        f"SELECT dialled_core AS core FROM messages {clause.sql} GROUP BY core ORDER BY count() DESC, core",
        clause.params,
    )
