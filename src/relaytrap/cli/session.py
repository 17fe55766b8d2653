"""One way to ask, whether a hub runs or not: over its API when it does, on the store itself when it does not.

One process owns the store. A running hub leaves `hub.json` (pid, url, token) in its data directory; a hub that died
leaves it too, so the lock decides.
"""

import contextlib
import http.client
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlencode, urlsplit

import click
import msgspec

from relaytrap.clock import monotonic
from relaytrap.config import HUB_NOTE, Config
from relaytrap.errors import InputError, StoreError, StoreLocked

__all__ = ["HubSession", "Session", "StoreSession", "awaited_hub", "open_session", "running_hub"]

Row = dict[str, Any]
LINES = "application/x-ndjson"
TIMEOUT_S = 600.0
WAIT_S = 60.0
"""A hub with a large store may take so long until it answers."""
LOOK_S = 0.25
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RunningHub:
    """Where the hub that owns a data directory answers. uplink_url: and where to sensors of other machines; or ""."""

    pid: int
    url: str
    token: str
    uplink_url: str = ""


class Readable(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Up to that many; empty at the end."""


class StoreSession:
    """Questions asked of the store in this process."""

    def __init__(self, config: Config) -> None:
        from relaytrap.store import Store

        self.store = Store(config.store, config.data_dir)

    def query(self, name: str, given: Mapping[str, Any]) -> Iterable[Row]:
        """Rows of one question of store.queries.CATALOGUE; None and "" count as not given."""
        from relaytrap.store.queries import run_query

        return run_query(self.store, name, _set(given))

    def close(self) -> None:
        """Let the store go."""
        self.store.close()


class HubSession:
    """Questions asked of the running hub."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub

    def query(self, name: str, given: Mapping[str, Any]) -> Iterator[Row]:
        """Rows of one question, as they arrive."""
        return self.lines("GET", _path(name, given))

    def lines(
        self, method: str, path: str, body: Readable | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Row]:
        """The objects of an answer of one JSON object a line, as they arrive.

        Raises InputError or StoreError with the hub's own sentence.
        """
        with self._answer(method, path, body, {"Accept": LINES, **(headers or {})}) as answer:
            for line in _lines(answer):
                yield msgspec.json.decode(line)

    @contextlib.contextmanager
    def download(self, path: str, method: str = "POST") -> Iterator[tuple[int, Iterator[bytes]]]:
        """What the hub gives: about how many bytes it will be, where it says so, and the pieces as they arrive.

        Raises InputError or StoreError with the hub's own sentence.
        """
        with self._answer(method, path) as answer:
            total = int(answer.getheader("X-Relaytrap-Total") or 0)
            yield total, self._pieces(answer)

    def events(self, name: str, given: Mapping[str, Any]) -> Iterator[Row]:
        """Objects of a live stream (server-sent events) as they arrive, until the hub ends.

        Raises InputError or StoreError with the hub's own sentence.
        """
        with self._answer("GET", _path(name, given)) as answer:
            for line in _lines(answer):
                # A line without its end was cut: the hub ended in the middle of it.
                if line.startswith(b"data: ") and line.endswith(b"\n"):
                    yield msgspec.json.decode(line[len(b"data: ") :])

    def close(self) -> None:
        """Nothing is kept open between questions."""

    @contextlib.contextmanager
    def _answer(
        self, method: str, path: str, body: Readable | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The hub's answer, to be read while the block runs."""
        sent = {"Authorization": f"Bearer {self.hub.token}", **(headers or {})}
        with contextlib.closing(self._connect()) as connection, self._sentences():
            connection.request(method, path, _chunks(body) if body else None, sent, encode_chunked=body is not None)
            answer = connection.getresponse()
            if answer.status >= 400:
                _refuse(answer)
            yield answer

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        hub = f"the hub (process {self.hub.pid}) at {self.hub.url}"
        try:
            yield
        except http.client.IncompleteRead:
            raise StoreError(f"{hub} broke off its answer: it was stopped, or its log says why") from None
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"{hub} does not answer: {error}") from None

    def _pieces(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        with self._sentences():  # here as well: whoever writes them elsewhere has an OSError of its own
            while piece := answer.read(CHUNK_BYTES):
                yield piece

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.hub.url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)


Session: TypeAlias = StoreSession | HubSession


@contextlib.contextmanager
def open_session(config: Config) -> Iterator[Session]:
    """A session with the hub of this data directory, or with the store itself when no hub runs.

    A hub that starts, or a command that has the store, is waited for. Raises StoreLocked when that takes too long.
    """
    session = _wait_for_session(config)
    try:
        yield session
    finally:
        session.close()


def _wait_for_session(config: Config) -> Session:
    """The first way that opens: the process that owns the data begins to answer, or ends."""
    for is_last in _looks(config.data_dir):
        if hub := running_hub(config.data_dir):
            return HubSession(hub)
        try:
            return StoreSession(config)
        except StoreLocked as locked:
            if is_last:
                raise StoreLocked(f"{locked}; it did not answer within {WAIT_S:.0f} s") from None
    raise AssertionError("the last look decides")


def awaited_hub(data_dir: Path) -> RunningHub | None:
    """The hub that owns a data directory, once it answers; None when nobody owns it, or whoever does stays silent."""
    from relaytrap.store.lock import owner_of

    for is_last in _looks(data_dir):
        if (hub := running_hub(data_dir)) or is_last or owner_of(data_dir) is None:
            return hub
    return None


def _looks(data_dir: Path) -> Iterator[bool]:
    """Of each look at a directory that somebody else has, whether it is the last; waits between them, and says so."""
    given_up = monotonic() + WAIT_S
    yield WAIT_S <= 0
    click.echo(f"{data_dir} is in use by a process that does not answer yet; waiting ...", err=True)
    while True:
        time.sleep(LOOK_S)
        yield monotonic() > given_up


def running_hub(data_dir: Path) -> RunningHub | None:
    """The hub that owns a data directory now; None when none does."""
    from relaytrap.store.lock import owner_of

    owner = owner_of(data_dir)
    if owner is None:
        return None
    try:
        told = json.loads((data_dir / HUB_NOTE).read_text())
        hub = RunningHub(int(told["pid"]), str(told["url"]), str(told.get("token", "")), str(told.get("uplink", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return hub if hub.pid == owner else None


def _path(name: str, given: Mapping[str, Any]) -> str:
    return f"/api/{name}?{urlencode({key: _as_text(value) for key, value in _set(given).items()})}"


def _set(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None and value != ""}


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _chunks(stream: Readable) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Lines as they arrive. The answer's own way to them takes one that broke off between two pieces for whole."""
    rest = b""
    while piece := answer.read1(CHUNK_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _refuse(answer: http.client.HTTPResponse) -> None:
    data = answer.read(1 << 16)
    try:
        sentence = str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = data.decode("utf-8", "replace").strip() or f"the hub answered {answer.status}"
    raise InputError(sentence) if answer.status < 500 else StoreError(sentence)
