"""Countries as shapes."""

import hashlib
import json

import pytest

from relaytrap.web.pictures.shapes import JOINED, WORLD_FILE, countries, country_name, on_map, small_countries


def test_world_file_is_the_one_that_the_notice_describes() -> None:
    digest = hashlib.sha256(WORLD_FILE.read_bytes()).hexdigest()
    assert digest == "d90e35d2289cb0c2e35a7cead0d1a94d3ce26255cf255b3abb7e8046ad0e2dd1"


def test_every_shape_has_a_name_and_a_centre_on_the_globe() -> None:
    ids = {each["id"] for each in json.loads(WORLD_FILE.read_bytes())["objects"]["countries"]["geometries"]}
    assert ids <= set(countries())
    for each in countries().values():
        assert each.name
        assert -180 <= each.longitude <= 180
        assert -90 <= each.latitude <= 90


@pytest.mark.parametrize("code", ["SG", "HK", "MT", "SC", "GI", "MO", "BH", "LU"])
def test_small_places_are_circles(code: str) -> None:
    assert code in {each.code for each in small_countries()}


@pytest.mark.parametrize("code", ["US", "FR", "RU", "NL", "BE", "SV"])
def test_large_countries_are_no_circles(code: str) -> None:
    assert code not in {each.code for each in small_countries()}


@pytest.mark.parametrize(
    ("code", "area"), [("FR", 640_000), ("RU", 17_000_000), ("SG", 700), ("LU", 2_586), ("FJ", 18_270)]
)
def test_areas_are_about_right(code: str, area: float) -> None:
    assert countries()[code].area_km2 == pytest.approx(area, rel=0.5)


@pytest.mark.parametrize(
    ("code", "lon", "lat"), [("RU", 99, 62), ("FJ", 178, -18), ("US", -99, 40), ("SG", 103.8, 1.35)]
)
def test_centres_are_about_right_also_across_the_antimeridian(code: str, lon: float, lat: float) -> None:
    assert countries()[code].longitude == pytest.approx(lon, abs=3)
    assert countries()[code].latitude == pytest.approx(lat, abs=3)


def test_territories_are_joined_to_the_country_that_draws_them() -> None:
    assert all(on_map(code) == wanted for code, wanted in JOINED.items())


@pytest.mark.parametrize("code", ["", "ZZ", "EU", "<b>"])
def test_code_without_a_place_is_not_on_the_map(code: str) -> None:
    assert on_map(code) == ""


@pytest.mark.parametrize(("code", "name"), [("", "unknown"), ("ZZ", "ZZ"), ("RE", "Réunion"), ("HK", "Hong Kong")])
def test_names(code: str, name: str) -> None:
    assert country_name(code) == name
