"""A report as one HTML file: style and pictures inside it; it runs nothing and loads nothing."""

from functools import cache
from typing import Final

from jinja2 import Environment
from markupsafe import Markup

from relaytrap.web.render import environment, shown
from relaytrap.web.report.blocks import Document, Mono, Picture, Strong, Words
from relaytrap.web.report.draw import inline_svg
from relaytrap.web.static_files import STATIC_DIR

__all__ = ["render_html"]

CHARS: Final = 20_000
"""Blocks hold text that was cut already."""


def render_html(document: Document) -> str:
    """The whole file."""
    css = Markup((STATIC_DIR / "app.css").read_text(encoding="utf-8"))  # ours, and holds no markup
    return _templates().get_template("reports/findings.html").render(document=document, css=css)


def written(given: Words) -> Markup:
    """Words as HTML."""
    return Markup("").join(_run(run) for run in given)


def drawn(picture: Picture) -> Markup:
    """A picture as SVG. Whatever of a message is in it was escaped by its template."""
    return Markup(inline_svg(picture))


def _run(run: str | Mono | Strong) -> Markup:
    if isinstance(run, Mono):
        return Markup('<span class="mono">{}</span>').format(shown(run.text, CHARS))
    if isinstance(run, Strong):
        return Markup("<b>{}</b>").format(shown(run.text, CHARS))
    return shown(run, CHARS)


@cache
def _templates() -> Environment:
    made = environment()
    made.filters |= {"drawn": drawn, "kind": lambda block: type(block).__name__, "written": written}
    return made
