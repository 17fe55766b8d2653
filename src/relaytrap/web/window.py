"""The stretch of time that a page looks at, named in its address as `last=1h|24h|7d|30d|all`."""

from dataclasses import dataclass
from typing import Any, Final

from relaytrap.clock import NS_PER_S, parse_rfc3339, rfc3339
from relaytrap.store.queries import Filter

__all__ = ["NAMES", "Window", "choose_window", "step_for", "steps_over", "window_between"]

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400
# Name → label, length, step of its timeline.
SPANS: Final = {
    "1h": ("last hour", HOUR_S, MINUTE_S),
    "24h": ("last 24 hours", DAY_S, HOUR_S),
    "7d": ("last 7 days", 7 * DAY_S, HOUR_S),
    "30d": ("last 30 days", 30 * DAY_S, 6 * HOUR_S),
}
NAMES: Final = (*SPANS, "all")
STEPS: Final = (
    MINUTE_S,
    5 * MINUTE_S,
    15 * MINUTE_S,
    HOUR_S,
    3 * HOUR_S,
    6 * HOUR_S,
    12 * HOUR_S,
    DAY_S,
    7 * DAY_S,
    28 * DAY_S,
    364 * DAY_S,
)
# More columns than this are thinner than a reader can tell apart.
COLUMNS: Final = 180


@dataclass(frozen=True, slots=True)
class Window:
    """A named stretch of time, cut at full steps so that the same question asked twice is the same question.

    since, until: nanoseconds, until exclusive; both None for everything in an empty store.
    fallback: nothing arrived in the usual window, so that everything is shown instead.
    """

    name: str
    label: str
    since: int | None
    until: int | None
    step_s: int
    fallback: bool = False

    def filter(self, **more: Any) -> Filter:
        """The window as a filter, with further conditions."""
        if self.name == "all":
            return Filter(**more)
        return Filter(since=self.since, until=self.until, **more)

    def has_before(self, first_hour: str | None) -> bool:
        """Whether the store reaches back over the whole window before this one, so that the two can be compared."""
        if self.name == "all" or self.since is None or self.until is None or first_hour is None:
            return False
        return parse_rfc3339(first_hour) <= 2 * self.since - self.until

    @property
    def query(self) -> dict[str, str]:
        """The same window as filter fields of the messages page."""
        return {} if self.name == "all" else {"since": self.name}

    @property
    def steps(self) -> list[int]:
        """Beginnings of its steps in seconds since the epoch."""
        if self.since is None or self.until is None:
            return []
        return list(range(self.since // NS_PER_S, -(-self.until // NS_PER_S), self.step_s))


def choose_window(asked: str, now: int, first_hour: str | None, last_hour: str | None) -> Window:
    """The window that a page shows: the asked one; else a week, or everything when the week is empty.

    first_hour, last_hour: RFC 3339 hours of the oldest and newest message, None for an empty store.
    """
    if asked in SPANS:
        return _span(asked, now)
    week = _span("7d", now)
    newest = parse_rfc3339(last_hour) if last_hour else None
    if asked != "all" and (newest is None or (week.since is not None and newest >= week.since)):
        return week
    return _all(first_hour, last_hour, fallback=asked != "all")


def window_between(since: int | None, until: int | None, now: int, first_hour: str | None) -> Window:
    """A window of any length, cut at full hours: from `since`, or the oldest message, until `until`, or now."""
    hour = HOUR_S * NS_PER_S
    end = -(-(now if until is None else until) // hour) * hour
    begin = since if since is not None else parse_rfc3339(first_hour) if first_hour else end - hour
    begin = min(begin // hour * hour, end - hour)
    label = f"{_minute(begin)} to {_minute(end)} UTC"
    return Window("between", label, begin, end, step_for((end - begin) // NS_PER_S))


def _minute(moment_ns: int) -> str:
    return rfc3339(moment_ns)[:16].replace("T", " ")


def steps_over(first_seen: str, last_seen: str, shortest_s: int = HOUR_S) -> tuple[list[int], int]:
    """Beginnings of steps, in seconds since the epoch, that reach from one moment to another, and how long each is."""
    first, last = parse_rfc3339(first_seen) // NS_PER_S, parse_rfc3339(last_seen) // NS_PER_S
    step_s = step_for(last - first + shortest_s, shortest_s)
    return list(range(first - first % step_s, last + 1, step_s)), step_s


def step_for(span_s: int, shortest_s: int = HOUR_S) -> int:
    """The shortest step that cuts a span into columns that a reader can tell apart."""
    return next((step for step in STEPS if step >= shortest_s and span_s <= step * COLUMNS), STEPS[-1])


def _span(name: str, now: int) -> Window:
    label, length_s, step_s = SPANS[name]
    until_s = -(-now // (step_s * NS_PER_S)) * step_s
    return Window(name, label, (until_s - length_s) * NS_PER_S, until_s * NS_PER_S, step_s)


def _all(first_hour: str | None, last_hour: str | None, *, fallback: bool) -> Window:
    if first_hour is None or last_hour is None:
        return Window("all", "all time", None, None, HOUR_S, fallback)
    first_s, end_s = parse_rfc3339(first_hour) // NS_PER_S, parse_rfc3339(last_hour) // NS_PER_S + HOUR_S
    step_s = step_for(end_s - first_s)
    return Window("all", "all time", first_s // step_s * step_s * NS_PER_S, end_s * NS_PER_S, step_s, fallback)
