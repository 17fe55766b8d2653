"""Days written anew: rollups made again from the messages, and messages replaced by their reanalysed selves.

A day is built in tables beside the real ones and then takes the old day's place, partition by partition; each of those
exchanges is atomic, so a crash leaves either day, never a mixture. What was left of an unfinished rebuild is removed
by the next one. Messages beside the real ones belong to the one reanalysis at work; rollups, to whoever is alone in the
store's gate.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from relaytrap.store.schema import ATTACK, hourly_select, messages_ddl, rollup_ddl, sources_select

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["check_rollups", "day_of_rebuilt_messages", "list_days", "rebuild_rollups", "replace_day"]

log = logging.getLogger(__name__)

REBUILT: Final = "_rebuilt"
ROLLUPS: Final = {"hourly": hourly_select, "hourly_sources": sources_select}
# What a source did in an hour takes up to 2 KB while it is summed up; a flood with made-up sources has millions a day.
SOURCES_AT_ONCE: Final = 250_000


def list_days(store: "Store") -> list[str]:
    """Days that hold messages, YYYYMMDD, oldest first."""
    return [row["day"] for row in store.rows("SELECT DISTINCT _partition_id AS day FROM messages ORDER BY day")]


def check_rollups(store: "Store") -> list[str]:
    """Days whose rollups do not add up to their messages: a crash or a full disk came between the two."""
    with store.gate.alone():
        counted = _by_day(store, f"countIf({ATTACK})", "messages", "1")
        hourly = _by_day(store, "sum(messages)", "hourly", "facet = 'all'")
        sources = _by_day(store, "sum(messages)", "hourly_sources", "1")
    days = sorted({*counted, *hourly, *sources})
    return [day for day in days if not counted.get(day, 0) == hourly.get(day, 0) == sources.get(day, 0)]


def rebuild_rollups(store: "Store", days: Iterable[str] | None = None) -> None:
    """Make the rollups of some days (all, when None) again from the stored messages."""
    with store.gate.alone():
        wanted = _rollup_days(store) if days is None else list(days)
        if not wanted:
            return
        with _beside(store, ROLLUPS):
            for number, day in enumerate(wanted, 1):
                _fill_rollups(store, "messages", day)
                _exchange_rollups(store, day)
                log.info("rollups made again day=%s done=%d of=%d", day, number, len(wanted))


@contextmanager
def day_of_rebuilt_messages(store: "Store") -> Iterator[str]:
    """Name of an empty table like `messages`, to be filled with one day and given to replace_day; then removed."""
    with _beside(store, ["messages"]):
        yield f"messages{REBUILT}"


def replace_day(store: "Store", day: str) -> None:
    """Put the day in `messages_rebuilt` in the old day's place, rollups with it. The caller holds the gate alone."""
    with _beside(store, ROLLUPS):
        _leave_out_removed(store, day)
        _fill_rollups(store, f"messages{REBUILT}", day)
        _exchange(store, "messages", day)
        _exchange_rollups(store, day)
    store.command(f"TRUNCATE TABLE {store.layout.altered(f'messages{REBUILT}')}")


def _by_day(store: "Store", aggregate: str, table: str, where: str) -> dict[str, int]:
    sql = f"SELECT _partition_id AS day, {aggregate} AS n FROM {table} WHERE {where} GROUP BY day"
    return {row["day"]: row["n"] for row in store.rows(sql) if row["n"]}


def _rollup_days(store: "Store") -> list[str]:
    """Days of messages or of any rollup: a rollup whose messages are all gone must be emptied too."""
    tables = " UNION ALL ".join(f"SELECT _partition_id AS day FROM {name}" for name in ("messages", *ROLLUPS))
    return [row["day"] for row in store.rows(f"SELECT DISTINCT day FROM ({tables}) ORDER BY day")]


def _leave_out_removed(store: "Store", day: str) -> None:
    """Sensors that were removed while the day was written anew stay removed."""
    inside = f"SELECT sensor FROM messages WHERE _partition_id = '{_checked(day)}'"
    rows = store.rows(f"SELECT DISTINCT sensor FROM messages{REBUILT} WHERE sensor NOT IN ({inside})")
    if rows:
        table = store.layout.altered(f"messages{REBUILT}")
        removed = {"removed": [row["sensor"] for row in rows]}
        store.command(f"DELETE FROM {table} WHERE has({{removed:Array(String)}}, toString(sensor))", removed)


@contextmanager
def _beside(store: "Store", names: Iterable[str]) -> Iterator[None]:
    """Tables beside the real ones, empty; removed at the end."""
    _drop_beside(store, names)
    made = (
        messages_ddl(store.layout, f"messages{REBUILT}") if "messages" in names else rollup_ddl(store.layout, REBUILT)
    )
    for statement in made:
        store.command(statement)
    try:
        yield
    finally:
        _drop_beside(store, names)


def _drop_beside(store: "Store", names: Iterable[str]) -> None:
    layout = store.layout
    for name in names:
        # The table over the shards first, where there is one.
        for table in dict.fromkeys((name + REBUILT, layout.local(name + REBUILT))):
            store.command(f"DROP TABLE IF EXISTS {table}{layout.on_cluster} SYNC")


def _fill_rollups(store: "Store", origin: str, day: str) -> None:
    where = f"{ATTACK} AND _partition_id = '{_checked(day)}'"
    sources = store.row(f"SELECT uniq(toStartOfHour(received_at), source) AS n FROM {origin} WHERE {where}")["n"]
    for name, select in ROLLUPS.items():
        store.command(f"TRUNCATE TABLE {store.layout.altered(name + REBUILT)}")
        parts = sources // SOURCES_AT_ONCE + 1
        for part in range(parts):
            some = f"{where} AND cityHash64(source) % {parts} = {part}" if parts > 1 else where
            store.command(f"INSERT INTO {name}{REBUILT} {select(origin, some)}")


def _exchange_rollups(store: "Store", day: str) -> None:
    for name in ROLLUPS:
        _exchange(store, name, day)


def _exchange(store: "Store", name: str, day: str) -> None:
    # A day whose messages are all gone is replaced by nothing, and so is one of which a shard never had any.
    store.command(
        f"ALTER TABLE {store.layout.altered(name)} REPLACE PARTITION ID '{_checked(day)}' "
        f"FROM {store.layout.local(name + REBUILT)} SETTINGS allow_replace_partition_from_empty_source = 1"
    )


def _checked(day: str) -> str:
    """A partition's identifier stands in DDL, which takes no parameters."""
    if not day.isdigit():
        raise ValueError(day)
    return day
