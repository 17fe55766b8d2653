"""What only the hub may do to its store while it runs, on behalf of the command line: the local token opens these."""

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import post
from litestar.exceptions import ClientException
from litestar.response import Stream

from relaytrap.hub.backup import Backup
from relaytrap.hub.reanalyse import reanalyse
from relaytrap.hub.workers import Workers
from relaytrap.web.api.catalogue import LINES
from relaytrap.web.api.uplink import require_local
from relaytrap.web.site import Ask, Site

__all__ = ["HANDLERS"]

ONE_AT_A_TIME = threading.Lock()


@post("/api/reanalyse", status_code=200, sync_to_thread=True)
def derive_again(request: Ask, site: Site) -> Stream:
    """Derive everything again from the raw bytes; `outdated=1`: only what older rules looked at. One line for each
    step: {"messages": done, "of": all}. A reader that goes away stops it; finished days stay."""
    require_local(request, site)
    if not ONE_AT_A_TIME.acquire(blocking=False):
        raise ClientException(detail="It is being done already; wait for it to end.", status_code=409)
    return Stream(_steps(site, request.query_params.get("outdated") == "1"), media_type=LINES)


@post("/api/backup", status_code=200, sync_to_thread=True)
def back_up(request: Ask, site: Site) -> Stream:
    """A tar of everything that this hub keeps, of one moment; X-Relaytrap-Total: about how many bytes it has."""
    require_local(request, site)
    if site.ingest is None:
        raise ClientException(detail="This server shows pages only; back up its hub.", status_code=405)
    if not ONE_AT_A_TIME.acquire(blocking=False):
        raise ClientException(detail="The store is being kept otherwise; wait for that to end.", status_code=409)
    try:
        backup = Backup(site.store, site.config.data_dir, site.ingest.gate)
    except BaseException:
        ONE_AT_A_TIME.release()
        raise
    headers = {"x-relaytrap-total": str(backup.total_bytes)}
    return Stream(_pieces(backup), media_type="application/x-tar", headers=headers)


def _pieces(backup: Backup) -> Iterator[bytes]:
    try:
        yield from backup.chunks()
    finally:
        backup.close()
        ONE_AT_A_TIME.release()


def _steps(site: Site, only_outdated: bool) -> Iterator[bytes]:
    workers = Workers(site.config)
    try:
        for step in reanalyse(site.store, workers, only_outdated=only_outdated):
            told: dict[str, Any] = {"messages": step.messages, "of": step.of}
            yield msgspec.json.encode(told) + b"\n"
    finally:
        workers.close()
        site.answers.forget()
        ONE_AT_A_TIME.release()


HANDLERS = (derive_again, back_up)
