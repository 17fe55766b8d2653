"""Countries as shapes: names, areas and centres read from the bundled TopoJSON (Natural Earth 1:50m, public domain).

The map colours shapes by ISO 3166-1 alpha-2 code. Some codes have no shape of their own: departments and territories
that Natural Earth draws as part of another country are joined to it, a few rocks get a place by hand.
"""

import json
from dataclasses import dataclass
from functools import cache
from math import cos, radians
from pathlib import Path
from typing import Any

__all__ = ["JOINED", "WORLD_FILE", "Country", "countries", "country_name", "on_map", "small_countries"]

WORLD_FILE = Path(__file__).resolve().parent.parent / "static" / "world.topo.json"

# Natural Earth draws these inside the country on the right.
JOINED = {"GP": "FR", "MQ": "FR", "RE": "FR", "GF": "FR", "YT": "FR", "SJ": "NO", "BQ": "NL"}

# No shape at 1:50m: name, longitude, latitude.
WITHOUT_SHAPE = {
    "BV": ("Bouvet Island", 3.4, -54.4),
    "CC": ("Cocos (Keeling) Islands", 96.8, -12.2),
    "CX": ("Christmas Island", 105.7, -10.5),
    "GI": ("Gibraltar", -5.35, 36.14),
    "TK": ("Tokelau", -171.8, -9.2),
    "TV": ("Tuvalu", 179.2, -8.5),
    "UM": ("U.S. Minor Outlying Islands", 166.6, 19.3),
}
JOINED_NAMES = {
    "GP": "Guadeloupe",
    "MQ": "Martinique",
    "RE": "Réunion",
    "GF": "French Guiana",
    "YT": "Mayotte",
    "SJ": "Svalbard and Jan Mayen",
    "BQ": "Caribbean Netherlands",
    "AQ": "Antarctica",
}

# The map writes some names short; a table has room for the whole one.
FULL_NAMES = {
    "AG": "Antigua and Barbuda",
    "AU": "Australia",
    "BA": "Bosnia and Herzegovina",
    "CD": "DR Congo",
    "CF": "Central African Republic",
    "CG": "Congo",
    "CK": "Cook Islands",
    "CY": "Cyprus",
    "CZ": "Czechia",
    "DO": "Dominican Republic",
    "EH": "Western Sahara",
    "FK": "Falkland Islands",
    "FO": "Faroe Islands",
    "GQ": "Equatorial Guinea",
    "GS": "South Georgia",
    "HK": "Hong Kong",
    "HM": "Heard and McDonald Islands",
    "IO": "British Indian Ocean Territory",
    "KN": "Saint Kitts and Nevis",
    "KP": "North Korea",
    "KR": "South Korea",
    "KY": "Cayman Islands",
    "MH": "Marshall Islands",
    "MK": "North Macedonia",
    "MO": "Macao",
    "MP": "Northern Mariana Islands",
    "PF": "French Polynesia",
    "PM": "Saint Pierre and Miquelon",
    "PN": "Pitcairn",
    "SB": "Solomon Islands",
    "SO": "Somalia",
    "SS": "South Sudan",
    "SZ": "Eswatini",
    "TC": "Turks and Caicos Islands",
    "TF": "French Southern Territories",
    "TR": "Türkiye",
    "US": "United States",
    "VC": "Saint Vincent and the Grenadines",
    "VG": "British Virgin Islands",
    "VI": "U.S. Virgin Islands",
    "WF": "Wallis and Futuna",
}

KM_PER_DEGREE = 111.32
# Below this a shape is a few pixels on a map 900 pixels wide: Lebanon and Qatar are about the last that one can hit.
SMALL_KM2 = 14_000

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Country:
    """One ISO code on the map: centre of its largest part in degrees, area of all parts in km² (0: no shape)."""

    code: str
    name: str
    longitude: float
    latitude: float
    area_km2: float


@cache
def countries() -> dict[str, Country]:
    """Every place on the map by its code."""
    topology = json.loads(WORLD_FILE.read_bytes())
    arcs = _arcs(topology)
    parts: dict[str, list[tuple[float, Point]]] = {}
    names: dict[str, str] = {}
    for geometry in topology["objects"]["countries"]["geometries"]:
        names.setdefault(geometry["id"], geometry["properties"]["name"])
        polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
        parts.setdefault(geometry["id"], []).extend(_measure(_ring(polygon[0], arcs)) for polygon in polygons)
    found = {code: _country(code, FULL_NAMES.get(code, names[code]), measured) for code, measured in parts.items()}
    found |= {code: Country(code, name, lon, lat, 0.0) for code, (name, lon, lat) in WITHOUT_SHAPE.items()}
    return found


def country_name(code: str) -> str:
    """English name of an ISO 3166-1 alpha-2 code; the code itself when it is none, "unknown" when it is empty."""
    if not code:
        return "unknown"
    known = countries().get(code)
    return known.name if known else JOINED_NAMES.get(code, code)


def on_map(code: str) -> str:
    """The code whose shape or circle stands for a country; "" when there is nothing to colour."""
    code = JOINED.get(code, code)
    return code if code in countries() else ""


@cache
def small_countries() -> tuple[Country, ...]:
    """Places too small to see as a shape, drawn as circles at their centre."""
    return tuple(each for each in countries().values() if each.area_km2 < SMALL_KM2)


def _arcs(topology: dict[str, Any]) -> list[list[Point]]:
    (scale_x, scale_y), (move_x, move_y) = topology["transform"]["scale"], topology["transform"]["translate"]
    decoded = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for delta_x, delta_y in arc:
            x, y = x + delta_x, y + delta_y
            points.append((x * scale_x + move_x, y * scale_y + move_y))
        decoded.append(points)
    return decoded


def _ring(indexes: list[int], arcs: list[list[Point]]) -> list[Point]:
    """One closed line; a negative index is an arc walked backwards (TopoJSON 2.1.4).

    Longitudes run on past 180° where the line crosses the antimeridian (Russia, Fiji), so that area and centre hold.
    """
    points: list[Point] = []
    for index in indexes:
        for x, y in arcs[index] if index >= 0 else arcs[~index][::-1]:
            if points:
                x -= 360 * round((x - points[-1][0]) / 360)
            points.append((x, y))
    return points


def _measure(ring: list[Point]) -> tuple[float, Point]:
    """Area in km² and centre of a ring, on a plane squeezed by the cosine of its middle latitude."""
    middle = sum(y for _, y in ring) / len(ring)
    squeeze = cos(radians(middle))
    doubled = centre_x = centre_y = 0.0
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        cross = x1 * y2 - x2 * y1
        doubled += cross
        centre_x += (x1 + x2) * cross
        centre_y += (y1 + y2) * cross
    if abs(doubled) < 1e-9:
        return 0.0, ring[0]
    area = abs(doubled) / 2 * squeeze * KM_PER_DEGREE**2
    return area, (centre_x / (3 * doubled), centre_y / (3 * doubled))


def _country(code: str, name: str, parts: list[tuple[float, Point]]) -> Country:
    _, (longitude, latitude) = max(parts)
    longitude -= 360 * round(longitude / 360)
    return Country(code, name, round(longitude, 2), round(latitude, 2), round(sum(area for area, _ in parts)))
