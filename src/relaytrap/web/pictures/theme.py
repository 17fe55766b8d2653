"""Colours that pictures share with the style sheet, light and dark.

The ramps have one hue and steadily falling (rising, in the dark) lightness: readable by the colour-blind and in grey.
Categories are told apart by lightness as well as hue, and every chart names them in words.
"""

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["DARK", "LIGHT", "THEMES", "Theme", "ThemeName", "vega_config"]

ThemeName = Literal["light", "dark"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as CSS hex. ramp: from little to much. series: categories in the order they are given out."""

    paper: str
    ink: str
    muted: str
    line: str
    land: str
    border: str
    ramp: tuple[str, ...]
    series: tuple[str, ...]


LIGHT = Theme(
    paper="#ffffff",
    ink="#15202b",
    muted="#5a6778",
    line="#e2e6ec",
    land="#e7eaef",
    border="#ffffff",
    ramp=("#fde7c8", "#fbc47f", "#f4983f", "#d9651b", "#a93c0b", "#6d1f06"),
    series=("#1769aa", "#d9651b", "#2f8f6b", "#8a4fa3", "#b08900", "#c23b5a", "#4a5f78", "#5aa6d6"),
)
DARK = Theme(
    paper="#151c24",
    ink="#e6ebf1",
    muted="#93a0b1",
    line="#28323d",
    land="#26303b",
    border="#151c24",
    ramp=("#4a2f1d", "#7d431a", "#b45f1c", "#e08632", "#f8b566", "#ffe3b3"),
    series=("#62abff", "#f29a4a", "#5cc79a", "#c194dc", "#dcb84a", "#ee7a95", "#9fb2c8", "#8fd0f2"),
)
THEMES: dict[str, Theme] = {"light": LIGHT, "dark": DARK}


def vega_config(theme: Theme) -> dict[str, Any]:
    """The `config` of a Vega-Lite spec in these colours, without background or frame."""
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": theme.muted,
            "titleColor": theme.muted,
            "gridColor": theme.line,
            "domainColor": theme.line,
            "tickColor": theme.line,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
        },
        "legend": {
            "labelColor": theme.muted,
            "titleColor": theme.muted,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
        },
        "title": {"color": theme.ink, "fontSize": 14, "anchor": "start"},
    }
