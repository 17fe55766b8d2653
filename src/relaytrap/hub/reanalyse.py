"""Everything derived, derived again from the raw bytes: day by day, while the hub goes on taking messages in.

A day is read, turned into rows by the worker processes and written beside the old one. Then, for a moment, nobody else
writes: what arrived meanwhile is added, and the new day takes the old one's place. Stopped half-way, finished days are
new and the others are as they were.
"""

import base64
import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from relaytrap.clock import now_ns
from relaytrap.hub.batch import Batch
from relaytrap.hub.rows import RULES_VERSION
from relaytrap.hub.workers import Workers
from relaytrap.observation import Observation
from relaytrap.store import Store
from relaytrap.store.findings import doubt_day
from relaytrap.store.queries.messages import SEEN
from relaytrap.store.queries.shape import COLUMNS_FIRST
from relaytrap.store.rebuild import day_of_rebuilt_messages, list_days, replace_day

__all__ = ["Step", "reanalyse"]

BATCH_MESSAGES: Final = 8_192
LOOK_BACK_MS: Final = 60_000
"""What was taken in this long before a day's reading began is looked at again: an insert may have been under way."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is: messages rewritten, of all that will be."""

    messages: int
    of: int


def reanalyse(store: Store, workers: Workers, *, only_outdated: bool = False) -> Iterator[Step]:
    """Rewrite the derived columns of every message, and the rollups; run the iterator to its end.

    only_outdated: leave days alone whose rows all carry the present rules' version.
    """
    days = _days(store, only_outdated)
    total, done = sum(days.values()), 0
    yield Step(0, total)
    for day, count in days.items():
        for messages in _rewrite_day(store, workers, day):
            yield Step(done + min(messages, count), total)
        done += count


def _days(store: Store, only_outdated: bool) -> dict[str, int]:
    rows = store.rows(
        "SELECT _partition_id AS day, count() AS messages, min(rules_version) AS oldest "
        "FROM messages GROUP BY day ORDER BY day"
    )
    return {row["day"]: row["messages"] for row in rows if not only_outdated or row["oldest"] < RULES_VERSION}


def _rewrite_day(store: Store, workers: Workers, day: str) -> Iterator[int]:
    with day_of_rebuilt_messages(store) as table:
        began_ms = now_ns() // 1_000_000 - LOOK_BACK_MS
        yield from _copy(store, workers, table, _rows(store, day))
        with store.gate.alone():
            late = (
                f"ingested_at >= fromUnixTimestamp64Milli({began_ms}, 'UTC') AND id NOT IN "
                f"(SELECT id FROM {table} WHERE ingested_at >= fromUnixTimestamp64Milli({began_ms}, 'UTC'))"
            )
            for _ in _copy(store, workers, table, _rows(store, day, late)):
                pass
            if day in list_days(store):  # unless retention dropped it meanwhile
                # Before as well: after a crash in between nothing else would tell that the day was written anew.
                doubt_day(store, day, now_ns())
                replace_day(store, day)
                doubt_day(store, day, now_ns())


def _rows(store: Store, day: str, extra: str = "1") -> Iterator[dict[str, Any]]:
    where = f"_partition_id = {{day:String}} AND {extra}"
    sql = f"SELECT {SEEN} FROM messages WHERE {where} ORDER BY received_at, id {COLUMNS_FIRST}"
    return store.stream(sql, {"day": day})


def _copy(store: Store, workers: Workers, table: str, rows: Iterator[dict[str, Any]]) -> Iterator[int]:
    """Rows read through the workers into a table, a few batches at a time; gives how many are done."""
    done = 0
    with ThreadPoolExecutor(workers.count + 1, thread_name_prefix="reanalyse") as threads:
        pending: list[Future[Batch]] = []
        for number in itertools.count():
            chunk = list(itertools.islice(rows, BATCH_MESSAGES))
            while pending and (not chunk or len(pending) > workers.count):
                done += pending.pop(0).result().rows
                yield done
            if not chunk:
                return
            pending.append(threads.submit(_one, store, workers, table, chunk, f"{table}/{now_ns()}/{number}"))


def _one(store: Store, workers: Workers, table: str, rows: Sequence[dict[str, Any]], token: str) -> Batch:
    batch = workers.batch(list(_observations(rows)), [row["ingested_ms"] for row in rows])
    store.insert_block(table, batch.block, token)
    return batch


def _observations(rows: Iterable[dict[str, Any]]) -> Iterator[Observation]:
    for row in rows:
        yield Observation(
            *(row["received_at_ns"], row["sensor"], row["direction"], row["transport"]),
            *(row["source"], row["source_port"], row["local"], row["local_port"]),
            *(base64.b64decode(row["raw"]), row["capture"], row["frame"], tuple(row["notes"])),
        )
