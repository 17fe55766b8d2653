"""A test's result as one file for somebody else's desk: HTML that needs nothing but itself."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from relaytrap import __version__
from relaytrap.probe.request import METHODS
from relaytrap.probe.tricks import TRICKS
from relaytrap.web.pictures.witnessed import draw_witnessed
from relaytrap.web.render import environment
from relaytrap.web.static_files import STATIC_DIR

__all__ = ["render_html", "shown_result", "signal_of"]

# Results of a probe that let a server pass; whatever else is not relaying leaves a doubt.
GOOD: Final = ("refused", "challenged", "answered itself", "redirected", "echoed")


def shown_result(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates of a result need: the report as JSON has it, and a picture for each proof."""
    return {
        "report": report,
        "methods": [method for method in METHODS if any(method in row for row in report["table"])],
        "tricks": TRICKS,
        "signal_of": signal_of,
        "pictures": [draw_witnessed(proof, report["tested_from"]) for proof in report["proof"]],
    }


def render_html(report: Mapping[str, Any]) -> str:
    """One HTML file with style and pictures inside; it runs and loads nothing."""
    # The style sheet is ours and holds no markup.
    css = Markup((STATIC_DIR / "app.css").read_text(encoding="utf-8"))
    template = _templates().get_template("reports/probe.html")
    return template.render(shown_result(report), css=css, version=__version__)


def signal_of(cell: str) -> str:
    """bad, good or warn for a cell of the table."""
    return "bad" if cell.startswith("relayed") else "good" if cell.startswith(GOOD) else "warn"


@cache
def _templates() -> Environment:
    return environment()
