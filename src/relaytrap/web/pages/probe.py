"""The open-relay test as a page: one form, live progress, a result under a secret link."""

import ipaddress
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect, ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from relaytrap.clock import rfc3339
from relaytrap.errors import InputError
from relaytrap.probe.ownership import FILE_PATH, TXT_LABEL
from relaytrap.probe.register import Entry
from relaytrap.probe.schedule import parse_every
from relaytrap.probe.target import TRANSPORTS, host_of
from relaytrap.probe.tricks import STANDARD, TRICKS
from relaytrap.sip.uri import host_port
from relaytrap.web.file_names import safe_name
from relaytrap.web.probe_report import render_html, shown_result
from relaytrap.web.probing import Asked, Tests
from relaytrap.web.site import Ask, Site, TheSite
from relaytrap.web.threads import in_thread

__all__ = ["HANDLERS", "client_of", "find_tests", "own_address_of"]

HOST_MAX: Final = 255
# What a page offers; the command line takes any interval.
INTERVALS: Final = ("1d", "1w")


@get("/probe", include_in_schema=False)
async def form(request: Ask, site: TheSite) -> Response[Any]:
    return await _form(request, site, Asked(request.query_params.get("host", "")[:HOST_MAX]))


@post("/probe", include_in_schema=False)
async def start(request: Ask, site: TheSite) -> Response[Any]:
    given = await request.form()
    asked = Asked(
        host=str(given.get("host", "")).strip()[:HOST_MAX],
        domain=str(given.get("domain", "")).strip()[:HOST_MAX],
        transports=tuple(name for name in TRANSPORTS if name in given.getall("transport", [])),
        thorough=given.get("thorough") == "yes",
    )
    return await _start(request, site, asked)


@post("/probe/{secret:str}/again", include_in_schema=False)
async def again(request: Ask, site: TheSite, secret: FromPath[str]) -> Response[Any]:
    """The same test once more, or from now on every day or week; ownership is proved anew."""
    entry = await in_thread(_entry, site, secret)
    every = str((await request.form()).get("every", ""))
    asked = Asked.again(entry.target, entry.options)
    if every not in INTERVALS:
        return await _start(request, site, asked)
    try:
        schedule = await find_tests(site).repeat(asked, client_of(request), parse_every(every), baseline=secret)
    except InputError as error:
        return await _form(request, site, asked, status=400, problem=str(error))
    if not schedule:
        return await _form(request, site, asked, status=403, unproved=True)
    return Redirect(f"/probe/schedule/{schedule}", status_code=303)


@get("/probe/{secret:str}", sync_to_thread=True, include_in_schema=False)
def result(request: Ask, site: TheSite, secret: FromPath[str]) -> Response[bytes]:
    entry = _entry(site, secret)
    shown = shown_result(entry.report) if entry.report else {}
    return site.page(request, "pages/probe_result.html", entry=entry, json_twin=f"/api/probe/{secret}", **shown)


@get("/probe/{secret:str}/report.html", sync_to_thread=True, include_in_schema=False)
def result_html(site: TheSite, secret: FromPath[str]) -> Response[bytes]:
    entry, report = _finished(site, secret)
    return _file(entry, render_html(report).encode(), "text/html", "html")


@get("/probe/{secret:str}/report.pdf", sync_to_thread=True, include_in_schema=False)
def result_pdf(site: TheSite, secret: FromPath[str]) -> Response[bytes]:
    from relaytrap.web.probe_pdf import render_pdf  # with numpy: a third of a second and 20 MB

    entry, report = _finished(site, secret)
    return _file(entry, render_pdf(report), "application/pdf", "pdf")


@get("/probe/{secret:str}/progress", include_in_schema=False)
async def progress(site: TheSite, secret: FromPath[str]) -> ServerSentEvent:
    return ServerSentEvent(_told(site, secret))


@get("/api/probe/{secret:str}", sync_to_thread=True)
def result_json(site: TheSite, secret: FromPath[str]) -> dict[str, Any]:
    """One test's report; while it runs, its target alone."""
    entry = _entry(site, secret)
    return {"target": entry.target, "verdict": entry.verdict, "ownership": entry.proof} | (entry.report or {})


def find_tests(site: Site) -> Tests:
    """The site's tests; their log is made when the first page of theirs is asked for."""
    if site.tests is None:
        site.tests = Tests(site.config)
    return site.tests


def client_of(request: Ask) -> str:
    """The address that a request came from, canonical: a listener for both IP versions sees IPv4 ones as IPv6."""
    if request.client is None:
        return ""
    client = ipaddress.ip_address(request.client.host.partition("%")[0])
    return str(client.ipv4_mapped or client) if client.version == 6 else str(client)


def own_address_of(request: Ask) -> str:
    """The address of whoever asks; "" when it does not tell: everybody who comes by a tunnel comes from loopback."""
    client = client_of(request)
    return "" if not client or ipaddress.ip_address(client).is_loopback else client


async def _start(request: Ask, site: Site, asked: Asked) -> Response[Any]:
    try:
        secret = await find_tests(site).start(asked, client_of(request))
    except InputError as error:
        return await _form(request, site, asked, status=400, problem=str(error))
    if not secret:
        return await _form(request, site, asked, status=403, unproved=True)
    return Redirect(f"/probe/{secret}", status_code=303)


async def _told(site: Site, secret: str) -> AsyncIterator[ServerSentEventMessage]:
    async for step in find_tests(site).follow(secret):
        yield ServerSentEventMessage(data=msgspec.json.encode(step).decode(), event="progress")
    yield ServerSentEventMessage(data="{}", event="done")


def _entry(site: Site, secret: str) -> Entry:
    entry = find_tests(site).find(secret)
    if entry is None:
        raise NotFoundException(detail="There is no such test.")
    return entry


def _finished(site: Site, secret: str) -> tuple[Entry, dict[str, Any]]:
    entry = _entry(site, secret)
    if entry.report is None:
        raise NotFoundException(detail="The test has not ended yet.")
    return entry, entry.report


def _file(entry: Entry, content: bytes, media_type: str, suffix: str) -> Response[bytes]:
    name = safe_name(f"open-relay-test-{entry.target}-{rfc3339(entry.started_at_ns)[:10]}")
    headers = {"content-disposition": f'attachment; filename="{name}.{suffix}"', "cache-control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)


async def _form(
    request: Ask, site: Site, asked: Asked, *, status: int = 200, problem: str = "", unproved: bool = False
) -> Response[Any]:
    host = host_of(asked.host)
    is_name = ":" not in host and not host.replace(".", "").isdecimal()
    page = partial(
        site.page,
        request,
        "pages/probe.html",
        status=status,
        asked=asked,
        problem=problem,
        unproved=unproved,
        own_address=own_address_of(request),
        token=find_tests(site).token(asked.host) if unproved else "",
        record=f"{TXT_LABEL}.{host}" if is_name else "",
        reverse=host,
        file=f"http://{'ADDRESS' if is_name else host_port(host)}{FILE_PATH}",
        transports=TRANSPORTS,
        standard=[TRICKS[name].text for name in STANDARD],
    )
    return await in_thread(page)


HANDLERS = (form, start, again, result, result_html, result_pdf, progress, result_json)
