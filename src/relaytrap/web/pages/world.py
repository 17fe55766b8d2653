"""The world map as countries and overview share it: the data for the browser beside its spec."""

from collections.abc import Iterable, Mapping
from typing import Any

from relaytrap.clock import NS_PER_S, parse_rfc3339
from relaytrap.web.pictures.shapes import country_name, on_map
from relaytrap.web.pictures.world import counts_on_map
from relaytrap.web.window import Window

__all__ = ["hours_on_map", "map_context"]


def map_context(countries: Iterable[Mapping[str, Any]], window: Window) -> dict[str, Any]:
    """What the page's script needs: counts of each country on the map, and its address."""
    return {"counts": counts_on_map(countries), "last": window.name}


def hours_on_map(rows: Iterable[Mapping[str, Any]], window: Window) -> dict[str, Any]:
    """Counts of each step of a window as a compact table for the slider.

    {"steps": [seconds, ...], "step_s": n, "countries": {code: [name, [[step number, messages, sources], ...]]}}
    """
    number_of = {start: number for number, start in enumerate(window.steps)}
    countries: dict[str, dict[int, list[int]]] = {}
    for row in rows:
        code, number = on_map(row["country"]), number_of.get(parse_rfc3339(row["start"]) // NS_PER_S)
        if not code or number is None:
            continue
        cell = countries.setdefault(code, {}).setdefault(number, [number, 0, 0])
        cell[1] += row["messages"]
        cell[2] += row["sources"]
    return {
        "steps": window.steps,
        "step_s": window.step_s,
        "countries": {code: [country_name(code), list(cells.values())] for code, cells in sorted(countries.items())},
    }
