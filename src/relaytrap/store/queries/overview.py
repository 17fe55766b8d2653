"""What happened: totals with the change since the window before, counts over time, and who leads each facet.

Asked of the hourly rollups, which hold every country and hour for a handful of facets, so that a window of a week over
millions of messages costs milliseconds. A question that the rollups cannot answer (a window of few hours, steps of
minutes, a filter by something else than time and country) is asked of the messages in the same form.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from relaytrap.errors import InputError
from relaytrap.store.queries.filter import Filter, Where
from relaytrap.store.queries.hours import core_hours, hour_conditions, rolled_up
from relaytrap.store.queries.numbers import read_cores
from relaytrap.store.queries.shape import COLUMNS_FIRST, address
from relaytrap.store.schema import COUNTED_VALUES, FACETS

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_leaders", "list_leading_sources", "query_span", "query_timeline", "query_totals", "rollup"]

HOUR_S: Final = 3600
NS_PER_S: Final = 1_000_000_000
# Facets with so many values that how they are grouped matters.
MANY_VALUES: Final = frozenset({"dialled_core", "user_agent"})
THROUGH_OTHERS: Final = "('relayed', 'hidden')"


def query_span(store: "Store", where: Filter) -> "list[Row]":
    """Hours of the first and last message that asks for something: one row, null for an empty store."""
    return store.rows(
        "SELECT if(count() = 0, NULL, formatDateTime(min(hour), '%FT%TZ')) AS first_hour, "
        "if(count() = 0, NULL, formatDateTime(max(hour), '%FT%TZ')) AS last_hour FROM hourly WHERE facet = 'all'"
    )


def query_totals(store: "Store", where: Filter) -> "list[Row]":
    """One row: messages, sources, countries, networks, tools, dialled countries, messages that came through others.

    `before` holds the same numbers for the window of the same length just before, null without a beginning.
    """
    now = _totals(store, where)
    previous = _window_before(where)
    return [{**now, "before": _totals(store, previous) if previous else None}]


def query_timeline(
    store: "Store", where: Filter, *, facet: str = "method", step_s: int = HOUR_S, count_sources: bool = False
) -> "list[Row]":
    """Messages in steps of time, one row for each step and value of the facet that has any: start, value, messages.

    step_s: seconds; steps that are no whole hours are counted from the messages themselves. count_sources: `sources`,
    the unique ones, as well.
    """
    relation, bound = rollup(where, _checked_facets(facet), step_s=step_s)
    sources = ", uniqMerge(sources) AS sources" if count_sources else ""
    return store.rows(
        f"SELECT formatDateTime(toStartOfInterval(hour, INTERVAL {int(step_s)} SECOND, 'UTC'), '%FT%TZ') AS start, "
        f"value, sum(messages) AS messages{sources} FROM {relation} "
        "GROUP BY start, value ORDER BY start, messages DESC, value",
        bound,
    )


def list_leaders(
    store: "Store",
    where: Filter,
    *,
    facets: str = "network,tool,method",
    limit: int = 8,
    step_s: int = HOUR_S,
    count_sources: bool = False,
) -> "list[Row]":
    """The busiest values of each facet: facet, value, messages.

    facets: names from schema.FACETS, separated by commas. The value of `network` is "ASN name". count_sources:
    `sources`, the unique ones, as well; that costs more than all the rest. A row of `dialled_core` also has
    `dialled`: how that core reads.
    """
    names = _checked_facets(facets)
    few, many = [name for name in names if name not in MANY_VALUES], [name for name in names if name in MANY_VALUES]
    leaders = _leaders(store, rollup(where, few, step_s=step_s), limit) if few else []
    for name in many:
        leaders += _leaders_of_one(store, _many(where, name, step_s), name, limit)
    if count_sources and leaders:
        counted = _sources_of(store, *rollup(where, names, step_s=step_s), leaders)
        for row in leaders:
            row["sources"] = counted.get((row["facet"], row["value"]), 0)
    cores = [row for row in leaders if row["facet"] == "dialled_core"]
    read = read_cores(store, where, [row["value"] for row in cores])
    for row in cores:
        row["dialled"] = read.get(row["value"]) or row["value"]
    return leaders


def _leaders(store: "Store", relation: tuple[str, dict[str, Any]], limit: int) -> "list[Row]":
    table, bound = relation
    rows = store.rows(
        f"SELECT facet, value AS leader, sum(messages) AS total FROM {table} WHERE value != '' "
        "GROUP BY facet, value ORDER BY facet, total DESC, leader LIMIT {leaders:UInt32} BY facet",
        bound | {"leaders": limit},
    )
    return [{"facet": row["facet"], "value": row["leader"], "messages": row["total"]} for row in rows]


def _many(where: Filter, facet: str, step_s: int) -> tuple[str, dict[str, Any]]:
    """A relation with the value and messages of a facet with many values."""
    if facet == "dialled_core" and rolled_up(where) and step_s % HOUR_S == 0:
        clause = core_hours(where)
        return f"(SELECT value, messages FROM hourly {clause.sql})", clause.params
    return rollup(where, (facet,), step_s=step_s)


def _leaders_of_one(store: "Store", relation: tuple[str, dict[str, Any]], facet: str, limit: int) -> "list[Row]":
    """The same of a facet with many values: grouped by a hash alone, and only the leaders sorted, a million rows take
    60 ms instead of 100."""
    table, bound = relation
    rows = store.rows(
        f"SELECT any(value) AS leader, sum(messages) AS total FROM {table} WHERE value != '' "
        "GROUP BY cityHash64(value) ORDER BY total DESC, leader LIMIT {leaders:UInt32}",
        bound | {"leaders": limit},
    )
    return [{"facet": facet, "value": row["leader"], "messages": row["total"]} for row in rows]


def _sources_of(
    store: "Store", relation: str, bound: dict[str, Any], leaders: "list[Row]"
) -> dict[tuple[str, str], int]:
    """Unique sources of the leading values only: merging a sketch for every value takes seconds."""
    names = {"leading_facets": [row["facet"] for row in leaders], "leading_values": [row["value"] for row in leaders]}
    rows = store.rows(
        f"SELECT facet, value, uniqMerge(sources) AS sources FROM {relation} WHERE value IN "
        "{leading_values:Array(String)} AND (facet, value) IN arrayZip({leading_facets:Array(String)}, "
        "{leading_values:Array(String)}) GROUP BY facet, value",
        bound | names,
    )
    return {(row["facet"], row["value"]): row["sources"] for row in rows}


def list_leading_sources(store: "Store", where: Filter, *, limit: int = 8) -> "list[Row]":
    """The busiest sources: address, country, asn, as_name, messages, relayed; less than `sources`, but at once."""
    if rolled_up(where):
        clause, counts = _hours(where), "sum(messages) AS messages_, sum(relayed) AS relayed_"
    else:
        clause = where.where(attack=True)
        counts = f"count() AS messages_, countIf(path_verdict IN {THROUGH_OTHERS}) AS relayed_"
    table = "hourly_sources" if rolled_up(where) else "messages"
    return store.rows(
        f"SELECT {address('source')} AS address, country_ AS country, asn_ AS asn, as_name_ AS as_name, "
        "messages_ AS messages, relayed_ AS relayed FROM (SELECT source, any(country) AS country_, "
        f"any(asn) AS asn_, any(as_name) AS as_name_, {counts} FROM {table} {clause.sql} GROUP BY source) "
        "ORDER BY messages_ DESC, source LIMIT {leaders:UInt32}",
        clause.params | {"leaders": limit},
    )


def rollup(where: Filter, facets: Sequence[str], *, step_s: int = HOUR_S) -> tuple[str, dict[str, Any]]:
    """A relation with facet, hour, country, value, messages, sources for a FROM clause, and its parameters.

    It is the rollup where that holds the answer, otherwise the same columns made from the messages.
    """
    named = ", ".join(f"'{name}'" for name in facets)
    if rolled_up(where) and step_s % HOUR_S == 0:
        clause = _hours(where, f"facet IN ({named})")
        return f"(SELECT * FROM hourly {clause.sql})", clause.params
    clause = where.where(attack=True)
    values = ", ".join(FACETS[name] for name in facets)
    counted = (
        f"(SELECT facet, toStartOfInterval(received_at, INTERVAL {min(int(step_s), HOUR_S)} SECOND, 'UTC') AS hour, "
        f"country, value, count() AS messages, uniqState(source) AS sources FROM messages "
        f"ARRAY JOIN [{named}] AS facet, [{values}] AS value {clause.sql} GROUP BY facet, hour, country, value "
        f"HAVING {COUNTED_VALUES})"
    )
    return counted, clause.params


def _totals(store: "Store", where: Filter) -> "Row":
    if rolled_up(where):
        return _rolled_up_totals(store, where)
    clause = where.where(attack=True)
    return store.row(
        "SELECT count() AS messages, uniq(source) AS sources, uniqIf(country, country != '') AS countries, "
        "uniqIf(asn, asn != 0) AS networks, uniqIf(tool, tool != '') AS tools, "
        "uniqIf(dialled_country, dialled_country != '') AS dialled_countries, "
        f"countIf(path_verdict IN {THROUGH_OTHERS}) AS through_others, uniq(sensor) AS sensors "
        f"FROM messages {clause.sql}",
        clause.params,
    )


def _rolled_up_totals(store: "Store", where: Filter) -> "Row":
    # Sketches of sources are read for one facet only; for the others the values themselves are counted.
    everything, bound = rollup(where, ("all",))
    values, _ = rollup(where, ("network", "tool", "dialled_country", "verdict", "sensor"))
    totals = store.row(
        "SELECT sum(messages) AS messages, uniqMerge(sources) AS sources, "
        f"uniqExactIf(country, country != '') AS countries FROM {everything} {COLUMNS_FIRST}",
        bound,
    )
    counted = store.row(
        "SELECT uniqIf(value, facet = 'network' AND NOT startsWith(value, '0 ')) AS networks, "
        "uniqIf(value, facet = 'tool' AND value != '') AS tools, "
        "uniqIf(value, facet = 'dialled_country') AS dialled_countries, "
        f"sumIf(messages, facet = 'verdict' AND value IN {THROUGH_OTHERS}) AS through_others, "
        f"uniqIf(value, facet = 'sensor') AS sensors FROM {values} {COLUMNS_FIRST}",
        bound,
    )
    return totals | counted


def _window_before(where: Filter) -> Filter | None:
    if where.since is None or where.until is None or where.until <= where.since:
        return None
    return dataclasses.replace(where, since=2 * where.since - where.until, until=where.since)


def _hours(where: Filter, extra: str = "") -> Where:
    """Time and country of a filter as conditions on a rollup's `hour` and `country`."""
    conditions, params = hour_conditions(where)
    conditions = [*([extra] if extra else []), *conditions]
    return Where("WHERE " + " AND ".join(conditions) if conditions else "", params)


def _checked_facets(facets: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in facets.split(",") if name.strip())
    for name in names:
        if name not in FACETS:
            raise InputError(f"facets: {name!r} is none of {', '.join(FACETS)}")
    return names
