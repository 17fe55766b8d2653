"""Ships closed segments to the hub, oldest first, again and again until the hub has acknowledged each.

A thread of its own with blocking HTTP: the sensor's loop never waits for a hub. A segment is removed only after the
hub said that it has it; the hub throws away what it gets twice. After a failure the thread waits, longer each time,
with jitter so that a fleet does not come back in one moment; a hub that says Retry-After is obeyed.
"""

import http.client
import ipaddress
import json
import logging
import random
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from relaytrap import clock
from relaytrap.errors import ConfigError
from relaytrap.sensor.spool import ClosedSegment, Spool

__all__ = ["HubAddress", "Uplink", "parse_hub_url"]

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 5.0
SHORTEST_WAIT_S: Final = 0.05
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
FAILURES_BEFORE_A_WORD: Final = 3
TIMEOUT_S: Final = 30.0
STOP_GRACE_S: Final = 3.0
UNREADABLE: Final = frozenset({413, 415, 422})
"""The hub looked at the bytes and will never take them; asking again would block everything behind."""
COMPRESSION: Final = 1
"""SIP text shrinks to a fifth even so; higher levels cost the sensor's one core five times as much for little."""


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where the hub is. prefix: the path before `/api`, without a closing slash."""

    scheme: str
    host: str
    port: int
    prefix: str = ""


def parse_hub_url(url: str) -> HubAddress:
    """The hub that a setting names. Raises ConfigError for what is no address, or plain HTTP beyond loopback."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise ConfigError(f"sensor.hub_url: {url!r} is no hub address; write https://HOST:PORT")
    if parts.scheme == "http" and not _is_loopback(parts):
        raise ConfigError(
            f"sensor.hub_url: plain http to {parts.hostname} would show the token to everybody; write https://, "
            "or http://127.0.0.1 for a hub on this machine"
        )
    return HubAddress(
        parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), parts.path.rstrip("/")
    )


def _is_loopback(parts: SplitResult) -> bool:
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


@dataclass(slots=True)
class Answered:
    """What the hub said to one request. retry_after_s: None when it named no time."""

    status: int
    body: bytes
    retry_after_s: float | None


