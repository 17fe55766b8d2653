"""The page of the feeds: which lists there are, how many addresses each has, and who was left out and why."""

from collections import Counter
from typing import Any

from litestar import Response, get

from relaytrap.evidence.indicator import EVIDENCE
from relaytrap.feeds import FORMATS, TITLES
from relaytrap.hub.feed import Wanted, gather_feed
from relaytrap.web.site import Ask, Site, TheSite

__all__ = ["HANDLERS"]


@get("/feeds", sync_to_thread=True, include_in_schema=False)
def feeds(request: Ask, site: TheSite) -> Response[bytes]:
    return site.page(
        request,
        "pages/feeds.html",
        titles=TITLES,
        forms=FORMATS,
        evidence=EVIDENCE,
        settings=site.config.feeds,
        **site.answers.get("feeds", lambda: _summed(site)),
    )


def _summed(site: Site) -> dict[str, Any]:
    """What all lists hold now; the lists themselves are not kept."""
    feed = gather_feed(site.store, site.config, Wanted.parse("everything", {}, site.config, site.now_ns()))
    counts = Counter(role for each in feed.indicators for role in each.roles)
    attackers = sum(1 for each in feed.indicators if not each.is_victim)
    return {
        "counts": {
            "attackers": attackers,
            "sources": counts["source"],
            "origins": counts["origin"],
            "relays": counts["relay"],
            "everything": len(feed.indicators),
        },
        "choice": feed.choice,
        "left_out": feed.left_out,
    }


HANDLERS = (feeds,)
