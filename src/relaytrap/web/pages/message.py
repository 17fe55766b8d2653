"""One message: what it is, where it came from and why we say so, its bytes with everything found in them."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from relaytrap.evidence.dialplan import DialledNumber, read_number
from relaytrap.evidence.fingerprint import find_tool
from relaytrap.sip import ANOMALIES, Unparsed, parse_message
from relaytrap.web.annotate import annotate, hex_lines, marks_of
from relaytrap.web.pictures.ladder import draw_ladder
from relaytrap.web.render import url
from relaytrap.web.site import Ask, Site, TheSite

__all__ = ["HANDLERS"]

CONVERSATION_MAX: Final = 200
READINGS_SHOWN: Final = 4


@get("/messages/{id:str}", sync_to_thread=True, include_in_schema=False)
def message(request: Ask, site: TheSite, id: FromPath[str]) -> Response[bytes]:
    found = site.ask("message", None, id=id)
    if not found:
        raise NotFoundException(
            detail="No message has this identifier; it may have passed the time for which messages are kept."
        )
    row = found[0]
    parsed = parse_message(base64.b64decode(row["raw"]))
    lines, beyond = annotate(parsed, marks_of(row, parsed))
    dump, dump_beyond = hex_lines(parsed.raw)
    conversation = site.ask("conversation", None, id=id, limit=CONVERSATION_MAX)
    return site.page(
        request,
        "pages/message.html",
        row=row,
        lines=lines,
        beyond=beyond,
        dump=dump,
        dump_beyond=dump_beyond,
        about_tool=[each for each in row["evidence"] if not each["rule"].startswith("path.")],
        about_path=[each for each in row["evidence"] if each["rule"].startswith("path.")],
        anomalies=[(each, ANOMALIES.get(each.name)) for each in parsed.anomalies],
        number=_number(row, site),
        why_faked=find_tool(parsed).why if row["tool_faked"] and not isinstance(parsed, Unparsed) else "",
        readings_shown=READINGS_SHOWN,
        ladder=draw_ladder(conversation, row["id"]),
        conversation=conversation,
        json_twin=url("/api/message", id=id),
    )


def _number(row: Mapping[str, Any], site: Site) -> DialledNumber | None:
    """The dialled number read again, with the readings that the row has no room for."""
    if not row["dialled_digits"]:
        return None
    return read_number(row["dialled_digits"].encode(), site.home_region(row["local"], row["sensor"]))


HANDLERS = (message,)
