"""A page's picture as a file of its own: the same SVG with the style sheet's rules for pictures inside it.

Colours come from static/app.css, where pages have them from: variables are replaced by the theme's values, because
outside a page there is nothing that would know them.
"""

import re
from functools import cache
from typing import Any, Final

from jinja2 import Environment

from relaytrap.web.pictures.theme import THEMES, ThemeName
from relaytrap.web.render import environment
from relaytrap.web.static_files import STATIC_DIR

__all__ = ["KINDS", "draw_inline", "draw_standalone", "to_png"]

# Kind of picture → template and macro.
KINDS: Final = {
    "timeline": ("pictures/timeline.svg", "timeline"),
    "ladder": ("pictures/ladder.svg", "ladder"),
    "sweep": ("pictures/sweep.svg", "sweep"),
    "fan": ("pictures/fan.svg", "fan"),
}
SELECTORS: Final = (".pic", ".ladder", ".sweep", ".fan")
RULE: Final = re.compile(r"([^{}]+)\{([^{}]*)\}")
VARIABLE: Final = re.compile(r"--([\w-]+):\s*([^;]+);")
WIDTH: Final = 1100


def draw_standalone(kind: str, picture: Any, *, theme: ThemeName = "light", width: int = WIDTH) -> str:
    """A picture that one of the picture modules made, as an SVG that needs nothing else. Links are left out."""
    svg = draw_inline(kind, picture)
    style = f"<style>{_style(theme)}</style><rect width='100%' height='100%' fill='{THEMES[theme].paper}'/>"
    return re.sub(r'^(<svg[^>]*?) width="100%"([^>]*>)', rf'\1 width="{width}"\2{style}', svg, count=1)


def draw_inline(kind: str, picture: Any) -> str:
    """The same as a part of a page that has the style sheet and no script: without links and what a script reads."""
    template, macro = KINDS[kind]
    made = getattr(_templates().get_template(template).module, macro)(picture)
    return re.sub(r'</?a\b[^>]*>| data-\w+="[^"]*"', "", str(made).strip())


def to_png(svg: str, scale: float = 2.0) -> bytes:
    """A picture as PNG."""
    import vl_convert

    return bytes(vl_convert.svg_to_png(svg, scale=scale))


@cache
def _templates() -> Environment:
    return environment()


@cache
def _style(theme: ThemeName) -> str:
    """The style sheet's rules for pictures, with the theme's values in the place of variables."""
    # What stands under "narrow" is for small screens only.
    sheet = (STATIC_DIR / "app.css").read_text(encoding="utf-8").partition("/* -- narrow")[0]
    sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    values = dict(VARIABLE.findall(sheet[: sheet.index("}")]))
    if theme == "dark":
        values |= dict(VARIABLE.findall(sheet[sheet.index('[data-theme="dark"]') :].split("}")[0]))
    rules = []
    for selectors, body in RULE.findall(sheet):
        kept = [each.strip() for each in selectors.split(",") if each.strip().startswith(SELECTORS) and ":" not in each]
        if kept:
            rules.append(f"{','.join(kept)}{{{body.strip()}}}")
    return re.sub(r"var\(--([\w-]+)\)", lambda match: values[match[1]].strip(), "".join(rules))
