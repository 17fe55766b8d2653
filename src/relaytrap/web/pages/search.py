"""One box for everything: an address, an identifier, a number, a country, or text to look for in the messages."""

import ipaddress
import re

from litestar import get
from litestar.response import Redirect

from relaytrap.web.pictures.shapes import countries
from relaytrap.web.render import url
from relaytrap.web.site import Ask

__all__ = ["HANDLERS", "destination"]


@get("/search", sync_to_thread=False, include_in_schema=False)
def search(request: Ask) -> Redirect:
    return Redirect(destination(request.query_params.get("q", "")), status_code=303)


def destination(text: str) -> str:
    """The page that answers a search."""
    text = text.strip()
    if not text:
        return "/messages"
    try:
        return url("/sources", ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    try:
        return url("/messages", source=ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    if re.fullmatch(r"[0-9a-f]{16}", text):
        return url("/messages", text)
    if re.fullmatch(r"(?=.*[a-f])[0-9a-f]{12}", text):
        return url("/campaigns", text)
    if re.fullmatch(r"AS\d{1,10}", text, re.IGNORECASE):
        return url("/messages", asn=text[2:])
    if re.fullmatch(r"\+?[\d ().-]{6,}", text):
        return url("/messages", dialled=re.sub(r"[ ().-]", "", text))
    wanted = text.casefold()
    for each in countries().values():
        if wanted in (each.name.casefold(), each.code.casefold()):
            return url("/countries", each.code)
    return url("/messages", text=text)


HANDLERS = (search,)
