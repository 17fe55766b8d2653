"""Whoever comes from an address may have it left alone: no login, no mail, one button.

Where the page sees everybody at a loopback address it cannot know whose the request is, and says who can help.
"""

from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.response import Redirect

from relaytrap.clock import now_ns
from relaytrap.errors import InputError
from relaytrap.web.pages.probe import find_tests, own_address_of
from relaytrap.web.site import Ask, Site, TheSite
from relaytrap.web.threads import in_thread

__all__ = ["HANDLERS"]


# Both are async: Litestar 2.25 calls a sync_to_thread handler wrongly when another method shares its path.
@get("/probe/opt-out", include_in_schema=False)
async def show(request: Ask, site: TheSite) -> Response[bytes]:
    return await in_thread(_page, request, site)


@post("/probe/opt-out", include_in_schema=False)
async def change(request: Ask, site: TheSite) -> Response[Any]:
    address = own_address_of(request)
    if not address:
        raise NotFoundException(detail="The address that you come from cannot be told here.")
    wanted = (await request.form()).get("change", "")
    await in_thread(_change, site, address, wanted == "remove")
    return Redirect("/probe/opt-out", status_code=303)


def _page(request: Ask, site: Site) -> Response[bytes]:
    address = own_address_of(request)
    opted_out = bool(address) and bool(find_tests(site).register.opt_outs.objection(address))
    return site.page(request, "pages/probe_opt_out.html", address=address, opted_out=opted_out)


def _change(site: Site, address: str, back: bool) -> None:
    opt_outs = find_tests(site).register.opt_outs
    if not back:
        opt_outs.add(address, "asked by the page, from this address", now_ns())
        return
    try:
        opt_outs.remove(address)
    except InputError:
        return  # not listed by itself; a network that its operator entered stays


HANDLERS = (show, change)
