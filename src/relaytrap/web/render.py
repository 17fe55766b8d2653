"""From rows to HTML: the Jinja environment, and the filters through which every value reaches a page.

Autoescape is on and an unknown name is an error. Text from messages goes through `shown`, which escapes markup, makes
controls and direction marks visible, isolates what is left, and cuts what is too long.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from relaytrap.clock import NS_PER_S, parse_rfc3339
from relaytrap.sip.text import ACTING, visible
from relaytrap.web.pictures.shapes import country_name
from relaytrap.wording import counted

__all__ = ["VERDICTS", "ago", "amount", "change", "compact", "environment", "script_json", "shown", "url", "when"]

TEMPLATES_DIR = Path(__file__).resolve().parent / "templates"
SHOWN_CHARS: Final = 160
# What the path of a message is called, in words for somebody who sees it for the first time.
VERDICTS: Final = {
    "direct": "It came straight from its source, as far as its bytes tell",
    "relayed": "Its source handed it on and wrote down for whom",
    "hidden": "Its source handed it on and hides for whom",
    "forged": "It came straight from its source, which made up hops behind itself",
    "unknown": "Its bytes do not tell whether its source handed it on",
}


def environment() -> Environment:
    """The environment of all templates."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters |= {
        "ago": ago,
        "amount": amount,
        "bytesize": bytesize,
        "change": change,
        "compact": compact,
        "counted": counted,
        "country": country_name,
        "percent": percent,
        "plain": plain,
        "script_json": script_json,
        "shown": shown,
        "when": when,
    }
    made.globals |= {"url": url, "without": without, "verdicts": VERDICTS}
    return made


def shown(value: Any, limit: int = SHOWN_CHARS) -> Markup:
    """Text of a message as HTML that shows everything and does nothing; longer than limit is cut and says so."""
    text = "" if value is None else str(value)
    kept = str(escape(text[:limit]))
    marked = ACTING.sub(lambda match: f'<span class="esc">{visible(match[0])}</span>', kept)
    cut = f'<span class="cut"> … {len(text):,} characters</span>' if len(text) > limit else ""
    return Markup(f"<bdi>{marked}</bdi>{cut}")


def plain(value: Any, limit: int = SHOWN_CHARS) -> str:
    """The same for places that take text only (attributes, SVG text); the caller's autoescape still applies."""
    text = visible("" if value is None else str(value)[: limit + 1])
    return text if len(text) <= limit else f"{text[:limit]}…"


def script_json(value: Any) -> Markup:
    """JSON for a data block in a page: no byte of it can end the block or start markup."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def amount(value: int | float | None) -> str:
    """12,345; a dash for nothing known."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def compact(value: int | float | None) -> str:
    """Four characters at most: 999, 12.3k, 4.5M."""
    if value is None:
        return "–"
    for unit in ("", "k", "M", "G"):
        if abs(value) < 999.5 or unit == "G":
            digits = 0 if unit == "" or abs(value) >= 99.95 else 1
            return f"{value:.{digits}f}{unit}"
        value = value / 1000
    return ""


def bytesize(value: int) -> str:
    """614 B, 12.3 kB."""
    return f"{value} B" if value < 1000 else f"{compact(value).rstrip('kMG')} {compact(value)[-1]}B"


def percent(part: float, whole: float = 1.0) -> str:
    """Share as 0.4 %, 12 %; a dash of nothing."""
    if not whole:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1 %"
    return f"{share:.0f} %" if share >= 10 or share == 0 else f"{share:.1f} %"


def change(now: float, before: float | None) -> Markup:
    """How much more or less than before, with a direction that does not rest on colour."""
    if before is None:
        return Markup("")
    if not before:
        return Markup("<small>none before</small>") if now else Markup("<small>as before</small>")
    ratio = now / before - 1
    if abs(ratio) < 0.005:
        return Markup("<small>as before</small>")
    kind = "up" if ratio > 0 else "down"
    size = f"{abs(ratio) * 100:,.0f} %" if abs(ratio) < 10 else f"{now / before:,.0f} times"
    word = "more than before" if ratio > 0 else "less than before"
    return Markup('<small><span class="{}">{}</span> {}</small>').format(kind, size, word)


def when(moment: str | None, digits: int = 0) -> Markup:
    """A <time> with the moment as stored (RFC 3339, UTC) and as short as a table wants it."""
    if not moment:
        return Markup('<span class="muted">–</span>')
    day, _, clock = moment.rstrip("Z").partition("T")
    whole, _, fraction = clock.partition(".")
    short = f"{day} {whole}" + (f".{fraction[:digits]}" if digits and fraction else "")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment, moment, short)


def ago(moment: str | None, now_ns: int) -> str:
    """`12 s ago`, `3 h ago`, `5 days ago`, `6 years ago`; never in the future."""
    if not moment:
        return "never"
    seconds = max(0, (now_ns - parse_rfc3339(moment)) // NS_PER_S)
    for unit, size in (("year", 31_557_600), ("day", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size * (2 if unit == "year" else 1):
            count = seconds // size
            return f"{count:,} {unit}{'s' if size >= 86_400 and count != 1 else ''} ago"
    return f"{seconds} s ago"


def url(path: str, *parts: Any, **query: Any) -> str:
    """A path of ours: further parts are quoted whole, empty query values left out."""
    joined = "/".join([path.rstrip("/") or "", *(quote(str(part), safe="") for part in parts)]) or "/"
    kept = {name: value for name, value in query.items() if value is not None and value != ""}
    return f"{joined}?{urlencode(kept)}" if kept else joined


def without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same mapping without one key."""
    return {key: value for key, value in values.items() if key != name}
