"""Counts over time as stacked columns, for one Jinja SVG on page and report.

Columns are drawn in a box of their own, one unit wide for each step, that is stretched to whatever width there is;
labels and what can be clicked are placed in percent beside it, so that text keeps its size.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["Column", "Tick", "Timeline", "nice_top", "stack_timeline"]

OTHERS: Final = "others"
SERIES: Final = 6
# A bar's width and the room on its left, in steps.
BAR, GAP = 0.86, 0.07
TICK_STEPS: Final = (60, 300, 600, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400)
MONTH_S: Final = 28 * 86_400


@dataclass(frozen=True, slots=True)
class Column:
    """One step of time. x, width: percent of the plot's width. since, until: RFC 3339. title: for people."""

    x: float
    width: float
    since: str
    until: str
    total: int
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis: percent across or pixels down."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A finished picture; `series` names the colours in order, with their sums. height: pixels of the plot.

    steps: how many columns there are. bars: for each colour the outline of all its bars, as an SVG path in steps across
    and pixels down.
    """

    height: int
    steps: int
    columns: tuple[Column, ...]
    bars: tuple[str, ...]
    series: tuple[tuple[str, int], ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def stack_timeline(
    rows: Iterable[Mapping[str, Any]],
    steps: Sequence[int],
    step_s: int,
    *,
    height: int = 120,
    bare: bool = False,
) -> Timeline:
    """Rows with `start` (as RFC 3339 to the second), `value` and `messages`, stacked by value over steps.

    steps: beginnings in seconds since the epoch, `step_s` apart; rows outside them are left out. The values that occur
    most get a colour each, the rest share one. bare: bars only, nothing to label or click.
    """
    cells: dict[str, dict[str, int]] = {_rfc(start): {} for start in steps}
    sums: dict[str, int] = {}
    for row in rows:
        cell = cells.get(row["start"])
        if cell is not None:
            cell[row["value"]] = cell.get(row["value"], 0) + row["messages"]
            sums[row["value"]] = sums.get(row["value"], 0) + row["messages"]
    names = _names(sums)
    stacked = [_by_name(values, names) for values in cells.values()]
    top = nice_top(max((sum(values.values()) for values in stacked), default=0))
    bars = _bars(stacked, len(names), height / top, height)
    if bare:
        return Timeline(height, len(steps), (), bars, (), (), ())
    shown = dict.fromkeys(names, 0)
    for value, total in sums.items():
        shown[value if value in shown else OTHERS] += total
    columns = _columns(stacked, steps, step_s)
    up = _up(top, height, step_s)
    return Timeline(height, len(steps), columns, bars, tuple(shown.items()), _across(steps, step_s), up)


def nice_top(value: float) -> int:
    """The smallest of 1, 2, 4, 5 × 10ⁿ that is not below value: an axis that ends on a number one can halve."""
    if value <= 4:
        return 4 if value > 2 else 2
    power = 10 ** math.floor(math.log10(value))
    return next(int(step * power) for step in (1, 2, 4, 6, 8, 10) if step * power >= value)


def time_label(seconds: int, step_s: int) -> str:
    """A step's beginning for people: `14:05`, `21 Nov 14:00`, `21 Nov 2026`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    if step_s >= 86_400:
        return f"{moment.day} {moment:%b %Y}"
    return f"{moment.day} {moment:%b %H:%M}"


def _names(sums: Mapping[str, int]) -> list[str]:
    ranked = sorted(sums, key=lambda value: (-sums[value], value))
    return ranked if len(ranked) <= SERIES else [*ranked[: SERIES - 1], OTHERS]


def _by_name(values: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    kept = {name: values.get(name, 0) for name in names}
    rest = sum(total for value, total in values.items() if value not in kept)
    if rest:
        kept[OTHERS] = kept.get(OTHERS, 0) + rest
    return kept


def _columns(stacked: Sequence[Mapping[str, int]], steps: Sequence[int], step_s: int) -> tuple[Column, ...]:
    width = 100 / max(len(steps), 1)
    return tuple(
        _column(start, step_s, number * width, width, values)
        for number, (start, values) in enumerate(zip(steps, stacked, strict=True))
    )


def _column(start: int, step_s: int, x: float, width: float, values: Mapping[str, int]) -> Column:
    total = sum(values.values())
    parts = ", ".join(f"{name or 'none'} {count:,}" for name, count in values.items() if count)
    title = f"{time_label(start, step_s)} UTC: {total:,}" + (f" ({parts})" if total else "")
    return Column(round(x, 3), round(width, 3), _rfc(start), _rfc(start + step_s), total, title)


def _bars(stacked: Sequence[Mapping[str, int]], series: int, scale: float, height: int) -> tuple[str, ...]:
    """One path a colour; a bar of anything is at least a pixel high, so that nothing vanishes beside much."""
    paths: list[list[str]] = [[] for _ in range(series)]
    for number, values in enumerate(stacked):
        base = float(height)
        for path, total in zip(paths, values.values(), strict=False):
            if total:
                size = max(total * scale, 1.0)
                path.append(f"M{number + GAP} {base:.1f}v-{size:.1f}h{BAR}v{size:.1f}z")
                base -= size
    return tuple("".join(path) for path in paths)


def _across(steps: Sequence[int], step_s: int) -> tuple[Tick, ...]:
    if not steps:
        return ()
    span = steps[-1] + step_s - steps[0]
    if span > 60 * 86_400:
        return _months(steps, span)
    every = next((each for each in TICK_STEPS if span / each <= 8), MONTH_S)
    first = -(-steps[0] // every) * every
    return tuple(
        Tick(round(100 * (at - steps[0]) / span, 3), _tick_label(at, every))
        for at in range(first, steps[-1] + step_s, every)
    )


def _months(steps: Sequence[int], span: int) -> tuple[Tick, ...]:
    """First days of months, or of years when there are many."""
    begin, ticks = datetime.fromtimestamp(steps[0], UTC), []
    months = span // (30 * 86_400)
    stride = next((each for each in (1, 2, 3, 6, 12, 24, 60, 120) if months / each <= 8), 240)
    number = begin.year * 12 + begin.month - 1
    for each in range(-(-number // stride) * stride, number + months + stride + 1, stride):
        moment = datetime(each // 12, each % 12 + 1, 1, tzinfo=UTC)
        at = 100 * (moment.timestamp() - steps[0]) / span
        if 0 <= at < 100:
            ticks.append(Tick(round(at, 3), f"{moment:%Y}" if stride >= 12 else f"{moment:%b %Y}"))
    return tuple(ticks)


def _tick_label(seconds: int, every: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%b}" if every >= 86_400 or seconds % 86_400 == 0 else f"{moment:%H:%M}"


def _up(top: int, height: int, step_s: int) -> tuple[Tick, ...]:
    """Half and whole of the axis; the topmost label, which has room, says what a column is of."""
    whole = f"{_short(top)} {_each(step_s)}"
    return (Tick(round(height / 2, 2), _short(top / 2)), Tick(0.0, whole))


def _each(step_s: int) -> str:
    """`an hour`, `in 6 hours`, `a day`: how long a step is."""
    for size, one, many in ((86_400, "a day", "days"), (3600, "an hour", "hours"), (60, "a minute", "minutes")):
        if step_s >= size:
            return one if step_s == size else f"in {step_s // size} {many}"
    return f"in {step_s} s"


def _short(value: float) -> str:
    for unit in ("", "k", "M", "G"):
        if value < 1000 or unit == "G":
            return f"{value:g}{unit}"
        value /= 1000
    return ""


def _rfc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
