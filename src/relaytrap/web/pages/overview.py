"""The first page: what happened in a stretch of time, where it came from, with what, and what arrives right now."""

from typing import Any, Final

from litestar import Response, get

from relaytrap.clock import parse_rfc3339
from relaytrap.store.queries import Filter
from relaytrap.web.pages.first import first_place
from relaytrap.web.pages.world import map_context
from relaytrap.web.pictures.timeline import stack_timeline
from relaytrap.web.render import url
from relaytrap.web.site import Ask, Rows, TheSite
from relaytrap.web.window import Window

__all__ = ["HANDLERS"]

FACETS: Final = ("network", "tool", "method", "sensor", "dialled_country", "dialled_core", "verdict")
LEADERS: Final = 6
NEWEST: Final = 12
CAMPAIGNS: Final = 4
# Among so many of the latest campaigns the biggest is looked for, which the page tells of in words.
LATEST: Final = 500


@get("/", sync_to_thread=True, include_in_schema=False)
def overview(request: Ask, site: TheSite) -> Response[bytes]:
    window = site.window(request)
    if site.is_empty():
        return site.page(request, "pages/empty.html", window=window, title="Overview", first_place=first_place(site))
    where = window.filter()
    timeline = stack_timeline(site.ask("timeline", where, step_s=window.step_s), window.steps, window.step_s)
    countries = site.ask("countries", where)
    relayed = site.ask("campaigns", limit=LATEST, sort="last_seen", relayed=True)
    biggest = _biggest(relayed, window) or _biggest(site.ask("campaigns", limit=LATEST, sort="last_seen"), window)
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
        campaigns=relayed[:CAMPAIGNS],
        biggest=biggest,
        behind=site.ask("origins", address=hidden) if hidden else [],
        map=map_context(countries, window),
        json_twin=url("/api/totals", **window.query),
    )


def _biggest(campaigns: Rows, window: Window) -> dict[str, Any] | None:
    """The campaign with the most requests of those that were still seen in a window."""
    seen = [row for row in campaigns if parse_rfc3339(row["last_seen"]) >= (window.since or 0)]
    return max(seen, key=lambda row: int(row["messages"]), default=None)


HANDLERS = (overview,)
