"""Sources: the table of addresses that sent something, and what one of them did."""

import ipaddress
from typing import Final

from litestar import Response, get
from litestar.exceptions import NotFoundException

from relaytrap.store.queries import Filter, parse_filter
from relaytrap.web.pictures.timeline import stack_timeline
from relaytrap.web.render import url
from relaytrap.web.site import Ask, Site

__all__ = ["HANDLERS"]

PAGE_ROWS: Final = 100
SORTS: Final = {"messages": "Messages", "last_seen": "Last seen", "first_seen": "First seen", "relayed": "Came through"}
FACETS: Final = "method,tool,user_agent,sensor,verdict,dialled_core"


@get("/sources", sync_to_thread=True, include_in_schema=False)
def sources(request: Ask, site: Site) -> Response[bytes]:
    window = site.window(request)
    sort = request.query_params.get("sort", "messages")
    sort = sort if sort in SORTS else "messages"
    page = _page_number(request)
    narrowed = {name: request.query_params.get(name, "") for name in ("country", "asn", "sensor", "tool", "method")}
    given = {name: value for name, value in narrowed.items() if value}
    where = parse_filter({"since": window.filter().since, "until": window.filter().until, **given}, site.now_ns())
    rows = site.ask("sources", where, limit=PAGE_ROWS + 1, offset=page * PAGE_ROWS, sort=sort)
    keep = {"last": window.name, **given}
    return site.page(
        request,
        "pages/sources.html",
        window=window,
        rows=rows[:PAGE_ROWS],
        top=max((row["messages"] for row in rows), default=0),
        sort=sort,
        sorts=SORTS,
        given=given,
        keep=keep,
        first=page * PAGE_ROWS + 1,
        newer=url("/sources", sort=sort, page=page - 1, **keep) if page else "",
        older=url("/sources", sort=sort, page=page + 1, **keep) if len(rows) > PAGE_ROWS else "",
        json_twin=url(
            "/api/sources", sort=sort, limit=PAGE_ROWS, offset=page * PAGE_ROWS or None, **window.query, **given
        ),
    )


@get("/sources/{address:str}", sync_to_thread=True, include_in_schema=False)
def source(request: Ask, site: Site, address: str) -> Response[bytes]:
    try:
        canonical = str(ipaddress.ip_address(address))
    except ValueError:
        raise NotFoundException(detail="A source is an IP address, as in /sources/192.0.2.7.") from None
    everything = Filter(source=canonical)
    found = site.ask("sources", everything, limit=1)
    if not found:
        known = {name: site.ask(name, address=canonical, limit=1) for name in ("origins", "relays")}
        return site.page(request, "pages/no_source.html", status=404, address=canonical, **known)
    window = site.window(request)
    where = window.filter(source=canonical)
    leaders: dict[str, list[dict[str, object]]] = {name: [] for name in FACETS.split(",")}
    for row in site.ask("leaders", where, facets=FACETS, limit=8):
        leaders[row["facet"]].append(row)
    timeline = stack_timeline(site.ask("timeline", where, step_s=window.step_s), window.steps, window.step_s)
    return site.page(
        request,
        "pages/source.html",
        window=window,
        row=found[0],
        address=canonical,
        timeline=timeline,
        leaders=leaders,
        newest=site.ask("messages", where, limit=25),
        json_twin=url("/api/source", address=canonical),
    )


def _page_number(request: Ask) -> int:
    text = request.query_params.get("page", "")
    return min(int(text), 10_000) if text.isascii() and text.isdigit() else 0


HANDLERS = (sources, source)