class Uplink(threading.Thread):
    """The shipping thread. Start it, call `wake` when a segment was closed, `stop` at the end.

    status: gives what a heartbeat tells besides; called in this thread, so it may only read.
    """

    def __init__(self, spool: Spool, hub: HubAddress, token: str, *, status: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(name="uplink", daemon=True)
        self.shipped_segments = 0
        self.refused_segments = 0
        self.is_connected = False
        self._spool = spool
        self._hub = hub
        self._token = token
        self._status = status
        self._event = threading.Event()
        self._stopping = False
        self._connection: http.client.HTTPConnection | None = None
        self._wait_s = 0.0
        self._next_heartbeat = 0.0
        self._last_complaint = ""
        self._failures = 0

    def wake(self) -> None:
        """Something is there to ship."""
        self._event.set()

    def stop(self) -> None:
        """Ship what a reachable hub takes within a few seconds, then end."""
        self._stopping = True
        self._event.set()
        self.join(STOP_GRACE_S)

    def run(self) -> None:
        """Heartbeat and ship, until stopped; nothing the network does ends this."""
        while not self._stopping:
            self._event.clear()
            if self._try():
                self._event.wait(max(0.0, self._next_heartbeat - clock.monotonic()))
            else:
                self._sleep(self._wait_s)
        if not self._wait_s:
            self._try()  # what was closed at the very end
        self._disconnect()

    def _try(self) -> bool:
        """Ship all there is; False when the hub or the way to it failed."""
        try:
            self._beat()
            while (segment := self._spool.oldest_closed()) is not None:
                self._ship(segment)
                self._beat()
        except (OSError, http.client.HTTPException, HubRefused) as error:
            self._failed(error)
            return False
        self._wait_s, self._failures = 0.0, 0
        return True

    def _sleep(self, seconds: float) -> None:
        """Wait that long, or until stopped: a closed segment is no reason to press a hub that failed."""
        end = clock.monotonic() + seconds
        while not self._stopping and (left := end - clock.monotonic()) > 0:
            self._event.wait(left)
            self._event.clear()

    def _failed(self, error: Exception) -> None:
        self._disconnect()
        asked = error.retry_after_s if isinstance(error, HubRefused) else None
        doubled = min(LONGEST_WAIT_S, max(FIRST_WAIT_S, self._wait_s * 2))
        self._wait_s = max(SHORTEST_WAIT_S, asked) if asked is not None else doubled * random.uniform(0.5, 1.0)
        complaint = str(error) or type(error).__name__
        self._failures += 1
        # A hub that starts together with us is not worth a word.
        if self._failures >= FAILURES_BEFORE_A_WORD and complaint != self._last_complaint:
            log.warning("the hub does not take segments, they stay in the spool: reason=%s", complaint)
            self._last_complaint = complaint

    def _ship(self, segment: ClosedSegment) -> None:
        try:
            data = segment.path.read_bytes()
        except FileNotFoundError:  # dropped for room in this moment, or removed by hand
            self._spool.acknowledge(segment)
            return
        answered = self._post(
            "/api/segments",
            zlib.compress(data, COMPRESSION),
            {
                "Content-Type": "application/x-pcapng",
                "Content-Encoding": "deflate",
                "X-Relaytrap-Segment": str(segment.number),
            },
        )
        if answered.status == 200 and _acknowledges(answered.body, segment.number):
            self._spool.acknowledge(segment)
            self.shipped_segments += 1
            self._works()
        elif answered.status in UNREADABLE:
            self._spool.set_aside(segment)
            self.refused_segments += 1
            log.error("the hub cannot read a segment, it is kept as .refused: segment=%d", segment.number)
        else:
            raise HubRefused(answered)

    def _beat(self) -> None:
        now = clock.monotonic()
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + HEARTBEAT_S
        body = json.dumps({**self._status(), "clock": clock.rfc3339(clock.now_ns())}).encode()
        answered = self._post("/api/heartbeat", body, {"Content-Type": "application/json"})
        if answered.status >= 300:
            raise HubRefused(answered)
        self._works()

    def _works(self) -> None:
        if not self.is_connected or self._last_complaint:
            log.info("connected to the hub: host=%s port=%d", self._hub.host, self._hub.port)
        self.is_connected = True
        self._last_complaint = ""

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """One request. A connection that the hub closed while it idled is replaced once: nothing is wrong then, and
        the hub recognises a segment that comes twice."""
        if self._connection is not None:
            try:
                return self._ask(self._connection, path, body, headers)
            except (ConnectionError, http.client.RemoteDisconnected):
                self._connection.close()
        return self._ask(self._connect(), path, body, headers)

    def _ask(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Answered:
        sent = {
            "Authorization": f"Bearer {self._token}",
            "X-Relaytrap-Sensor": self._spool.sensor,
            "X-Relaytrap-Spool": self._spool.state.spool_id,
            **headers,
        }
        connection.request("POST", self._hub.prefix + path, body, sent)
        response = connection.getresponse()
        return Answered(response.status, response.read(), _seconds(response.getheader("Retry-After")))

    def _connect(self) -> http.client.HTTPConnection:
        hub = self._hub
        if hub.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(hub.host, hub.port, timeout=TIMEOUT_S, context=context)
        else:
            self._connection = http.client.HTTPConnection(hub.host, hub.port, timeout=TIMEOUT_S)
        return self._connection

    def _disconnect(self) -> None:
        self.is_connected = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class HubRefused(Exception):
    """The hub answered, and not with what we hoped for."""

    def __init__(self, answered: Answered) -> None:
        text = {401: "the hub does not know this token", 403: "the hub does not know this token"}
        super().__init__(text.get(answered.status, f"the hub answered {answered.status}"))
        self.retry_after_s = answered.retry_after_s


def _acknowledges(body: bytes, number: int) -> bool:
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("acknowledged") == number


def _seconds(text: str | None) -> float | None:
    return min(float(text), 3600.0) if text and text.isdecimal() else None
