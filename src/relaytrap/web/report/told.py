"""The overview's sentences as text: the same template, without its links."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from relaytrap.web.render import environment
from relaytrap.web.window import Window

__all__ = ["tell_what_happened"]


def tell_what_happened(facts: Mapping[str, Any], window: Window) -> list[str]:
    """Paragraphs of text, as parts/told.html has them."""
    if not facts["totals"]["messages"]:
        return [f"Nothing arrived, {window.label}."]
    told = (
        _templates()
        .get_template("parts/told.html")
        .render(
            totals=facts["totals"],
            biggest=facts["biggest"],
            behind=facts["behind"],
            leaders=facts["leaders"],
            window=window,
        )
    )
    return [text for part in told.split("</p>") if (text := Markup(part).striptags())]


@cache
def _templates() -> Environment:
    return environment()
