"""GET /report: the same report as `relaytrap report` makes, to download."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from litestar import Response, get
from litestar.exceptions import TooManyRequestsException

from relaytrap.errors import InputError
from relaytrap.store.queries import run_query
from relaytrap.web.report.make import FORMATS, Wanted, make_report, name_of, render
from relaytrap.web.site import Ask, TheSite

__all__ = ["HANDLERS"]

# A report asks the store a hundred questions and draws for seconds: one after the other, and few wait for it, as each
# takes a thread that pages need as well.
TURN: Final = threading.Lock()
WAITING: Final = threading.BoundedSemaphore(4)


@get("/report", sync_to_thread=True, include_in_schema=False)
def report(request: Ask, site: TheSite) -> Response[bytes]:
    """what: an identifier or address; without it, everything in the window that `last` names, or from `since` to
    `until`. format: html, md or pdf. redact: no, to leave everything in."""
    given = request.query_params
    form, redact = given.get("format", "html"), given.get("redact", "yes")
    if form not in FORMATS or redact not in ("yes", "no"):
        raise InputError(f"a report has the format {' or '.join(FORMATS)}, and redact is yes or no")
    wanted = Wanted(
        what=given.get("what", "").strip(),
        since=given.get("since", ""),
        until=given.get("until", ""),
        last=given.get("last", ""),
        redact=redact == "yes",
    )

    def ask(name: str, options: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        return run_query(site.store, name, options, site.now_ns())

    if not WAITING.acquire(blocking=False):
        raise TooManyRequestsException(detail="Several reports are being made already; try again in a minute.")
    try:
        with TURN:
            made = make_report(ask, wanted, site.config.network, site.now_ns())
            content = render(made, form)
    finally:
        WAITING.release()
    headers = {
        "content-disposition": f'attachment; filename="{name_of(made, form)}"',
        "cache-control": "no-store",
    }
    return Response(content, media_type=FORMATS[form], headers=headers)


HANDLERS = (report,)
