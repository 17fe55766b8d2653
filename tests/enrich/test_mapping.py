"""Countries as the map draws them."""

import json
from pathlib import Path

import pytest

from relaytrap.enrich import map_country

SHAPES = Path(__file__).resolve().parents[2] / "src/relaytrap/web/static/world.topo.json"


@pytest.mark.parametrize(
    ("code", "drawn"),
    [("GP", "FR"), ("MQ", "FR"), ("RE", "FR"), ("GF", "FR"), ("YT", "FR"), ("SJ", "NO"), ("BQ", "NL")],
)
def test_territory_is_drawn_with_its_state(code: str, drawn: str) -> None:
    assert map_country(code) == drawn


@pytest.mark.parametrize("code", ["FR", "SG", "XK", ""])
def test_other_codes_stay(code: str) -> None:
    assert map_country(code) == code


def test_every_joined_country_has_a_shape() -> None:
    shapes = {each["id"] for each in json.loads(SHAPES.read_text())["objects"]["countries"]["geometries"]}
    assert {map_country(code) for code in ("GP", "SJ", "BQ")} <= shapes
