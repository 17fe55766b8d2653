"""The first page: what happened in a stretch of time, where it came from, with what, and what arrives right now."""

from collections.abc import Callable
from typing import Any, Final

from litestar import Response, get

from relaytrap.clock import parse_rfc3339
from relaytrap.store.queries import Filter, Place
from relaytrap.web.pages.first import first_place
from relaytrap.web.pages.world import map_context
from relaytrap.web.pictures.timeline import stack_timeline
from relaytrap.web.render import url
from relaytrap.web.site import Ask, Rows, TheSite
from relaytrap.web.window import Window

__all__ = ["HANDLERS", "biggest_campaign"]

FACETS: Final = ("network", "tool", "method", "sensor", "dialled_country", "dialled_core", "verdict")
LEADERS: Final = 6
NEWEST: Final = 12
CAMPAIGNS: Final = 4
# Campaigns that one question gives, to look for the biggest among them.
LATEST: Final = 500


@get("/", sync_to_thread=True, include_in_schema=False)
def overview(request: Ask, site: TheSite) -> Response[bytes]:
    window = site.window(request)
    if site.is_empty():
        return site.page(request, "pages/empty.html", window=window, title="Overview", first_place=first_place(site))
    where = window.filter()
    timeline = stack_timeline(site.ask("timeline", where, step_s=window.step_s), window.steps, window.step_s)
    countries = site.ask("countries", where)
    biggest = biggest_campaign(site.ask, window, relayed=True) or biggest_campaign(site.ask, window, relayed=False)
    hidden = biggest["origin"] if biggest and biggest["relays"] else None
    return site.page(
        request,
        "pages/overview.html",
        window=window,
        totals=site.totals(window, where),
        timeline=timeline,
        leaders=site.leaders(where, FACETS, LEADERS),
        countries=countries,
        sources=site.ask("leading_sources", where, limit=LEADERS),
        newest=site.ask("messages", Filter(direction="in"), limit=NEWEST),
        kept=NEWEST,
        campaigns=site.ask("campaigns", limit=LATEST, sort="last_seen", relayed=True)[:CAMPAIGNS],
        biggest=biggest,
        behind=site.ask("origins", Place(network=hidden)) if hidden else [],
        map=map_context(countries, window),
        json_twin=url("/api/totals", **window.query),
    )


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
    return max(seen, key=lambda row: int(row["messages"]), default=None)


HANDLERS = (overview,)
