"""Sources: the table of addresses that sent something, and what one of them did."""

from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from relaytrap.store.queries import Filter, Place
from relaytrap.web.pages.first import empty_page
from relaytrap.web.pages.paging import Asked, Paging, asked_address
from relaytrap.web.pictures.timeline import stack_timeline
from relaytrap.web.render import url
from relaytrap.web.site import Ask, TheSite

__all__ = ["HANDLERS"]

SORTS: Final = {"messages": "Messages", "last_seen": "Last seen", "first_seen": "First seen", "relayed": "For others"}
FACETS: Final = ("method", "tool", "user_agent", "sensor", "verdict", "dialled_core")
LEADERS: Final = 8
CONDITIONS: Final = ("country", "asn", "source", "method", "tool", "sensor")


@get("/sources", sync_to_thread=True, include_in_schema=False)
def sources(request: Ask, site: TheSite) -> Response[bytes]:
    if empty := empty_page(request, site, "Sources"):
        return empty
    window = site.window(request)
    paging = Paging.of(request, "/sources", SORTS)
    asked = Asked.of(request, window, CONDITIONS, site.now_ns())
    rows = site.ask("sources", asked.where, **paging.options) if asked.where else []
    keep = {"last": window.name}
    return site.page(
        request,
        "pages/sources.html",
        status=400 if asked.problem else 200,
        window=window,
        top=max((row["messages"] for row in rows), default=0),
        sorts=SORTS,
        asked=asked,
        keep=keep,
        **paging.shown(rows, keep | asked.given, window.query | asked.given),
    )


@get("/sources/{address:str}", sync_to_thread=True, include_in_schema=False)
def source(request: Ask, site: TheSite, address: FromPath[str]) -> Response[bytes]:
    canonical = asked_address(address, "/sources")
    everything = Filter(source=canonical)
    found = site.ask("sources", everything, limit=1)
    if not found:
        known = {name: site.ask(name, Place(network=canonical), limit=1) for name in ("origins", "relays")}
        return site.page(request, "pages/no_source.html", status=404, address=canonical, **known)
    window = site.window(request)
    where = window.filter(source=canonical)
    timeline = stack_timeline(site.ask("timeline", where, step_s=window.step_s), window.steps, window.step_s)
    return site.page(
        request,
        "pages/source.html",
        window=window,
        row=found[0],
        address=canonical,
        timeline=timeline,
        leaders=site.leaders(where, FACETS, LEADERS),
        newest=site.ask("messages", where, limit=25),
        json_twin=url("/api/source", address=canonical),
    )


HANDLERS = (sources, source)
