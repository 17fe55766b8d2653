"""Where traffic comes from: countries, countries over time, networks."""

from typing import TYPE_CHECKING, Final

from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.overview import HOUR_S, THROUGH_OTHERS, rollup

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_countries", "list_countries_by_time", "list_networks"]

NETWORK_NUMBER: Final = "toUInt32OrZero(splitByChar(' ', value)[1])"
NETWORK_NAME: Final = "substring(value, position(value, ' ') + 1)"


def list_countries(store: "Store", where: Filter, *, limit: int = 300, step_s: int = HOUR_S) -> "list[Row]":
    """Countries of the sources, busiest first: country (ISO code, empty when unknown), messages, sources, networks,
    through_others (messages that came through somebody's relay), tool (the busiest), share of all messages."""
    relation, bound = rollup(where, ("all", "network", "verdict", "tool"), step_s=step_s)
    # Hours are summed first: what is left is small, and the busiest tool needs its sum.
    summed = f"SELECT facet, country, value, sum(messages) AS n, uniqMergeState(sources) AS s FROM {relation} "
    return store.rows(
        "SELECT country, sumIf(n, facet = 'all') AS messages, uniqMergeIf(s, facet = 'all') AS sources, "
        "uniqIf(value, facet = 'network' AND NOT startsWith(value, '0 ')) AS networks, "
        f"sumIf(n, facet = 'verdict' AND value IN {THROUGH_OTHERS}) AS through_others, "
        "argMaxIf(value, n, facet = 'tool' AND value != '') AS tool, "
        "round(messages / greatest(sum(messages) OVER (), 1), 6) AS share "
        f"FROM ({summed}GROUP BY facet, country, value) "
        "GROUP BY country ORDER BY messages DESC, country LIMIT {top:UInt32}",
        bound | {"top": limit},
    )


def list_countries_by_time(store: "Store", where: Filter, *, step_s: int = HOUR_S) -> "list[Row]":
    """Messages and unique sources of each country in steps of time: start, country, messages, sources."""
    relation, bound = rollup(where, ("all",), step_s=step_s)
    return store.rows(
        f"SELECT formatDateTime(toStartOfInterval(hour, INTERVAL {int(step_s)} SECOND, 'UTC'), '%FT%TZ') AS start, "
        f"country, sum(messages) AS messages, uniqMerge(sources) AS sources FROM {relation} "
        "GROUP BY start, country ORDER BY start, messages DESC",
        bound,
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
