"""The world map: its numbers, its spec, and the same picture without a browser."""

import json
from pathlib import Path

from relaytrap.web.pages.world import hours_on_map
from relaytrap.web.pictures.bundle import Bundle
from relaytrap.web.pictures.theme import DARK, LIGHT
from relaytrap.web.pictures.world import counts_on_map, draw_world, world_spec
from relaytrap.web.window import Window

ROWS = [
    {"country": "FR", "messages": 5, "sources": 2},
    {"country": "RE", "messages": 3, "sources": 1},
    {"country": "SG", "messages": 900, "sources": 4},
    {"country": "", "messages": 7, "sources": 7},
    {"country": "ZZ", "messages": 7, "sources": 7},
]


def test_territories_add_to_the_country_that_draws_them() -> None:
    counts = {row["country"]: row for row in counts_on_map(ROWS)}
    assert counts["FR"] == {"country": "FR", "name": "France", "messages": 8, "sources": 3}


def test_places_that_are_nowhere_are_left_out() -> None:
    assert {row["country"] for row in counts_on_map(ROWS)} == {"FR", "SG"}


def test_scale_is_symlog_from_zero_and_land_is_grey_below() -> None:
    spec = world_spec(counts_on_map(ROWS))
    land, shapes, circles = spec["layer"]
    assert "encoding" not in land
    assert land["mark"]["fill"] == LIGHT.land
    for layer in (shapes, circles):
        assert layer["encoding"]["color"]["scale"]["type"] == "symlog"
        assert layer["encoding"]["color"]["scale"]["domain"][0] == 0


def test_spec_is_json_and_its_numbers_are_data() -> None:
    spec = world_spec(counts_on_map(ROWS), theme=DARK)
    assert json.loads(json.dumps(spec)) == spec
    counts = {param["name"]: param["value"] for param in spec["params"]}
    assert counts == {"top": 900, "counts": {"FR": 8, "SG": 900}}


def test_spec_without_messages_has_a_scale() -> None:
    assert world_spec([])["params"][0] == {"name": "top", "value": 1}


def test_hours_are_numbered_by_their_step() -> None:
    window = Window("24h", "", 0, 7200 * 10**9, 3600)
    rows = [
        {"start": "1970-01-01T01:00:00Z", "country": "FR", "messages": 2, "sources": 1},
        {"start": "1970-01-01T01:00:00Z", "country": "GF", "messages": 3, "sources": 1},
        {"start": "1999-01-01T01:00:00Z", "country": "FR", "messages": 9, "sources": 9},
    ]
    assert hours_on_map(rows, window)["countries"] == {"FR": ["France", [[1, 5, 2]]]}


def test_map_is_drawn_without_a_browser_small_countries_as_circles() -> None:
    picture = draw_world(ROWS)
    assert picture.startswith("<svg")
    assert "<script" not in picture
    assert picture.count('aria-roledescription="circle"') == 1


def test_bundle_is_made_once_and_read_from_disk_afterwards(tmp_path: Path) -> None:
    script = Bundle(tmp_path).asset()
    (kept,) = tmp_path.iterdir()
    assert kept.name == script.name == Bundle(tmp_path).name
    kept.write_bytes(b"kept")
    assert Bundle(tmp_path).asset().content == b"kept"


def test_bundle_hides_its_names_and_carries_the_interpreter(tmp_path: Path) -> None:
    script = Bundle(tmp_path).asset().content
    assert script.startswith(b"(()=>{")
    assert b"window.vegaEmbed" in script
    assert b"cdn.jsdelivr" not in script or b"import(" not in script


def test_bundle_is_made_where_nothing_can_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert b"vegaEmbed" in Bundle(blocked).asset().content
