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
from relaytrap.store.queries.hours import hour_conditions, short
from relaytrap.store.queries.shape import COLUMNS_FIRST, address
from relaytrap.store.schema import FACETS

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_leaders", "list_leading_sources", "query_span", "query_timeline", "query_totals", "rollup"]

HOUR_S: Final = 3600
NS_PER_S: Final = 1_000_000_000
# Fields of a filter that the rollups can apply.
ROLLED_UP: Final = frozenset({"since", "until", "country"})
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


def query_timeline(store: "Store", where: Filter, *, facet: str = "method", step_s: int = HOUR_S) -> "list[Row]":
    """Messages and sources in steps of time, one row for each step and value of the facet that has any.

    step_s: seconds; steps that are no whole hours are counted from the messages themselves.
    """
    relation, bound = rollup(where, (facet,), step_s=step_s)
    return store.rows(
        f"SELECT formatDateTime(toStartOfInterval(hour, INTERVAL {int(step_s)} SECOND, 'UTC'), '%FT%TZ') AS start, "
        f"value, sum(messages) AS messages, uniqMerge(sources) AS sources FROM {relation} "
        "GROUP BY start, value ORDER BY start, messages DESC",
        bound,
    )


def list_leaders(
    store: "Store", where: Filter, *, facets: str = "network,tool,method", limit: int = 8, step_s: int = HOUR_S
) -> "list[Row]":
    """The busiest values of each facet: facet, value, messages, sources, countries, of (how many values there are).

    facets: names from schema.FACETS, separated by commas. The value of `network` is "ASN name".
    """
    names = _checked_facets(facets)
    relation, bound = rollup(where, names, step_s=step_s)
    # Grouping by value alone first keeps the number of sketches that are merged small.
    return store.rows(
        "SELECT facet, value, sum(messages) AS messages, uniqMerge(sources) AS sources, "
        f"uniqExact(country) AS countries, count() OVER (PARTITION BY facet) AS of FROM {relation} WHERE value != '' "
        "GROUP BY facet, value ORDER BY facet, messages DESC, value LIMIT {leaders:UInt32} BY facet",
        bound | {"leaders": limit},
    )


def list_leading_sources(store: "Store", where: Filter, *, limit: int = 8) -> "list[Row]":
    """The busiest sources: address, country, asn, as_name, messages, relayed; less than `list_sources`, but at once."""
    if _rolled_up(where):
        clause, counts = _hours(where), "sum(messages) AS messages_, sum(relayed) AS relayed_"
    else:
        clause = where.where(attack=True)
        counts = f"count() AS messages_, countIf(path_verdict IN {THROUGH_OTHERS}) AS relayed_"
    table = "hourly_sources" if _rolled_up(where) else "messages"
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
    if _rolled_up(where) and step_s % HOUR_S == 0:
        clause = _hours(where, f"facet IN ({named})")
        return f"(SELECT * FROM hourly {clause.sql})", clause.params
    clause = where.where(attack=True)
    values = ", ".join(FACETS[name] for name in facets)
    counted = (
        f"(SELECT facet, toStartOfInterval(received_at, INTERVAL {min(int(step_s), HOUR_S)} SECOND, 'UTC') AS hour, "
        f"country, value, count() AS messages, uniqState(source) AS sources FROM messages "
        f"ARRAY JOIN [{named}] AS facet, [{values}] AS value {clause.sql} GROUP BY facet, hour, country, value)"
    )
    return counted, clause.params


def _totals(store: "Store", where: Filter) -> "Row":
    if _rolled_up(where):
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
    relation, bound = rollup(where, ("all", "network", "tool", "dialled_country", "verdict", "sensor"))
    return store.row(
        "SELECT sumIf(messages, facet = 'all') AS messages, uniqMergeIf(sources, facet = 'all') AS sources, "
        "uniqExactIf(country, facet = 'all' AND country != '') AS countries, "
        "uniqIf(value, facet = 'network' AND NOT startsWith(value, '0 ')) AS networks, "
        "uniqIf(value, facet = 'tool' AND value != '') AS tools, "
        "uniqIf(value, facet = 'dialled_country') AS dialled_countries, "
        f"sumIf(messages, facet = 'verdict' AND value IN {THROUGH_OTHERS}) AS through_others, "
        f"uniqIf(value, facet = 'sensor') AS sensors FROM {relation} {COLUMNS_FIRST}",
        bound,
    )


def _window_before(where: Filter) -> Filter | None:
    if where.since is None or where.until is None or where.until <= where.since:
        return None
    return dataclasses.replace(where, since=2 * where.since - where.until, until=where.since)


def _rolled_up(where: Filter) -> bool:
    return where.narrowed <= ROLLED_UP and not short(where)


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
