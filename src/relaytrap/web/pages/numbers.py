"""Numbers that were dialled: the core that recurs, under which prefixes, and where it would have led."""

from typing import Final

from litestar import Response, get

from relaytrap.web.pages.first import empty_page
from relaytrap.web.pages.paging import Asked, Paging
from relaytrap.web.site import Ask, TheSite

__all__ = ["HANDLERS"]

CONDITIONS: Final = ("dialled", "dialled_country", "dialled_core", "country", "source")


@get("/numbers", sync_to_thread=True, include_in_schema=False)
def numbers(request: Ask, site: TheSite) -> Response[bytes]:
    if empty := empty_page(request, site, "Numbers"):
        return empty
    window, paging = site.window(request), Paging.of(request, "/numbers")
    asked = Asked.of(request, window, CONDITIONS, site.now_ns())
    rows = site.ask("numbers", asked.where, **paging.options) if asked.where else []
    keep = {"last": window.name}
    return site.page(
        request,
        "pages/numbers.html",
        status=400 if asked.problem else 200,
        window=window,
        asked=asked,
        keep=keep,
        countries=site.ask("leaders", window.filter(), facets="dialled_country", limit=12),
        **paging.shown(rows, keep | asked.given, window.query | asked.given),
    )


HANDLERS = (numbers,)
