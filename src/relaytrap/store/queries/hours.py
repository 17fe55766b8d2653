"""When the hourly rollups answer a question over time, and how a filter's time and country stand there."""

from typing import Any, Final

from relaytrap.clock import NS_PER_S
from relaytrap.store.queries.filter import Filter, Where
from relaytrap.store.schema import CORES_OF_DAY

__all__ = ["core_hours", "hour_conditions", "rolled_up", "short"]

HOUR_NS: Final = 3600 * NS_PER_S
DAY_S: Final = 86_400
# Shorter spans are asked of the messages: exact to the nanosecond, and few rows.
SHORT_NS: Final = 3 * HOUR_NS
# Fields of a filter that the rollups can apply.
ROLLED_UP: Final = frozenset({"since", "until", "country"})


def rolled_up(where: Filter) -> bool:
    """The rollups can answer: they know everything that is asked, and the span is not short."""
    return where.narrowed <= ROLLED_UP and not short(where)


def hour_conditions(where: Filter) -> tuple[list[str], dict[str, Any]]:
    """Conditions on `hour` and `country` that stand for since, until and country."""
    conditions, params = [], dict[str, Any]()
    if where.since is not None:
        conditions.append("hour >= toDateTime({since_s:Int64}, 'UTC')")
        params["since_s"] = since_hour(where.since) // NS_PER_S
    if where.until is not None:
        conditions.append("hour < toDateTime({until_s:Int64}, 'UTC')")
        params["until_s"] = -(-where.until // NS_PER_S)
    if where.country is not None:
        conditions.append("country = {country:String}")
        params["country"] = where.country
    return conditions, params


def core_hours(where: Filter) -> Where:
    """Conditions on `hourly` whose rows add up to the messages of each dialled core in the hours of hour_conditions:
    whole days have rows of their own, the hours around them are taken from theirs."""
    conditions, params = hour_conditions(where)
    hours = " AND ".join(["facet = 'dialled_core'", *conditions])
    first = None if where.since is None else -(-since_hour(where.since) // (DAY_S * NS_PER_S)) * DAY_S
    end = None if where.until is None else -(-where.until // HOUR_NS) * HOUR_NS // (DAY_S * NS_PER_S) * DAY_S
    if where.country is not None or (first is not None and end is not None and first >= end):
        return Where(f"WHERE {hours}", params)
    inside, around = [f"facet = '{CORES_OF_DAY}'"], []
    if first is not None:
        inside.append("hour >= toDateTime({first_s:Int64}, 'UTC')")
        around.append("hour < toDateTime({first_s:Int64}, 'UTC')")
        params["first_s"] = first
    if end is not None:
        inside.append("hour < toDateTime({end_s:Int64}, 'UTC')")
        around.append("hour >= toDateTime({end_s:Int64}, 'UTC')")
        params["end_s"] = end
    days = " AND ".join(inside)
    return Where(f"WHERE {days}" + (f" OR {hours} AND ({' OR '.join(around)})" if around else ""), params)


def since_hour(moment_ns: int) -> int:
    """The full hour at or before a moment."""
    return moment_ns - moment_ns % HOUR_NS


def short(where: Filter) -> bool:
    """The span is short enough to ask the messages themselves."""
    return where.since is not None and where.until is not None and where.until - where.since <= SHORT_NS
