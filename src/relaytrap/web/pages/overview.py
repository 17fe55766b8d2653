"""The first page: what happened in a stretch of time, where it came from, with what, and what arrives right now."""

from typing import Final

from litestar import Response, get

from relaytrap.store.queries import Filter, Place
from relaytrap.web.biggest import LATEST, biggest_campaign
from relaytrap.web.pages.first import empty_page
from relaytrap.web.pages.world import map_context
from relaytrap.web.pictures.timeline import stack_timeline
from relaytrap.web.render import url
from relaytrap.web.site import Ask, TheSite

__all__ = ["HANDLERS"]

FACETS: Final = ("network", "tool", "sensor", "dialled_country", "dialled_core")
LEADERS: Final = 6
NEWEST: Final = 12
CAMPAIGNS: Final = 4


@get("/", sync_to_thread=True, include_in_schema=False)
def overview(request: Ask, site: TheSite) -> Response[bytes]:
    if empty := empty_page(request, site, "Overview"):
        return empty
    window = site.window(request)
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
        newest=site.ask_now("messages", Filter(direction="in"), limit=NEWEST),
        kept=NEWEST,
        campaigns=site.ask("campaigns", limit=LATEST, sort="last_seen", relayed=True)[:CAMPAIGNS],
        biggest=biggest,
        behind=site.ask("origins", Place(network=hidden)) if hidden else [],
        map=map_context(countries, window),
        json_twin=url("/api/totals", **window.query),
    )


HANDLERS = (overview,)
