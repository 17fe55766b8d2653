"""The page of the feeds: which lists there are, how many addresses each has, and who was left out and why."""

from collections import Counter
from typing import Any

from litestar import Response, get

from relaytrap.feeds import FORMATS, TITLES
from relaytrap.hub.feed import OPTIONS, Wanted, gather_feed
from relaytrap.web.site import Ask, Site, TheSite

__all__ = ["HANDLERS"]


@get("/feeds", sync_to_thread=True, include_in_schema=False)
def feeds(request: Ask, site: TheSite) -> Response[bytes]:
    given = {name: value for name in OPTIONS if (value := request.query_params.get(name, ""))}
    wanted = Wanted.parse("everything", given, site.config, site.now_ns())
    sums = site.answers.get(("feeds", *given.items()), lambda: _summed(site, wanted))
    return site.page(request, "pages/feeds.html", titles=TITLES, forms=FORMATS, given=given, **sums)


def _summed(site: Site, wanted: Wanted) -> dict[str, Any]:
    """What all lists hold now; the lists themselves are not kept."""
    feed = gather_feed(site.store, site.config, wanted)
    roles = Counter[str](role for each in feed.indicators for role in each.roles)
    attackers = sum(not each.is_victim for each in feed.indicators)
    counts = {name: roles[name.removesuffix("s")] for name in TITLES}
    return {
        "counts": counts | {"attackers": attackers, "everything": len(feed.indicators)},
        "choice": feed.choice,
        "left_out": feed.left_out,
    }


HANDLERS = (feeds,)
