"""The fan: from an origin through relays to sensors, as wide as the requests that went that way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

__all__ = ["Edge", "Fan", "Node", "draw_fan"]

RELAYS_SHOWN: Final = 40
ROW: Final = 13
HEIGHT_MIN: Final = 150
LEFT, MIDDLE, RIGHT = 4.0, 48.0, 84.0
WIDEST: Final = 9.0


@dataclass(frozen=True, slots=True)
class Node:
    """One party. x: percent, y: pixels. role: origin, relay, more (several relays) or sensor."""

    x: float
    y: float
    name: str
    role: str
    requests: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A line between nodes. x: percents, y: pixels; width in pixels; guest: only by association."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    guest: bool
    title: str


@dataclass(frozen=True, slots=True)
class Fan:
    """A finished picture."""

    height: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    relays: int


def draw_fan(rows: Sequence[Mapping[str, Any]]) -> Fan:
    """A picture of rows of the question `fan` (origin, relay or null, sensor, requests, association).

    The busiest relays stand by themselves, the others together. Direct requests go from the origin to the sensor.
    """
    by_relay = _sums((row["relay"], row["requests"]) for row in rows if row["relay"])
    by_sensor = _sums((row["sensor"], row["requests"]) for row in rows)
    shown = list(by_relay)[:RELAYS_SHOWN]
    more = len(by_relay) - len(shown)
    lines = len(shown) + (1 if more else 0)
    height = max(HEIGHT_MIN, ROW * lines + 24, 34 * len(by_sensor) + 24)
    origin = Node(
        LEFT, height / 2, next((row["origin"] for row in rows if row["origin"]), ""), "origin", sum(by_sensor.values())
    )
    relays = {name: Node(MIDDLE, y, name, "relay", by_relay[name]) for name, y in _spread(shown, height, lines)}
    if more:
        rest = sum(total for name, total in by_relay.items() if name not in relays)
        relays[""] = Node(MIDDLE, height - 14, f"{more} more relays", "more", rest)
    sensors = {name: Node(RIGHT, y, name, "sensor", by_sensor[name]) for name, y in _spread(list(by_sensor), height)}
    edges = _edges(rows, origin, relays, sensors)
    return Fan(height, (origin, *relays.values(), *sensors.values()), edges, len(by_relay))


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Totals by name, the largest first."""
    found: dict[str, int] = {}
    for name, count in pairs:
        found[name] = found.get(name, 0) + count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _spread(names: Sequence[str], height: int, lines: int = 0) -> Iterable[tuple[str, float]]:
    gap = (height - 24) / max(lines or len(names), 1)
    return [(name, round(12 + gap * (number + 0.5), 1)) for number, name in enumerate(names)]


def _edges(
    rows: Sequence[Mapping[str, Any]], origin: Node, relays: Mapping[str, Node], sensors: Mapping[str, Node]
) -> tuple[Edge, ...]:
    """Lines from node to node, each with its requests and how many of them are there by association."""
    found: dict[tuple[Node, Node], tuple[int, int]] = {}
    for row in rows:
        sensor = sensors[row["sensor"]]
        relay = relays.get(row["relay"], relays.get("")) if row["relay"] else None
        for way in ((origin, relay), (relay, sensor)) if relay else ((origin, sensor),):
            requests, guests = found.get(way, (0, 0))
            found[way] = requests + row["requests"], guests + (row["requests"] if row["association"] else 0)
    most = max((requests for requests, _ in found.values()), default=1)
    return tuple(_edge(start, end, requests, guests, most) for (start, end), (requests, guests) in found.items())


def _edge(start: Node, end: Node, requests: int, guests: int, most: int) -> Edge:
    title = f"{start.name or 'unknown origin'} → {end.name}: {requests:,} requests"
    if guests:
        title += f", {guests:,} of them by association"
    width = round(max(WIDEST * sqrt(requests / most), 0.6), 2)
    return Edge(start.x, start.y, end.x, end.y, width, guests == requests, title)
