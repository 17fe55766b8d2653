"""Where traffic comes from: countries, countries over time, networks."""

from typing import TYPE_CHECKING, Final

from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.overview import HOUR_S, THROUGH_OTHERS, rollup
from relaytrap.store.queries.sources import hours_suffice, source_hours

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_countries", "list_countries_by_time", "list_networks", "list_relays_by_time"]

NETWORK_NUMBER: Final = "toUInt32OrZero(splitByChar(' ', value)[1])"
NO_DETAILS: Final = {"networks": 0, "through_others": 0, "tool": ""}
NETWORK_NAME: Final = "substring(value, position(value, ' ') + 1)"


def list_countries(store: "Store", where: Filter, *, limit: int = 300, step_s: int = HOUR_S) -> "list[Row]":
    """Countries of the sources, busiest first: country (ISO code, empty when unknown), messages, sources, networks,
    through_others (messages that came through somebody's relay), tool (the busiest), share of all messages."""
    everything, bound = rollup(where, ("all",), step_s=step_s)
    values, _ = rollup(where, ("network", "verdict", "tool"), step_s=step_s)
    rows = store.rows(
        "SELECT country, sum(messages) AS n, uniqMerge(sources) AS sources, sum(n) OVER () AS whole "
        f"FROM {everything} GROUP BY country ORDER BY n DESC, country LIMIT {{top:UInt32}}",
        bound | {"top": limit},
    )
    # Hours are summed first: the busiest tool needs its sum. No sketch of sources is read here.
    summed = f"SELECT facet, country, value, sum(messages) AS n FROM {values} GROUP BY facet, country, value"
    counted = store.rows(
        "SELECT country, uniqExactIf(value, facet = 'network' AND NOT startsWith(value, '0 ')) AS networks, "
        f"sumIf(n, facet = 'verdict' AND value IN {THROUGH_OTHERS}) AS through_others, "
        f"argMaxIf(value, n, facet = 'tool' AND value != '') AS tool FROM ({summed}) GROUP BY country",
        bound,
    )
    details = {row.pop("country"): row for row in counted}
    return [
        {
            "country": row["country"],
            "messages": row["n"],
            "sources": row["sources"],
            **details.get(row["country"], NO_DETAILS),
            "share": round(row["n"] / row["whole"], 6),
        }
        for row in rows
    ]


def list_countries_by_time(store: "Store", where: Filter, *, step_s: int = HOUR_S) -> "list[Row]":
    """Messages and unique sources of each country in steps of time: start, country, messages, sources."""
    relation, bound = rollup(where, ("all",), step_s=step_s)
    return store.rows(
        f"SELECT formatDateTime(toStartOfInterval(hour, INTERVAL {int(step_s)} SECOND, 'UTC'), '%FT%TZ') AS start, "
        f"country, sum(messages) AS messages, uniqMerge(sources) AS sources FROM {relation} "
        "GROUP BY start, country ORDER BY start, messages DESC, country",
        bound,
    )


def list_relays_by_time(store: "Store", where: Filter, *, step_s: int = HOUR_S) -> "list[Row]":
    """Different sources that handed on for others, by country in steps of time: start, country, relays, messages."""
    if hours_suffice(where) and step_s % HOUR_S == 0:
        clause = source_hours(where, "relayed > 0")
        table, moment, count = "hourly_sources", "hour", "sum(relayed)"
    else:
        clause = where.where(attack=True, extra=f"path_verdict IN {THROUGH_OTHERS}")
        table, moment, count = "messages", "received_at", "count()"
    return store.rows(
        f"SELECT formatDateTime(toStartOfInterval({moment}, INTERVAL {int(step_s)} SECOND, 'UTC'), '%FT%TZ') AS start, "
        f"country, uniqExact(source) AS relays, {count} AS messages FROM {table} {clause.sql} "
        "GROUP BY start, country ORDER BY start, relays DESC, country",
        clause.params,
    )


def list_networks(store: "Store", where: Filter, *, limit: int = 50, step_s: int = HOUR_S) -> "list[Row]":
    """Autonomous systems of the sources, busiest first: asn (0: unknown), as_name, messages, sources, countries."""
    relation, bound = rollup(where, ("network",), step_s=step_s)
    return store.rows(
        f"SELECT {NETWORK_NUMBER} AS asn, any({NETWORK_NAME}) AS as_name, sum(messages) AS messages, "
        f"uniqMerge(sources) AS sources, groupUniqArray(8)(country) AS countries FROM {relation} "
        "GROUP BY asn ORDER BY messages DESC, asn LIMIT {top:UInt32}",
        bound | {"top": limit},
    )
