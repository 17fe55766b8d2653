"""GET /feeds/NAME.FORMAT: block lists and exchange formats, for firewalls and for others who share what they see."""

import hashlib
from email.utils import formatdate, parsedate_to_datetime

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from relaytrap.feeds import FORMATS, TITLES
from relaytrap.hub.feed import Wanted, gather_feed
from relaytrap.web.site import Ask, Site, TheSite

__all__ = ["HANDLERS"]


@get("/feeds/{file:str}", sync_to_thread=True, include_in_schema=False)
def feed(request: Ask, site: TheSite, file: FromPath[str]) -> Response[bytes]:
    name, _, ending = file.rpartition(".")
    if name not in TITLES or ending not in FORMATS:
        raise NotFoundException(
            detail=f"There is no such feed; there are {', '.join(TITLES)}, each as .{', .'.join(FORMATS)}."
        )
    given = dict(request.query_params)
    wanted = Wanted.parse(name, given, site.config, site.now_ns())
    body: bytes = site.answers.get(("feed", file, *sorted(given.items())), lambda: _written(site, wanted, ending))
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    changed_s = site.changes.since_s(str(request.url), tag)
    headers = {
        "etag": tag,
        "last-modified": formatdate(changed_s, usegmt=True),
        "cache-control": "no-cache",
        "vary": "accept-encoding",
        "content-disposition": f'inline; filename="relaytrap-{file}"',
    }
    form = FORMATS[ending]
    if _has_already(request, tag, changed_s):
        return Response(b"", status_code=304, headers=headers, media_type=form.media_type)
    return Response(body, headers=headers, media_type=form.media_type)


def _written(site: Site, wanted: Wanted, ending: str) -> bytes:
    return FORMATS[ending].write(gather_feed(site.store, site.config, wanted))


def _has_already(request: Ask, tag: str, changed_s: int) -> bool:
    """Whether who asks has these bytes; a date counts only where no tag was sent (RFC 9110 13.1.3)."""
    if tags := request.headers.get("if-none-match"):
        return tag in (each.strip().removeprefix("W/") for each in tags.split(","))
    try:
        return parsedate_to_datetime(request.headers["if-modified-since"]).timestamp() >= changed_s
    except (KeyError, ValueError):
        return False


HANDLERS = (feed,)
