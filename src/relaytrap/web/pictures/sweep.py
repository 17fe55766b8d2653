"""The sweep chart: what a campaign tried against time, each request a point coloured by relay and shaped by sensor.

Seen from one sensor, or one relay, the points are noise. All together they are the diagonal that gives the campaign
away. Time in which nothing happened is cut out, or a month of daily hours would be thirty lines; cuts are drawn.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from relaytrap.clock import NS_PER_S, parse_rfc3339
from relaytrap.web.pictures.timeline import Tick, nice_top

__all__ = ["Point", "Sweep", "draw_sweep"]

HEIGHT: Final = 340
COLOURS: Final = 8
SHAPES: Final = 4
ROWS_MAX: Final = 28
# Idle time longer than this, and than a share of the whole, is cut out.
IDLE_MIN_S: Final = 1800
IDLE_SHARE: Final = 60
CUT: Final = 2.0  # percent of the width that a cut takes
CUTS_MAX: Final = 20
# Percent on the left: points do not stand on the axis, nor on the names of targets.
LEFT: Final = {"extension": 4.0, "target": 15.0}
RIGHT: Final = 1.0
ROW: Final = 17
EXTENSION: Final = re.compile(r"\d{1,7}")


@dataclass(frozen=True, slots=True)
class Point:
    """One request. x: percent, y: pixels. colour: -1 for one that came direct; guest: a member by association."""

    x: float
    y: float
    colour: int
    shape: int
    guest: bool
    message: str
    title: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """A finished chart. cuts: percents where idle time was left out. left_out: requests whose target is no row."""

    height: int
    points: tuple[Point, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    cuts: tuple[float, ...]
    sensors: tuple[str, ...]
    relays: int
    guests: int
    what: str
    left_out: int


def draw_sweep(rows: Iterable[Mapping[str, Any]]) -> Sweep:
    """A chart of rows of the question `sweep` (message, received_at, target, number, relay, sensor, association).

    Numbers of a range stand on a scale; other targets get a line each, the most tried ones.
    """
    kept = [row for row in rows if row["target"] or row["number"] is not None]
    kept.sort(key=lambda row: row["received_at"])
    times = [parse_rfc3339(row["received_at"]) / NS_PER_S for row in kept]
    relays = {name: number for number, name in enumerate(_first_seen(row["relay"] for row in kept))}
    sensors = _first_seen(row["sensor"] for row in kept)
    rises, up, what, height = _rises(kept)
    spans = _spans(times, LEFT[what])
    points = tuple(
        Point(
            x=round(_place(at, spans), 3),
            y=round(y, 1),
            colour=relays[row["relay"]] % COLOURS if row["relay"] else -1,
            shape=sensors.index(row["sensor"]) % SHAPES,
            guest=bool(row["association"]),
            message=row["message"],
            title=_title(row),
        )
        for row, at, y in zip(kept, times, rises, strict=True)
        if y is not None
    )
    cuts = tuple(round(span.x - CUT / 2, 3) for span in spans[1:])
    return Sweep(
        height, points, _across(spans), up, cuts, tuple(sensors), len(relays), sum(point.guest for point in points),
        what, len(kept) - len(points),
    )  # fmt: skip


@dataclass(slots=True)
class _Span:
    """A stretch of time without long idleness, and where it stands in the picture (percent)."""

    first: float
    last: float
    x: float = 0.0
    width: float = 0.0

    @property
    def length(self) -> float:
        """Seconds; a single moment has a little width."""
        return max(self.last - self.first, 0.01)


def _spans(times: Sequence[float], left: float) -> list[_Span]:
    if not times:
        return []
    idle = max(IDLE_MIN_S, (times[-1] - times[0]) / IDLE_SHARE)
    found = [_Span(times[0], times[0])]
    for at in times:
        if at - found[-1].last > idle:
            found.append(_Span(at, at))
        found[-1].last = at
    if len(found) > CUTS_MAX:
        found = [_Span(times[0], times[-1])]
    room = 100 - left - RIGHT - CUT * (len(found) - 1)
    whole = sum(span.length for span in found)
    x = left
    for span in found:
        span.x, span.width = x, room * span.length / whole
        x += span.width + CUT
    return found


def _place(at: float, spans: Sequence[_Span]) -> float:
    span = next((span for span in spans if at <= span.last), spans[-1])
    return span.x + span.width * (at - span.first) / span.length


def _rises(rows: Sequence[Mapping[str, Any]]) -> tuple[list[float | None], tuple[Tick, ...], str, int]:
    """Pixels from the top of each row's target, the labels, what they are, and how high the picture has to be."""
    numbers = [row["number"] for row in rows if row["number"] is not None and EXTENSION.fullmatch(str(row["number"]))]
    if numbers and len(numbers) >= len(rows) / 2 and len(set(numbers)) > 1:
        return *_on_scale(rows, min(numbers), max(numbers)), "extension", HEIGHT
    tried: dict[str, int] = {}
    for row in rows:
        tried[row["target"]] = tried.get(row["target"], 0) + 1
    names = sorted(sorted(tried, key=lambda name: -tried[name])[:ROWS_MAX])
    at_row = {name: 8 + ROW * (number + 0.5) for number, name in enumerate(names)}
    ticks = tuple(Tick(round(y, 1), name) for name, y in at_row.items())
    return [at_row.get(row["target"]) for row in rows], ticks, "target", 16 + ROW * max(len(names), 3)


def _on_scale(rows: Sequence[Mapping[str, Any]], low: int, high: int) -> tuple[list[float | None], tuple[Tick, ...]]:
    step = max(nice_top((high - low) / 4) // 2 * 2, 1)
    labels = [low, *range((low // step + 1) * step, high - step // 4, step), high]
    scale = (HEIGHT - 12) / (high - low)

    def rise(number: int | None) -> float | None:
        return None if number is None or not low <= number <= high else HEIGHT - 6 - (number - low) * scale

    ticks = tuple(Tick(round(HEIGHT - 6 - (each - low) * scale, 1), f"{each}") for each in labels)
    return [rise(row["number"]) for row in rows], ticks


def _across(spans: Sequence[_Span]) -> tuple[Tick, ...]:
    """The beginning of each stretch, and times within wide ones."""
    ticks: list[Tick] = []
    for span in spans:
        begin = datetime.fromtimestamp(span.first, UTC)
        if not ticks or span.x - ticks[-1].at > 9:
            ticks.append(Tick(round(span.x, 2), f"{begin.day} {begin:%b %H:%M}"))
        inner = 0 if span.last == span.first else 2 if span.width > 60 else 1 if span.width > 40 else 0
        for part in range(1, inner + 1):
            share = part / (inner + 1)
            label = _moment(span.first + span.length * share, span.length)
            ticks.append(Tick(round(span.x + span.width * share, 2), label))
    return tuple(ticks)


def _moment(at: float, length: float) -> str:
    """A time within a stretch so long, as exact as it takes to tell it from its neighbours."""
    moment = datetime.fromtimestamp(at, UTC)
    if length < 600:
        return f"{moment:%H:%M:%S}"
    return f"{moment:%H:%M}" if length < 72_000 else f"{moment.day} {moment:%b}"


def _title(row: Mapping[str, Any]) -> str:
    way = f"through {row['relay']}" if row["relay"] else "direct"
    guest = ", by association" if row["association"] else ""
    return f"{row['method']} {row['target']} {way} to {row['sensor']} at {row['received_at'][:19]}Z{guest}"


def _first_seen(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
