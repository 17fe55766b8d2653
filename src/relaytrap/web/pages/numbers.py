"""Numbers that were dialled: the core that recurs, under which prefixes, and where it would have led."""

from litestar import Response, get

from relaytrap.store.queries import parse_filter
from relaytrap.web.pages.paging import PAGE_ROWS
from relaytrap.web.render import url
from relaytrap.web.site import Ask, TheSite

__all__ = ["HANDLERS"]


@get("/numbers", sync_to_thread=True, include_in_schema=False)
def numbers(request: Ask, site: TheSite) -> Response[bytes]:
    window = site.window(request)
    given = {
        name: value
        for name in ("dialled_country", "dialled_core", "country", "source")
        if (value := request.query_params.get(name, ""))
    }
    where = parse_filter({"since": window.filter().since, "until": window.filter().until, **given}, site.now_ns())
    rows = site.ask("numbers", where, limit=PAGE_ROWS)
    led = site.ask("leaders", window.filter(), facets="dialled_country", limit=12)
    return site.page(
        request,
        "pages/numbers.html",
        window=window,
        rows=rows,
        given=given,
        countries=led,
        json_twin=url("/api/numbers", limit=PAGE_ROWS, **window.query, **given),
    )


HANDLERS = (numbers,)
