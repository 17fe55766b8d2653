"""Questions about sources: who sent most, and what one address did."""

from typing import TYPE_CHECKING, Any, Final

from relaytrap.errors import InputError
from relaytrap.store.queries.filter import Filter, Where
from relaytrap.store.queries.hours import hour_conditions, short
from relaytrap.store.queries.shape import COLUMNS_FIRST, address, moment
from relaytrap.store.schema import LISTED_VALUES, SOURCE_LISTS

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["get_source", "hours_suffice", "list_sources", "source_hours"]

ORDERS: Final = {
    "messages": "messages_ DESC, last_ DESC",
    "last_seen": "last_ DESC, messages_ DESC",
    "first_seen": "first_ DESC, messages_ DESC",
    "relayed": "relayed_ DESC, messages_ DESC",
}
AT_ONCE: Final = 100_000
"""Addresses in one question; the engine takes a million."""
KEPT: Final = frozenset({"since", "until", "country", "asn", "source"})


def list_sources(
    store: "Store", where: Filter, *, limit: int = 50, offset: int = 0, sort: str = "messages"
) -> "list[Row]":
    """Addresses that sent something: address, country, asn, as_name, messages, relayed, first_seen, last_seen,
    sensors, methods, tools, user_agents (up to eight of each), targets (how many distinct).

    limit: 0 for all. sort: messages, last_seen, first_seen or relayed, the largest first.
    """
    if sort not in ORDERS:
        raise InputError(f"sort: {sort!r} is none of {', '.join(ORDERS)}")
    inner, params = _counted(where)
    page = f"LIMIT {int(limit)} OFFSET {int(offset)}" if limit else ""
    rows = store.rows(
        f"SELECT {address('source')} AS address, country_ AS country, asn_ AS asn, as_name_ AS as_name, "
        f"messages_ AS messages, relayed_ AS relayed, {moment('first_')} AS first_seen, {moment('last_')} AS last_seen "
        f"FROM ({inner}) ORDER BY {ORDERS[sort]}, source {page}",
        params,
    )
    addresses = [row["address"] for row in rows]
    details: dict[str, Row] = {}
    for start in range(0, len(addresses), AT_ONCE):
        details |= _details(store, where, addresses[start : start + AT_ONCE])
    return [{**row, **details.get(row["address"], NO_DETAILS)} for row in rows]


def get_source(store: "Store", where: Filter, *, address: str) -> "list[Row]":
    """One source as in `sources`; no row when it sent nothing."""
    import dataclasses

    return list_sources(store, dataclasses.replace(where, source=address), limit=1)


def _counted(where: Filter) -> tuple[str, dict[str, Any]]:
    """Sources with their sums, from the hourly rollup when it knows everything that is asked."""
    aggregates = "any(country) AS country_, any(asn) AS asn_, any(as_name) AS as_name_, "
    if hours_suffice(where):
        clause = source_hours(where)
        sums = (
            "sum(messages) AS messages_, sum(relayed) AS relayed_, min(first_seen) AS first_, max(last_seen) AS last_"
        )
        return f"SELECT source, {aggregates}{sums} FROM hourly_sources {clause.sql} GROUP BY source", clause.params
    attack = where.where(attack=True)
    sums = (
        "count() AS messages_, countIf(path_verdict IN ('relayed', 'hidden')) AS relayed_, "
        "min(received_at) AS first_, max(received_at) AS last_"
    )
    return f"SELECT source, {aggregates}{sums} FROM messages {attack.sql} GROUP BY source", attack.params


def hours_suffice(where: Filter) -> bool:
    """`hourly_sources` knows everything that is asked, and the span is not short."""
    return where.narrowed <= KEPT and not short(where)


def source_hours(where: Filter, extra: str = "") -> Where:
    """A filter as conditions on `hourly_sources`; extra: one more, SQL of ours."""
    clause = Filter(source=where.source, asn=where.asn).where(extra=extra)
    conditions, params = hour_conditions(where)
    joined = [*([clause.sql.removeprefix("WHERE ")] if clause.sql else []), *conditions]
    return Where("WHERE " + " AND ".join(joined) if joined else "", params | clause.params)


NO_DETAILS: Final[dict[str, Any]] = {"sensors": [], "methods": [], "tools": [], "user_agents": [], "targets": 0}


def _details(store: "Store", where: Filter, addresses: list[str]) -> "dict[str, Row]":
    """What some addresses did; from the hourly rollup when it knows everything that is asked, otherwise from
    the messages, which the address index narrows."""
    these = "source IN {addresses:Array(IPv6)}"
    if hours_suffice(where):
        clause, table, targets = source_hours(where, these), "hourly_sources", "uniqMerge(targets)"
        lists = {name: f"groupUniqArrayArray({LISTED_VALUES})({name})" for name in SOURCE_LISTS}
    else:
        clause, table, targets = where.where(attack=True, extra=these), "messages", "uniq(target)"
        lists = {n: f"groupUniqArrayIf({LISTED_VALUES})({name}, {name} != '')" for n, name in SOURCE_LISTS.items()}
    sorted_ = ", ".join(f"arraySort({values}) AS {name}" for name, values in lists.items())
    rows = store.rows(
        f"SELECT {address('source')} AS address, {sorted_}, {targets} AS targets FROM {table} {clause.sql} "
        f"GROUP BY source {COLUMNS_FIRST}",
        {**clause.params, "addresses": addresses},
    )
    return {row.pop("address"): row for row in rows}
