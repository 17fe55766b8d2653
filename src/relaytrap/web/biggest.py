"""The biggest campaign of a stretch of time: what overview and report tell of first."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from relaytrap.clock import parse_rfc3339
from relaytrap.web.window import Window

__all__ = ["LATEST", "biggest_campaign", "was_seen"]

LATEST: Final = 500
"""Campaigns that one question gives, to look for the biggest among them."""

Rows = list[dict[str, Any]]


def biggest_campaign(ask: Callable[..., Rows], window: Window, *, relayed: bool) -> dict[str, Any] | None:
    """The campaign with the most requests of those that were still seen in a window.

    Where more were seen than one question gives, as in a flood from made-up sources, the biggest ones ever are looked
    through; None when none of these was seen.
    """
    seen: Rows = []
    for sort in ("last_seen", "messages"):
        rows = ask("campaigns", limit=LATEST, sort=sort, relayed=relayed)
        seen = [row for row in rows if parse_rfc3339(row["last_seen"]) >= (window.since or 0)]
        if len(seen) < LATEST:
            break
    return max((row for row in seen if was_seen(row, window)), key=lambda row: int(row["messages"]), default=None)


def was_seen(row: Mapping[str, Any], window: Window) -> bool:
    """Whether a relay, origin or campaign was at work in a window."""
    first, last = parse_rfc3339(row["first_seen"]), parse_rfc3339(row["last_seen"])
    return last >= (window.since or 0) and (window.until is None or first < window.until)
