"""When the hourly rollups answer a question over time, and how a filter's time and country stand there."""

from typing import Any, Final

from relaytrap.store.queries.filter import Filter

__all__ = ["hour_conditions", "short"]

HOUR_NS: Final = 3600 * 1_000_000_000
# Shorter spans are asked of the messages: exact to the nanosecond, and few rows.
SHORT_NS: Final = 3 * HOUR_NS


def hour_conditions(where: Filter) -> tuple[list[str], dict[str, Any]]:
    """Conditions on `hour` and `country` that stand for since, until and country."""
    conditions, params = [], dict[str, Any]()
    if where.since is not None:
        conditions.append("hour >= toDateTime({since_s:Int64}, 'UTC')")
        params["since_s"] = since_hour(where.since) // 1_000_000_000
    if where.until is not None:
        conditions.append("hour < toDateTime({until_s:Int64}, 'UTC')")
        params["until_s"] = -(-where.until // 1_000_000_000)
    if where.country is not None:
        conditions.append("country = {country:String}")
        params["country"] = where.country
    return conditions, params


def since_hour(moment_ns: int) -> int:
    """The full hour at or before a moment."""
    return moment_ns - moment_ns % HOUR_NS


def short(where: Filter) -> bool:
    """The span is short enough to ask the messages themselves."""
    return where.since is not None and where.until is not None and where.until - where.since <= SHORT_NS
