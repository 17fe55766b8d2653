"""Pictures of a report: inline for a page that has the style sheet, by themselves for files."""

import re
from typing import Final

from markupsafe import escape

from relaytrap.web.pictures.standalone import draw_inline, draw_standalone, to_png
from relaytrap.web.pictures.theme import DARK
from relaytrap.web.pictures.world import draw_world
from relaytrap.web.report.blocks import Picture

__all__ = ["as_png", "inline_svg"]

FILE_WIDTH: Final = 760
PNG_SCALE: Final = 2.0
COLOUR: Final = re.compile(r'\b(fill|stroke|stop-color)="((?:#|rgb)[^"]*)"')
NUMBER: Final = re.compile(r"-?\d+\.\d{2,}")


def inline_svg(picture: Picture) -> str:
    """The picture as part of a page, in the page's colours, light and dark; nothing in it is a link."""
    if picture.kind == "world":
        return _world(picture)
    return draw_inline(picture.kind, picture.made)


def as_png(picture: Picture) -> bytes:
    """The picture as a light PNG."""
    if picture.kind == "world":
        return to_png(draw_world(picture.made), PNG_SCALE)
    return to_png(draw_standalone(picture.kind, picture.made, width=FILE_WIDTH), PNG_SCALE)


def _world(picture: Picture) -> str:
    """One map with two sets of colours: the same shapes drawn twice, of the second only the colours."""
    light = NUMBER.sub(lambda number: f"{float(number[0]):.1f}", draw_world(picture.made))
    dark = COLOUR.findall(draw_world(picture.made, theme=DARK))
    colours = iter(dark)

    def both(match: "re.Match[str]") -> str:
        _, other = next(colours)
        return f'{match[1]}="{match[2]}" style="{match[1]}:light-dark({match[2]},{other})"'

    if len(COLOUR.findall(light)) == len(dark):
        light = COLOUR.sub(both, light)
    size = re.search(r'width="(\d+)" height="(\d+)"', light)
    return light.replace(size[0], f'width="100%" role="img" aria-label="{escape(picture.alt)}"', 1) if size else light
