"""The messages explorer: every field of the filter, the address holds the state, newest first, paged by key."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get

from relaytrap.errors import InputError
from relaytrap.observation import TRANSPORTS
from relaytrap.store.queries import FIELDS, Filter, parse_filter
from relaytrap.store.queries.messages import cursor_of
from relaytrap.web.pages.first import first_place
from relaytrap.web.render import VERDICTS, url
from relaytrap.web.site import Ask, Site, TheSite

__all__ = ["HANDLERS"]

PAGE_ROWS: Final = 60
# Fields in the bar, and those behind "more"; a field of the store that is in neither would be unreachable (tested).
BAR: Final = ("text", "source", "method", "country", "tool", "verdict", "sensor", "since", "until")
MORE: Final = (
    "direction", "kind", "transport", "status", "call_id", "user_agent", "from_user", "to_user", "target", "dialled",
    "dialled_core", "dialled_country", "asn", "relay", "origin", "faked", "fingerprint", "anomaly", "note", "capture",
    "campaign", "track", "id", "raw",
)  # fmt: skip
LABELS: Final = {
    "asn": "AS number", "call_id": "Call-ID", "dialled": "Dialled number", "dialled_core": "Number core",
    "dialled_country": "Dialled country", "faked": "Faked tool", "from_user": "From user", "id": "Identifier",
    "raw": "Anywhere in the bytes", "source": "Source or network", "text": "Text", "to_user": "To user",
    "user_agent": "User-Agent", "verdict": "Path", "target": "Extension tried",
}  # fmt: skip
CHOICES: Final = {
    "direction": ("in", "out"),
    "kind": ("request", "response", "unparsed"),
    "transport": TRANSPORTS,
    "verdict": tuple(VERDICTS),
    "faked": ("yes", "no"),
}
FROM_DATA: Final = ("method", "tool", "sensor")


@get("/messages", sync_to_thread=True, include_in_schema=False)
def messages(request: Ask, site: TheSite) -> Response[bytes]:
    given = {name: value for name, value in request.query_params.items() if name in FIELDS and value.strip()}
    before, after = request.query_params.get("before", ""), request.query_params.get("after", "")
    problem, rows = "", list[dict[str, Any]]()
    try:
        where = parse_filter(given, site.now_ns())
        rows = site.ask_now("messages", where, limit=PAGE_ROWS + 1, before=before, after=after)
    except InputError as error:
        problem = str(error)
    rows, older, newer = _cut(rows, before, after)
    return site.page(
        request,
        "pages/messages.html",
        status=400 if problem else 200,
        rows=rows,
        problem=problem,
        first_place=first_place(site) if not rows else None,
        given=given,
        bar=_fields(site, BAR),
        more=_fields(site, MORE),
        # What comes in belongs to the first page of a list that has no end.
        feed="" if problem or before or after or "until" in given else url("/live", **given),
        kept=PAGE_ROWS,
        older=url("/messages", **given, before=older) if older else "",
        newer=url("/messages", **given, after=newer) if newer else "",
        count_address=url("/api/count", **given),
        download=url("/messages.pcapng", **given),
        json_twin=url("/api/messages", **given, limit=PAGE_ROWS, before=before, after=after),
    )


def _cut(rows: list[dict[str, Any]], before: str, after: str) -> tuple[list[dict[str, Any]], str, str]:
    """The rows of one page, and the cursors of the pages beside it ("" where there is none).

    One row more than a page was asked for: whether it is there says whether there is another page that way.
    """
    beyond = len(rows) > PAGE_ROWS
    rows = (rows[1:] if after else rows[:-1]) if beyond else rows
    if not rows:
        return rows, "", ""
    older = cursor_of(rows[-1]) if beyond or after else ""
    newer = cursor_of(rows[0]) if before or (after and beyond) else ""
    return rows, older, newer


def _fields(site: Site, names: tuple[str, ...]) -> list[Mapping[str, Any]]:
    made = list[Mapping[str, Any]]()
    for name in names:
        choices: tuple[str, ...] | list[str] = CHOICES.get(name, ())
        if name in FROM_DATA:
            leaders = site.ask("leaders", Filter(), facets=name, limit=60)
            choices = sorted(row["value"] for row in leaders)
        made.append(
            {"name": name, "label": LABELS.get(name, name.capitalize()), "doc": FIELDS[name]["doc"], "choices": choices}
        )
    return made


HANDLERS = (messages,)
