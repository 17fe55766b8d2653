"""The schema's history as named steps; opening a store runs those it has not seen.

Every step may be run again after a crash in its middle: it only creates what is missing or rebuilds what it replaces.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from relaytrap import __version__, clock
from relaytrap.errors import StoreTooNew
from relaytrap.store.findings_schema import WORDS, findings_ddl
from relaytrap.store.queries.shape import NOT_BELIEVED
from relaytrap.store.rebuild import rebuild_rollups
from relaytrap.store.schema import (
    COLUMNS,
    column_ddl,
    index_ddl,
    messages_ddl,
    rollup_ddl,
    rollup_upgrade_ddl,
    versions_ddl,
    views_ddl,
)

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["STEPS", "migrate", "schema_version"]


def make_first_tables(store: "Store") -> None:
    """messages, its hourly rollups and the views that feed them."""
    for statement in (*messages_ddl(store.layout), *rollup_ddl(store.layout), *views_ddl(store.layout)):
        store.command(statement)


def make_findings_tables(store: "Store") -> None:
    """What of the analysis' tables is missing; it fills them by itself."""
    for statement in findings_ddl(store.layout):
        store.command(statement)


def read_sources_faster(store: "Store") -> None:
    """The codec of `source` as it is now; parts take it up as they are merged."""
    source = next(column for column in COLUMNS if column.name == "source")
    store.command(f"ALTER TABLE {store.layout.altered('messages')} MODIFY COLUMN {column_ddl(source)}")


def keep_own_times(store: "Store") -> None:
    """A column for times that are not believed; they were in the notes, each a word of its own."""
    layout, note = store.layout, f"{NOT_BELIEVED}: "
    column = column_ddl(next(column for column in COLUMNS if column.name == "own_at"))
    # A Distributed table has columns of its own.
    for table in dict.fromkeys((layout.altered("messages"), f"messages{layout.on_cluster}")):
        store.command(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} AFTER received_at")
    messages = layout.altered("messages")
    store.command(f"ALTER TABLE {messages} ADD INDEX IF NOT EXISTS {index_ddl('by_own_at')}")
    kept = f"arrayFirst(note -> startsWith(note, '{note}'), notes)"
    told = f"parseDateTime64BestEffortOrNull(substring({kept}, {len(note) + 1}), 9, 'UTC')"
    # One nanosecond at least, as of what comes in now: 0 says that there is no such time.
    given = f"greatest(toUnixTimestamp64Nano(assumeNotNull({told})), 1)"
    own = f"fromUnixTimestamp64Nano(if(isNull({told}), 0, {given}), 'UTC')"
    store.command(
        f"ALTER TABLE {messages} UPDATE own_at = {own}, "
        f"notes = arrayMap(note -> if(startsWith(note, '{note}'), '{NOT_BELIEVED}', note), notes) "
        f"WHERE arrayExists(note -> startsWith(note, '{note}'), notes) SETTINGS mutations_sync = 2"
    )


def sum_up_more(store: "Store") -> None:
    """Whole days of dialled cores, and what sources did: both rollups are made again, day by day."""
    for statement in rollup_upgrade_ddl(store.layout):
        store.command(statement)
    rebuild_rollups(store)


def keep_whole_chains(store: "Store") -> None:
    """A column for all hops of a chain; of hours summed up before, the inner one stands for them."""
    store.command(f"ALTER TABLE relay_hours{store.layout.on_cluster} ADD COLUMN IF NOT EXISTS hops {WORDS} AFTER inner")


# Step n of the schema is STEPS[n - 1]; steps are only ever appended.
STEPS: Final[tuple[tuple[str, Callable[["Store"], None]], ...]] = (
    ("first tables", make_first_tables),
    ("findings over sets", make_findings_tables),
    ("a faster codec for source", read_sources_faster),
    ("times that are not believed in a column", keep_own_times),
    ("days of dialled cores, and what sources did", sum_up_more),
    ("whole chains of relays", keep_whole_chains),
    ("sums of parts of busy hours", make_findings_tables),
)


def migrate(store: "Store") -> None:
    """Run the steps that a store has not seen.

    Raises StoreTooNew for one that has seen more than this Relaytrap knows.
    """
    store.command(versions_ddl(store.layout))
    seen = schema_version(store)
    if seen > len(STEPS):
        by = store.rows("SELECT written_by FROM schema_steps ORDER BY step DESC LIMIT 1")[0]["written_by"]
        raise StoreTooNew(
            f"{store.data_dir} was written by Relaytrap {by} (schema {seen}) and this is {__version__} "
            f"(schema {len(STEPS)}); install that version or a newer one"
        )
    for number, (name, step) in enumerate(STEPS[seen:], seen + 1):
        step(store)
        applied = {
            "step": number,
            "name": name,
            "applied_at": clock.now_ns() // 1_000_000 / 1000,
            "written_by": __version__,
        }
        store.insert_rows("schema_steps", [applied])


def schema_version(store: "Store") -> int:
    """Number of the newest applied step; 0 for an empty store."""
    return int(store.row("SELECT max(step) AS step FROM schema_steps")["step"])
