"""The open-relay test as a page: one form, live progress, a result under a secret link."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import msgspec
from anyio import to_thread
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.response import Redirect, ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from relaytrap.errors import InputError
from relaytrap.probe.ownership import FILE_PATH, TXT_LABEL
from relaytrap.probe.request import METHODS
from relaytrap.probe.target import TRANSPORTS
from relaytrap.probe.tricks import STANDARD, TRICKS
from relaytrap.web.probing import Asked, Tests
from relaytrap.web.site import Ask, Site

__all__ = ["HANDLERS"]

HOST_MAX: Final = 255


@get("/probe", include_in_schema=False)
async def form(request: Ask, site: Site) -> Response[Any]:
    return await _form(request, site, Asked(request.query_params.get("host", "")[:HOST_MAX]))


@post("/probe", include_in_schema=False)
async def start(request: Ask, site: Site) -> Response[Any]:
    given = await request.form()
    asked = Asked(
        host=str(given.get("host", "")).strip()[:HOST_MAX],
        domain=str(given.get("domain", "")).strip()[:HOST_MAX],
        transports=tuple(name for name in TRANSPORTS if name in given.getall("transport", [])),
        thorough=given.get("thorough") == "yes",
    )
    user = request.client.host if request.client else ""
    try:
        secret = await _tests(site).start(asked, user)
    except InputError as error:
        return await _form(request, site, asked, status=400, problem=str(error))
    if not secret:
        return await _form(request, site, asked, status=403, unproved=True)
    return Redirect(f"/probe/{secret}", status_code=303)


@get("/probe/{secret:str}", sync_to_thread=True, include_in_schema=False)
def result(request: Ask, site: Site, secret: str) -> Response[bytes]:
    entry = _tests(site).find(secret)
    if entry is None:
        raise NotFoundException(detail="There is no such test.")
    return site.page(
        request,
        "pages/probe_result.html",
        entry=entry,
        report=entry.report,
        methods=METHODS,
        tricks=TRICKS,
        json_twin=f"/api/probe/{secret}",
    )


@get("/probe/{secret:str}/progress", include_in_schema=False)
async def progress(site: Site, secret: str) -> ServerSentEvent:
    return ServerSentEvent(_told(site, secret))


@get("/api/probe/{secret:str}", sync_to_thread=True)
def result_json(site: Site, secret: str) -> dict[str, Any]:
    """One test's report; while it runs, its target alone."""
    entry = _tests(site).find(secret)
    if entry is None:
        raise NotFoundException(detail="There is no such test.")
    return {"target": entry.target, "verdict": entry.verdict, "ownership": entry.proof} | (entry.report or {})


async def _told(site: Site, secret: str) -> AsyncIterator[ServerSentEventMessage]:
    async for step in _tests(site).follow(secret):
        yield ServerSentEventMessage(data=msgspec.json.encode(step).decode(), event="progress")
    yield ServerSentEventMessage(data="{}", event="done")


async def _form(
    request: Ask, site: Site, asked: Asked, *, status: int = 200, problem: str = "", unproved: bool = False
) -> Response[Any]:
    host = asked.host.rpartition(":")[0] if asked.host.count(":") == 1 else asked.host
    page = partial(
        site.page,
        request,
        "pages/probe.html",
        status=status,
        asked=asked,
        problem=problem,
        unproved=unproved,
        token=_tests(site).token(asked.host) if unproved else "",
        record=f"{TXT_LABEL}.{host}",
        file=f"http://{host}{FILE_PATH}",
        transports=TRANSPORTS,
        standard=[TRICKS[name].text for name in STANDARD],
    )
    return await to_thread.run_sync(page)


def _tests(site: Site) -> Tests:
    """The site's tests; their log is made when the first page of theirs is asked for."""
    if site.tests is None:
        site.tests = Tests(site.config)
    return site.tests


HANDLERS = (form, start, result, progress, result_json)
