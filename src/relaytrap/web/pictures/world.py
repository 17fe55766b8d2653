"""World heatmap: countries coloured by messages or unique sources, as a Vega-Lite spec.

Land without data stays grey underneath; a symlog scale keeps small counts apart from large ones (a log scale paints
everything in one colour as soon as there is a zero). Countries of a few pixels are circles at their centre as well.
The page changes the signals `counts` (code → number) and `top`; nothing from a message is ever part of an expression.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from relaytrap.web.pictures.bundle import VEGA_LITE
from relaytrap.web.pictures.shapes import WORLD_FILE, country_name, on_map, small_countries
from relaytrap.web.pictures.theme import LIGHT, Theme, vega_config

__all__ = ["Measure", "counts_on_map", "draw_world", "world_spec"]

Measure = Literal["messages", "sources"]
TITLES: dict[Measure, str] = {"messages": "Messages", "sources": "Unique sources"}
CIRCLE_AREA = 46
PICTURE_WIDTH = 1000
# Whole numbers of messages, as many as there is room for on a scale that is nearly logarithmic.
LEGEND = "top < 7 ? [0, top] : top < 100 ? [0, round(top / 7), top] : [0, round(top / 50), round(top / 7), top]"


def counts_on_map(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with `country`, `messages`, `sources` joined to the shapes that stand for them.

    Sums of unique sources stay true: an address has one country. Rows that have no place on the map are left out.
    """
    joined: dict[str, dict[str, Any]] = {}
    for row in rows:
        code = on_map(row["country"])
        if not code:
            continue
        entry = joined.setdefault(code, {"country": code, "name": country_name(code), "messages": 0, "sources": 0})
        entry["messages"] += row["messages"]
        entry["sources"] += row["sources"]
    return list(joined.values())


def world_spec(
    counts: Iterable[Mapping[str, Any]],
    *,
    measure: Measure = "messages",
    theme: Theme = LIGHT,
    world: Mapping[str, Any] | str = "/static/world.topo.json",
    width: int | Literal["container"] = "container",
    height: int = 420,
) -> dict[str, Any]:
    """The map as a Vega-Lite spec.

    counts: as `counts_on_map` gives them. world: address of the TopoJSON, or the topology itself for a picture that is
    drawn where there is nothing to fetch from.
    """
    values = {row["country"]: row[measure] for row in counts}
    top = max(values.values(), default=1)
    shapes = {"url": world} if isinstance(world, str) else {"values": world}
    data = {**shapes, "format": {"type": "topojson", "feature": "countries"}}
    small = [{"id": each.code, "longitude": each.longitude, "latitude": each.latitude} for each in small_countries()]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": f"World map: {TITLES[measure].lower()} by country of the source address",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"} if width == "container" else "pad",
        "padding": 0,
        "params": [{"name": "top", "value": top}, {"name": "counts", "value": values}],
        "projection": {"type": "naturalEarth1"},
        "layer": [
            {"data": data, "mark": _land(theme)},
            {"data": data, "transform": _joined(), "mark": _shape(theme), "encoding": _colour(measure, theme)},
            {
                "data": {"values": small, "name": "small"},
                "transform": _joined(),
                "mark": _circle(theme),
                "encoding": {
                    "longitude": {"field": "longitude", "type": "quantitative"},
                    "latitude": {"field": "latitude", "type": "quantitative"},
                    **_colour(measure, theme),
                },
            },
        ],
        "config": _config(theme),
    }


def draw_world(
    countries: Iterable[Mapping[str, Any]],
    measure: Measure = "messages",
    theme: Theme = LIGHT,
) -> str:
    """The same map as an SVG, for readers without scripts. Takes a few hundred milliseconds."""
    import vl_convert

    spec = world_spec(
        counts_on_map(countries),
        measure=measure,
        theme=theme,
        world=json.loads(WORLD_FILE.read_bytes()),
        width=PICTURE_WIDTH,
        height=PICTURE_WIDTH * 47 // 100,
    )
    return str(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))


def _config(theme: Theme) -> dict[str, Any]:
    """Where the legend goes stands here alone, for the page to move on a narrow screen."""
    config = vega_config(theme)
    return config | {"legend": config["legend"] | {"orient": "bottom-left"}}


def _joined() -> list[dict[str, Any]]:
    return [{"calculate": "counts[datum.id]", "as": "count"}, {"filter": "datum.count > 0"}]


def _land(theme: Theme) -> dict[str, Any]:
    return {"type": "geoshape", "fill": theme.land, "stroke": theme.border, "strokeWidth": 0.5, "tooltip": None}


def _shape(theme: Theme) -> dict[str, Any]:
    return {"type": "geoshape", "stroke": theme.border, "strokeWidth": 0.5, "cursor": "pointer"}


def _circle(theme: Theme) -> dict[str, Any]:
    outline = {"stroke": theme.border, "strokeWidth": 0.75}
    return {"type": "circle", "size": CIRCLE_AREA, "opacity": 1, "cursor": "pointer", **outline}


def _colour(measure: Measure, theme: Theme) -> dict[str, Any]:
    return {
        "color": {
            "field": "count",
            "type": "quantitative",
            "scale": {
                "type": "symlog",
                "domain": [0, {"expr": "top"}],
                # Linear up to a share of the most, logarithmic beyond: a constant of 1 would paint thousands and tens
                # of thousands alike.
                "constant": {"expr": "max(1, top / 150)"},
                "range": list(theme.ramp),
                "interpolate": "lab",
            },
            "legend": {
                "title": TITLES[measure],
                "direction": "horizontal",
                "gradientLength": 180,
                "gradientThickness": 8,
                "values": {"expr": LEGEND},
                "labelExpr": "format(datum.value, '.2~s')",
            },
        }
    }
