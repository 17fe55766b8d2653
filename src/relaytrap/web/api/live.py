"""GET /api/live and /live: what comes in, as it comes in, as server-sent events.

Each listener asks the store once a second for what was taken in lately and passes on what it has not seen; listeners
with the same filter share one answer. A message becomes visible when its batch is stored, and batches are stored in no
order, so each question looks a little way back.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Final

import msgspec
from litestar import get
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from relaytrap.store.queries import FIELDS, Filter, parse_filter
from relaytrap.web.site import Ask, Rows, Site, TheSite
from relaytrap.web.threads import in_thread

__all__ = ["HANDLERS", "arrivals"]

EVERY_S: Final = 1.0
LOOK_BACK_MS: Final = 20_000
# More than this in one second is a flood that nobody reads line by line; the newest are shown.
ROWS_AT_ONCE: Final = 200
ROWS_ON_PAGE: Final = 60
PING_EVERY: Final = 15
RETRY_MS: Final = 2000
# Without `data=None` the comment carries an empty event along, which a listener would take for a message.
STILL_HERE: Final = ServerSentEventMessage(comment="still here", data=None)


@get("/api/live")
async def live(request: Ask, site: TheSite) -> ServerSentEvent:
    """Messages that fit the filter as they are taken in: event `message`, data one JSON object, id its identifier."""
    return ServerSentEvent(_told(site, _filter(request, site), _as_json), retry_duration=RETRY_MS)


@get("/live", include_in_schema=False)
async def live_rows(request: Ask, site: TheSite) -> ServerSentEvent:
    """The same for the pages' tables: event `rows`, data finished table rows, newest first. It begins with what was
    taken in while the page was made and read. Event `only` has the newest where more came at once than a page shows."""
    told = _told(site, _filter(request, site), partial(_as_html, site), from_before=True)
    return ServerSentEvent(told, retry_duration=RETRY_MS)


async def arrivals(site: Site, where: Filter, *, from_before: bool = False) -> AsyncIterator[Rows]:
    """New messages, oldest first, about once a second until the server stops; an empty list when there are none.

    from_before: begin with those of the look-back, which a page may or may not have.
    """
    recent = await _recent(site, where)
    seen: set[str] = {row["id"] for row in recent}
    yield recent if from_before else []
    while not await site.wait_for_stop(EVERY_S):
        recent = await _recent(site, where)
        fresh = [row for row in recent if row["id"] not in seen]
        # What has left the look-back cannot come again; a set of everything would grow for ever.
        seen = {row["id"] for row in recent}
        yield fresh


async def _recent(site: Site, where: Filter) -> Rows:
    since_ms = site.now_ns() // 1_000_000_000 * 1000 - LOOK_BACK_MS

    def ask() -> Rows:
        return site.ask("arrivals", where, since_ms=since_ms, limit=ROWS_AT_ONCE)

    return await in_thread(ask)


async def _told(
    site: Site, where: Filter, tell: Callable[[Rows], Iterator[ServerSentEventMessage]], *, from_before: bool = False
) -> AsyncIterator[ServerSentEventMessage]:
    """New messages as `tell` puts them into events, and now and then a word that the hub is still here."""
    quiet = PING_EVERY
    async for rows in arrivals(site, where, from_before=from_before):
        for message in await in_thread(list, tell(rows)) if rows else ():
            yield message
        quiet = 0 if rows else quiet + 1
        if quiet >= PING_EVERY:
            yield STILL_HERE
            quiet = 0


def _as_json(rows: Rows) -> Iterator[ServerSentEventMessage]:
    for row in rows:
        yield ServerSentEventMessage(data=msgspec.json.encode(row).decode(), event="message", id=row["id"])


def _as_html(site: Site, rows: Rows) -> Iterator[ServerSentEventMessage]:
    html = site.render_rows(rows[: -ROWS_ON_PAGE - 1 : -1])
    yield ServerSentEventMessage(data=html, event="rows" if len(rows) <= ROWS_ON_PAGE else "only")


def _filter(request: Ask, site: Site) -> Filter:
    given: dict[str, Any] = {name: value for name, value in request.query_params.items() if name in FIELDS}
    return parse_filter(given, site.now_ns())


HANDLERS = (live, live_rows)
