"""Pictures as files of their own."""

import re
from xml.etree import ElementTree

import pytest

from relaytrap.web.pictures.fan import draw_fan
from relaytrap.web.pictures.ladder import draw_ladder
from relaytrap.web.pictures.standalone import KINDS, draw_standalone, to_png
from relaytrap.web.pictures.sweep import draw_sweep
from relaytrap.web.pictures.theme import THEMES, ThemeName
from relaytrap.web.pictures.timeline import stack_timeline
from tests.web.pictures.test_fan import edge
from tests.web.pictures.test_ladder import answer, message
from tests.web.pictures.test_sweep import row
from tests.web.pictures.test_timeline import HOURS
from tests.web.pictures.test_timeline import row as counted

PICTURES = {
    "timeline": stack_timeline([counted(0, "INVITE", 5), counted(3, "<b>", 2)], HOURS, 3600),
    "ladder": draw_ladder([message(0), answer(1)], ""),
    "sweep": draw_sweep([row(each * 10, 100 + each) for each in range(30)]),
    "fan": draw_fan([edge("203.0.113.1"), edge("203.0.113.2", sensor="<b>")]),
}


def test_every_kind_of_picture_can_stand_alone() -> None:
    assert set(PICTURES) == set(KINDS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_picture_is_whole_and_brings_its_colours(kind: str, theme: ThemeName) -> None:
    svg = draw_standalone(kind, PICTURES[kind], theme=theme, width=700)
    root = ElementTree.fromstring(svg)
    assert root.attrib["width"] == "700"
    assert "var(--" not in svg
    assert THEMES[theme].paper in svg
    assert "<a " not in svg
    assert not re.search(r"(href|src)=['\"](?!#)", svg)


def test_what_a_narrow_screen_leaves_out_is_there() -> None:
    assert "display: none" not in draw_standalone("timeline", PICTURES["timeline"])


@pytest.mark.parametrize("kind", KINDS)
def test_picture_becomes_a_png(kind: str) -> None:
    assert to_png(draw_standalone(kind, PICTURES[kind]), scale=1).startswith(b"\x89PNG")


def test_themes_of_pictures_and_pages_have_the_same_colours() -> None:
    from relaytrap.web.static_files import STATIC_DIR

    sheet = (STATIC_DIR / "app.css").read_text(encoding="utf-8")
    for theme in THEMES.values():
        for number, colour in enumerate(theme.series):
            assert f"--s{number}: {colour}" in sheet
