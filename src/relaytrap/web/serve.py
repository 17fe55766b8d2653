"""Running the page server: its socket, its signals, the note that tells others where it is."""

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn

from relaytrap.config import HUB_NOTE
from relaytrap.errors import DiskError, ListenError
from relaytrap.sip.uri import host_port
from relaytrap.web.app import create_app
from relaytrap.web.security import Endpoint
from relaytrap.web.site import Site

__all__ = ["STOP_GRACE_S", "bind", "serve", "server_config"]

log = logging.getLogger(__name__)
BACKLOG: Final = 512
STOP_GRACE_S: Final = 3
# Longer than a sensor's silence between two heartbeats (5 s), so that it need not connect anew for each.
KEEP_ALIVE_S: Final = 30


def bind(endpoint: Endpoint, setting: str = "web.listen") -> socket.socket:
    """A listening socket. Raises ListenError with what to do about it."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((endpoint.host, endpoint.port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        where = host_port(endpoint.host, endpoint.port)
        if error.errno == errno.EADDRINUSE:
            raise ListenError(
                f"{setting}: {where} is taken by another program; choose another address or port"
            ) from None
        if error.errno == errno.EACCES:
            raise ListenError(f"{setting}: this user may not open {where}; choose a port above 1023") from None
        raise ListenError(
            f"{setting}: {where} cannot be opened ({error.strerror}); is the address this machine's?"
        ) from None
    made.set_inheritable(False)
    return made


def serve(site: Site, listener: socket.socket, ready: Callable[[Site, str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT (or until the server is told to stop); writes hub.json while it runs.

    ready: called in a thread once pages are answered, with the site and its address; what it raises ends the server
    and is raised here.
    """
    host, port = listener.getsockname()[:2]
    url = Endpoint(host, port).url
    server = _Server(server_config(create_app(site), lifespan="on"), site, url, ready)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
    if server.failure is not None:
        raise server.failure


def server_config(app: Any, **more: Any) -> uvicorn.Config:
    """How every door of ours is served, and what a door wants besides.

    No address is taken from a header, no software is named, there are no WebSockets; what strangers send is no line in
    the log, or they fill the disk.
    """
    return uvicorn.Config(
        app,
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="error",
        timeout_graceful_shutdown=STOP_GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        **more,
    )


class _Server(uvicorn.Server):
    """uvicorn, except that it tells open streams when it stops, and leaves the signal to its caller's clean-up."""

    def __init__(self, config: uvicorn.Config, site: Site, url: str, ready: Callable[[Site, str], None] | None) -> None:
        super().__init__(config)
        self._site, self._url, self._ready = site, url, ready
        self.failure: BaseException | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._site.on_stop = self._asked_to_stop
        self._loop = asyncio.get_running_loop()
        doors = self._site.doors
        write_note(self._site.config.data_dir, self._url, self._site.token, doors.uplink_url if doors else "")
        if self._ready is not None:
            threading.Thread(target=self._tell, name="ready", daemon=True).start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._site.stopping.set()
        remove_note(self._site.config.data_dir)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._asked_to_stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but without raising the signal again: the caller closes store and sensor first."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _asked_to_stop(self) -> None:
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._site.stopping.set)

    def _tell(self) -> None:
        assert self._ready is not None
        try:
            self._ready(self._site, self._url)
        except BaseException as error:  # noqa: BLE001 - handed to the caller of serve, whatever it is
            self.failure = error
            self._asked_to_stop()


def write_note(data_dir: Path, url: str, token: str, uplink_url: str = "") -> None:
    """hub.json: where this hub answers, for the command line. Readable by its owner alone: it holds a token."""
    path = data_dir / HUB_NOTE
    part = path.with_suffix(".part")
    told: dict[str, Any] = {"pid": os.getpid(), "url": url, "token": token, "uplink": uplink_url}
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(told, file)
        part.replace(path)
    except OSError as error:
        raise DiskError(f"{path}: cannot be written ({error.strerror}); give permission or free space") from None


def remove_note(data_dir: Path) -> None:
    """Nothing runs here any more."""
    with contextlib.suppress(OSError):
        (data_dir / HUB_NOTE).unlink(missing_ok=True)
