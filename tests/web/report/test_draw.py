"""Pictures of a report: the page's colours in both themes, nothing from outside."""

import re

from relaytrap.web.pictures.sweep import draw_sweep
from relaytrap.web.report.blocks import Picture
from relaytrap.web.report.draw import as_png, inline_svg

WORLD = Picture("world", "world", [{"country": "FR", "messages": 9, "sources": 2}], "World map")


def test_world_has_its_colours_for_light_and_dark_in_one_picture():
    drawn = inline_svg(WORLD)
    assert drawn.count("<svg") == 1
    pairs = set(re.findall(r"fill:light-dark\(([^,]+(?:\([^)]*\))?[^,]*),", drawn))
    assert len(pairs) > 1
    plain = re.findall(r'(?:fill|stroke)="(?:#|rgb)[^"]*"(?! style="(?:fill|stroke):light-dark)', drawn)
    assert plain == []
    assert 'width="100%"' in drawn
    assert "<script" not in drawn
    assert not re.search(r'href="(?!#)', drawn)


def test_pictures_carry_nothing_for_a_script():
    row = {
        "message": "0123456789abcdef",
        "received_at": "2026-01-01T00:00:00.000000000Z",
        "target": "<b>100</b>",
        "number": None,
        "relay": None,
        "sensor": "sensor-1",
        "method": "INVITE",
        "association": False,
    }
    drawn = inline_svg(Picture("sweep", "sweep", draw_sweep([row]), "What was tried"))
    assert "data-" not in drawn
    assert "0123456789abcdef" not in drawn
    assert "<b>" not in drawn


def test_picture_as_a_file_is_png():
    assert as_png(WORLD).startswith(b"\x89PNG")
