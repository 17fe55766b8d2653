"""Hour by hour of a campaign: requests by the relays' countries, and how many different relays carried them."""

from collections.abc import Iterable, Mapping
from typing import Any

from relaytrap.clock import NS_PER_S, parse_rfc3339, rfc3339
from relaytrap.web.pictures.shapes import country_name
from relaytrap.web.pictures.timeline import Timeline, stack_timeline
from relaytrap.web.window import steps_over

__all__ = ["stack_relay_hours"]


def stack_relay_hours(hours: Iterable[Mapping[str, Any]], row: Mapping[str, Any]) -> tuple[Timeline, Timeline]:
    """Two pictures of rows of the question `relay_hours`. row: the campaign's."""
    steps, step_s = steps_over(row["first_seen"], row["last_seen"])
    by_country: list[dict[str, Any]] = []
    most: dict[str, int] = {}
    for hour in hours:
        start = _floor(hour["hour"], step_s)
        for code, requests in hour["countries"].items():
            by_country.append({"start": start, "value": country_name(code), "messages": requests})
        most[start] = max(most.get(start, 0), hour["relays"])
    distinct = [{"start": start, "value": "different relays", "messages": count} for start, count in most.items()]
    return stack_timeline(by_country, steps, step_s), stack_timeline(distinct, steps, step_s, height=70)


def _floor(moment: str, step_s: int) -> str:
    second = parse_rfc3339(moment) // NS_PER_S
    return f"{rfc3339((second - second % step_s) * NS_PER_S)[:19]}Z"
