"""GET /feeds/NAME.FORMAT: block lists and exchange formats, for firewalls and for others who share what they see."""

import hashlib
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from relaytrap.feeds import FORMATS, TITLES
from relaytrap.hub.feed import OPTIONS, Wanted, write_feed
from relaytrap.web.site import Ask, TheSite

__all__ = ["HANDLERS", "describe"]

FILES: Final = [f"{name}.{form}" for name in TITLES for form in FORMATS]


@get("/feeds/{file:str}", sync_to_thread=True, include_in_schema=False)
def feed(request: Ask, site: TheSite, file: FromPath[str]) -> Response[bytes]:
    name, _, ending = file.rpartition(".")
    if file not in FILES:
        raise NotFoundException(
            detail=f"There is no such feed; there are {', '.join(TITLES)}, each as .{', .'.join(FORMATS)}."
        )
    wanted = Wanted.parse(name, dict(request.query_params), site.config, site.now_ns())
    form = FORMATS[ending]
    body = write_feed(site.store, site.config, wanted, ending)
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    changed_s = site.changes.since_s(str(request.url), tag)
    headers = {
        "etag": tag,
        "last-modified": formatdate(changed_s, usegmt=True),
        "cache-control": "no-cache",
        "vary": "accept-encoding",
        "content-disposition": f'inline; filename="relaytrap-{file}"',
    }
    if _has_already(request, tag, changed_s):
        return Response(b"", status_code=304, headers=headers, media_type=form.media_type)
    return Response(body, headers=headers, media_type=form.media_type)


def describe() -> dict[str, Any]:
    """What OpenAPI says of it."""
    file = {"name": "file", "in": "path", "required": True, "schema": {"type": "string", "enum": FILES}}
    options = [
        {"name": name, "in": "query", "required": False, "description": doc, "schema": {"type": "string"}}
        for name, doc in OPTIONS.items()
    ]
    return {
        "operationId": "feed",
        "summary": "Block lists and exchange formats: whom to block, whom to warn.",
        "parameters": [file, *options],
        "responses": {
            "200": {
                "description": "The list; the same bytes as long as nothing changed",
                "content": {form.media_type: {} for form in FORMATS.values()},
            },
            "304": {"description": "The list is what `If-None-Match` or `If-Modified-Since` says"},
            "400": {"description": "An option is wrong, or no honeypot has sent anything: `error` says what"},
            "404": {"description": "No such list or format"},
        },
    }


def _has_already(request: Ask, tag: str, changed_s: int) -> bool:
    """Whether who asks has these bytes; a date counts only where no tag was sent (RFC 9110 13.1.3)."""
    if tags := request.headers.get("if-none-match"):
        return tag in (each.strip().removeprefix("W/") for each in tags.split(","))
    try:
        return parsedate_to_datetime(request.headers["if-modified-since"]).timestamp() >= changed_s
    except (KeyError, ValueError, OverflowError):
        return False


HANDLERS = (feed,)
