"""Questions about single messages: the list, one message, its transaction, the bytes for an export."""

import base64
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from relaytrap.clock import NS_PER_S, parse_rfc3339
from relaytrap.errors import InputError
from relaytrap.store.queries.attach import attach_campaigns
from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.shape import COLUMNS_FIRST, MESSAGE, NOT_BELIEVED, moment
from relaytrap.store.schema import JSON_LISTS, NAMES

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = [
    "SELECTED",
    "count_messages",
    "cursor_of",
    "export_messages",
    "finished",
    "get_message",
    "list_messages",
    "query_conversation",
]

SELECTED: Final = ", ".join(f"{MESSAGE.get(name, name)} AS {name}" for name in NAMES if name != "raw")
# The notes as a reader has them: what is not believed stands in its note, and needs no column of an observation.
TIMED_NOTES: Final = (
    "if(toUnixTimestamp64Nano(own_at) = 0, notes, arrayMap(note -> "
    f"if(note = '{NOT_BELIEVED}', concat(note, ': ', {moment('own_at')}), note), notes))"
)
# What an Observation is made of, and when the hub took it in.
SEEN: Final = ", ".join(
    (
        *("toUnixTimestamp64Nano(received_at) AS received_at_ns", "toUnixTimestamp64Milli(ingested_at) AS ingested_ms"),
        *(f"{MESSAGE.get(name, name)} AS {name}" for name in ("sensor", "capture", "frame", "direction", "transport")),
        *(f"{MESSAGE.get(name, name)} AS {name}" for name in ("source", "source_port", "local", "local_port")),
        f"{TIMED_NOTES} AS notes",
        "base64Encode(raw) AS raw",
    )
)
DECODE: Final = msgspec.json.Decoder().decode
BATCH: Final = 500
# True of every message. With any condition the engine reads the wide columns of the rows that it will show; without one
# it reads those of whole granules (35 against 160 ms at ten million messages).
EVER: Final = "received_at >= toDateTime64(0, 9, 'UTC')"
# Order of the list: also the order of the table's key, so that a page reads only what it shows.
NEWEST: Final = "ORDER BY received_at DESC, id DESC"
OLDEST: Final = "ORDER BY received_at, id"


def list_messages(
    store: "Store", where: Filter, *, limit: int = 50, before: str = "", after: str = "", with_raw: bool = False
) -> "Iterator[Row]":
    """Messages, newest first.

    limit: 0 for all; rows are streamed in bounded memory. before, after: only those older, only those newer
    than a row, named by its `received_at` `_` `id`; with `after` the page next to it, still newest first. with_raw: the
    bytes as well, in base64.
    """
    if limit < 0:
        raise InputError(f"limit: {limit} is below zero; 0 gives all")
    extra, params = _beyond(before, after)
    clause = where.where(extra=extra if extra or where.narrowed else EVER)
    columns = f"{SELECTED}, base64Encode(raw) AS raw" if with_raw else SELECTED
    order = OLDEST if after else NEWEST
    page = f"LIMIT {limit}" if limit else ""
    sql = f"SELECT {columns} FROM messages {clause.sql} {order} {page} {COLUMNS_FIRST}"
    bound = clause.params | params
    if not limit:
        return finished(store, store.stream(sql, bound))
    rows = store.rows(sql, bound)
    return finished(store, reversed(rows) if after else rows)


def cursor_of(row: "Row") -> str:
    """The place of a listed row, for `before` and `after`."""
    return f"{row['received_at']}_{row['id']}"


def count_messages(store: "Store", where: Filter, *, attack: bool = False) -> "list[Row]":
    """How many messages fit: one row with messages, sources, first_seen, last_seen (null for none)."""
    clause = where.where(attack=attack)
    return store.rows(
        f"SELECT count() AS messages, uniq(source) AS sources, {moment_or_null('min')} AS first_seen, "
        f"{moment_or_null('max')} AS last_seen "
        f"FROM messages {clause.sql}",
        clause.params,
    )


