"""What only the hub may do to its store while it runs, on behalf of the command line: the local token opens these."""

import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import msgspec
from anyio import CancelScope, to_thread
from litestar import post
from litestar.exceptions import ClientException
from litestar.response.streaming import ASGIStreamingResponse

from relaytrap.hub.backup import Backup
from relaytrap.hub.reanalyse import reanalyse
from relaytrap.hub.workers import Workers
from relaytrap.web.api.catalogue import LINES
from relaytrap.web.api.uplink import require_local
from relaytrap.web.site import Ask, Site, TheSite
from relaytrap.web.streaming import in_threads

__all__ = ["HANDLERS", "told_while"]

ONE_AT_A_TIME = threading.Lock()
BEAT_S = 10.0


class Held(ASGIStreamingResponse):
    """Pieces that are made while something is held, which is given back however the answer ends.

    The `finally` of a generator would not do: with a reader that is gone before the first piece, it never begins.
    """

    def __init__(self, pieces: Generator[bytes, None, None], held: ExitStack, **options: Any) -> None:
        held.callback(pieces.close)
        self._held = held.pop_all()
        super().__init__(iterator=self._in_threads(pieces), **options)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._held.close)

    async def _in_threads(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in in_threads(pieces):
            yield piece
        await to_thread.run_sync(self._held.close)  # who has it all may ask for the next at once


@post("/api/reanalyse", status_code=200, sync_to_thread=True)
def derive_again(request: Ask, site: TheSite) -> Held:
    """Derive everything again from the raw bytes; `outdated=1`: only what older rules looked at. One line for each
    step: {"messages": done, "of": all}. A reader that goes away stops it; finished days stay."""
    require_local(request, site)
    only_outdated = request.query_params.get("outdated") == "1"
    with ExitStack() as held:
        held.enter_context(_alone("It is being done already; wait for it to end."))
        held.callback(site.answers.forget)
        workers = held.enter_context(closing(Workers(site.config)))
        return Held(_steps(site, workers, only_outdated), held, media_type=LINES)


@post("/api/analyse", status_code=200, sync_to_thread=True)
def find_now(request: Ask, site: TheSite) -> Held:
    """Bring relays, origins and campaigns up to date with what is stored. A line now and then, so that who waits knows
    that it goes on; `done`: whether it has, which is never where another hub does that."""
    require_local(request, site)
    with ExitStack() as held:
        held.callback(site.answers.forget)
        analysis = site.doors.analysis if site.doors else None
        return Held(told_while(analysis.update if analysis else None), held, media_type=LINES)


@post("/api/backup", status_code=200, sync_to_thread=True)
def back_up(request: Ask, site: TheSite) -> Held:
    """A tar of everything that this hub keeps, of one moment; X-Relaytrap-Total: about how many bytes it has."""
    require_local(request, site)
    if site.doors is None:
        raise ClientException(detail="This server shows pages only; back up its hub.", status_code=405)
    with ExitStack() as held:
        held.enter_context(_alone("The store is being kept otherwise; wait for that to end."))
        backup = held.enter_context(closing(Backup(site.store, site.config.data_dir, site.doors.ingest.gate)))
        headers = {"x-relaytrap-total": str(backup.total_bytes)}
        return Held(_pieces(backup), held, media_type="application/x-tar", headers=headers)


@contextmanager
def _alone(refusal: str) -> Iterator[None]:
    """409 with this sentence while another holds it."""
    if not ONE_AT_A_TIME.acquire(blocking=False):
        raise ClientException(detail=refusal, status_code=409)
    try:
        yield
    finally:
        ONE_AT_A_TIME.release()


def _pieces(backup: Backup) -> Generator[bytes, None, None]:
    yield from backup.chunks()


def told_while(work: Callable[[], object] | None) -> Generator[bytes, None, None]:
    """A line each BEAT_S seconds while work goes on, and one at its end."""
    if work:
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            while not wait([working], BEAT_S).done:
                yield _line({"done": False})
            working.result()
    yield _line({"done": work is not None})


def _line(told: dict[str, Any]) -> bytes:
    return msgspec.json.encode(told) + b"\n"


def _steps(site: Site, workers: Workers, only_outdated: bool) -> Generator[bytes, None, None]:
    for step in reanalyse(site.store, workers, only_outdated=only_outdated):
        yield _line({"messages": step.messages, "of": step.of})


HANDLERS = (derive_again, find_now, back_up)
