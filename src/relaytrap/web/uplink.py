"""The door for sensors of other machines: HTTPS on an address of its own, apart from the pages.

Nothing but segments, heartbeats and the sensor itself (as a wheel) is answered here, so it may be reached from anywhere
while the pages stay on loopback. It runs in a thread with a loop of its own: a slow page is no reason to keep
sensors waiting, nor the other way.
"""

import asyncio
import logging
import socket
import threading
from typing import Any, Final

import uvicorn
from anyio import to_thread
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

from relaytrap.errors import RelaytrapError
from relaytrap.hub.certificate import HubCertificate
from relaytrap.open_files import allow_open_files
from relaytrap.web.api import join, uplink
from relaytrap.web.serve import STOP_GRACE_S, server_config
from relaytrap.web.site import Site

__all__ = ["UplinkServer", "create_uplink_app"]

log = logging.getLogger(__name__)

REQUEST_HEAD_S: Final = 20.0
"""A request's head takes no longer, once the connection stands; whoever needs longer is no sensor."""
CONNECTIONS_MAX: Final = 16_384
"""A connection that says nothing takes 50 kB for a minute, until its handshake is given up."""
OTHER_FILES: Final = 4_096
WAITING_MAX: Final = 256
"""Segments that wait at a time for the stream, which takes them in parcels, 0.2 s apart; 1,000 sensors ship 500 a
second."""


def create_uplink_app(site: Site) -> Litestar:
    """What sensors may ask, and nothing else."""

    def provide_site() -> Site:
        return site

    return Litestar(
        route_handlers=[*uplink.SENSOR_HANDLERS, *join.HANDLERS],
        on_startup=[let_many_wait] if site.config.hub.nats_url else [],
        dependencies={"site": Provide(provide_site, sync_to_thread=False)},
        exception_handlers={RelaytrapError: explain_refusal, HTTPException: explain_http, Exception: explain_failure},
        openapi_config=None,
        logging_config=None,
    )


async def let_many_wait() -> None:
    """Each segment that waits has a thread of this loop."""
    to_thread.current_default_thread_limiter().total_tokens = WAITING_MAX


def explain_refusal(request: Request[Any, Any, State], error: RelaytrapError) -> Response[Any]:
    """What the operator can mend; the sensor comes again."""
    return Response({"error": str(error)}, status_code=503)


def explain_http(request: Request[Any, Any, State], error: HTTPException) -> Response[Any]:
    """A wrong address, token or method."""
    return Response({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def explain_failure(request: Request[Any, Any, State], error: Exception) -> Response[Any]:
    """A bug of ours: the sensor keeps its segment, the log has the traceback."""
    log.error("uplink failed path=%s", request.url.path, exc_info=error)
    return Response({"error": "the hub made a mistake; its log says where"}, status_code=500)


class UplinkServer:
    """The listening door; start it, close it at the end."""

    def __init__(self, site: Site, listener: socket.socket, certificate: HubCertificate) -> None:
        config = server_config(
            create_uplink_app(site),
            http=Impatient,
            ssl_certfile=certificate.path,
            ssl_keyfile=certificate.key,
            limit_concurrency=CONNECTIONS_MAX,
        )
        config.load()  # a certificate that cannot be used shows here
        self._listener = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        allow_open_files(CONNECTIONS_MAX + OTHER_FILES)  # one for each sensor, and an end to what strangers can open
        self._thread.start()

    def close(self) -> None:
        """Let requests end, then stop."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_GRACE_S * 2)
        self._listener.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])


class Impatient(H11Protocol):
    """uvicorn's connection, except that one which does not ask soon is closed: sensors must not wait behind those.

    uvicorn's own timer closes one that idles, and ends with the first octet of whatever comes. Ours begins with the
    connection and again with each answer, and ends with a whole head: neither half a head nor the rest of a body that
    was answered without it keeps a connection.
    """

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait(REQUEST_HEAD_S)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look_for_a_head()

    def on_response_complete(self) -> None:
        self._wait(self.timeout_keep_alive + REQUEST_HEAD_S)
        super().on_response_complete()
        self._look_for_a_head()  # it may have come before the answer to the last one was out

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        # Told of an error, uvicorn leaves its own timer to run: half a minute in which it keeps all of a connection.
        super().connection_lost(None)

    def _look_for_a_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()

    def _wait(self, seconds: float) -> None:
        self._wait_no_more()
        self._patience = self.loop.call_later(seconds, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