def get_message(store: "Store", *, id: str) -> "list[Row]":
    """One message with its bytes (base64), or no row."""
    clause = Filter(id=_checked_id(id)).where()
    sql = f"SELECT {SELECTED}, base64Encode(raw) AS raw FROM messages {clause.sql} LIMIT 1 {COLUMNS_FIRST}"
    return list(finished(store, store.rows(sql, clause.params)))


def query_conversation(store: "Store", *, id: str, limit: int = 200, minutes: int = 60) -> "list[Row]":
    """What was said around a message, oldest first: same Call-ID, sensor and source, both directions."""
    clause = Filter(id=_checked_id(id)).where()
    columns = "toUnixTimestamp64Nano(received_at) AS received_at_ns, call_id, sensor, toString(source) AS source"
    anchors = store.rows(f"SELECT {columns} FROM messages {clause.sql} LIMIT 1", clause.params)
    if not anchors:
        return []
    anchor = anchors[0]
    width = minutes * 60 * NS_PER_S
    near = Filter(
        since=anchor["received_at_ns"] - width,
        until=anchor["received_at_ns"] + width,
        sensor=anchor["sensor"],
        call_id=anchor["call_id"],
        source=anchor["source"],
    ).where()
    sql = f"SELECT {SELECTED} FROM messages {near.sql} {OLDEST} LIMIT {int(limit)} {COLUMNS_FIRST}"
    rows = store.rows(sql, near.params)
    return list(finished(store, rows))


def export_messages(store: "Store", where: Filter, *, limit: int = 0) -> "Iterator[Row]":
    """What an Observation needs, oldest first, `raw` as bytes and `received_at_ns` as int: for pcapng downloads."""
    clause = where.where()
    page = f"LIMIT {limit}" if limit else ""
    sql = f"SELECT {SEEN} FROM messages {clause.sql} {OLDEST} {page} {COLUMNS_FIRST}"
    for row in store.stream(sql, clause.params):
        row["raw"] = base64.b64decode(row["raw"])
        yield row


def finished(store: "Store", rows: "Iterable[Row]") -> "Iterator[Row]":
    """Rows of SELECTED columns with their lists unpacked and their campaigns attached."""
    left = iter(rows)
    while batch := list(itertools.islice(left, BATCH)):
        attach_campaigns(store, batch)
        for row in batch:
            for name, keys in JSON_LISTS.items():
                row[name] = [dict(zip(keys, each, strict=False)) for each in DECODE(row[name])] if row[name] else []
            yield row


def _beyond(before: str, after: str) -> tuple[str, dict[str, Any]]:
    if before and after:
        raise InputError("before and after exclude each other; give one cursor")
    if not before and not after:
        return "", {}
    sign = "<" if before else ">"
    if not (found := re.fullmatch(r"(\S+)_([0-9a-f]{16})", before or after)):
        raise InputError(f"{before or after!r} is no cursor; use the one that a listed row gives")
    try:
        moment_ns = parse_rfc3339(found[1])
    except ValueError:
        raise InputError(f"{found[1]!r} in the cursor is no time; use the one that a listed row gives") from None
    edge = "fromUnixTimestamp64Nano({cursor_ns:Int64}, 'UTC')"
    # The first comparison lets the key skip granules; the pair alone would not.
    sql = f"received_at {sign}= {edge} AND (received_at, id) {sign} ({edge}, {{cursor_id:UInt64}})"
    return sql, {"cursor_ns": moment_ns, "cursor_id": int(found[2], 16)}


def _checked_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{16}", text):
        raise InputError(f"{text!r} is no message identifier; one has 16 hex digits")
    return text


def moment_or_null(aggregate: str) -> str:
    """`min` or `max` of received_at as RFC 3339, NULL over no rows."""
    return f"if(count() = 0, NULL, {moment(f'{aggregate}(received_at)')})"
