"""Ships closed segments to the hub, oldest first, again and again until the hub has acknowledged each.

A thread of its own with blocking HTTP: the sensor's loop never waits for a hub. A segment is removed only after the
hub said that it has it; the hub throws away what it gets twice. After a failure the thread waits, longer each time,
with jitter so that a fleet does not come back in one moment; a hub that says Retry-After is obeyed.
"""

import http.client
import json
import logging
import random
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from relaytrap import clock
from relaytrap.sensor.heartbeat import Heartbeat
from relaytrap.sensor.link import Answered, HubAddress, Link, WrongCertificate
from relaytrap.sensor.spool import ClosedSegment, Spool
from relaytrap.sensor.spool_state import is_id, is_number

__all__ = ["Uplink", "finish_shipping"]

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 5.0
SHORTEST_WAIT_S: Final = 0.05
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
FAILURES_BEFORE_A_WORD: Final = 3
STOP_GRACE_S: Final = 3.0
UNREADABLE: Final = frozenset({413, 415, 422})
"""The hub looked at the bytes and will never take them; asking again would block everything behind."""
HUB_IS_BEHIND: Final = 409
"""The hub has less of this spool than it acknowledged: it was restored from a backup."""
SENTENCE_MAX: Final = 300
COMPRESSION: Final = 1
"""SIP text shrinks to a fifth even so; higher levels cost the sensor's one core five times as much for little."""


class Uplink(threading.Thread):
    """The shipping thread. Start it, call `wake` when a segment was closed, `stop` at the end.

    status: gives what a heartbeat tells besides; called in this thread, so it may only read.
    """

    def __init__(self, spool: Spool, hub: HubAddress, token: str, *, status: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(name="uplink", daemon=True)
        self.is_connected = False
        self._spool = spool
        self._link = Link(hub, token)
        self._heartbeat = Heartbeat(status, hub.trust)
        self._event = threading.Event()
        self._stopping = False
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
            while (segment := self._spool.backlog.oldest()) is not None:
                self._ship(segment)
                self._beat()
        except (OSError, http.client.HTTPException, HubRefused) as error:
            self._failed(error)
            return False
        except Exception as error:  # the edge of one unit of work: a bug of ours must not end shipping
            log.exception("shipping failed, it is tried again later")
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
        if isinstance(error, ssl.SSLCertVerificationError):
            complaint = (
                f"no authority of this machine vouches for the hub's certificate ({error.verify_message}); "
                "join again with --pin and the fingerprint that relaytrap hub certificate prints there"
            )
        # A hub that starts together with us is not worth a word; one that is not ours is, at once.
        self._failures += FAILURES_BEFORE_A_WORD if isinstance(error, (ssl.SSLError, WrongCertificate)) else 1
        if self._failures >= FAILURES_BEFORE_A_WORD and complaint != self._last_complaint:
            log.warning("the hub does not take segments, they stay in the spool: reason=%s", complaint)
            self._last_complaint = complaint

    def _ship(self, segment: ClosedSegment) -> None:
        try:
            data = segment.path.read_bytes()
        except FileNotFoundError:  # dropped for room in this moment, or removed by hand
            self._spool.backlog.drop(segment)
            return
        answered = self._post(
            "/api/segments",
            zlib.compress(data, COMPRESSION),
            {
                "Content-Type": "application/x-pcapng",
                "Content-Encoding": "deflate",
                "X-Relaytrap-Octets": str(len(data)),
                "X-Relaytrap-Segment": str(segment.number),
                "X-Relaytrap-Acknowledged": f"{self._spool.state.hub_id}/{self._spool.state.acknowledged}",
            },
        )
        if answered.status == 200 and _acknowledges(answered.body, segment.number):
            self._spool.acknowledge(segment)
            self._works()
        elif answered.status == HUB_IS_BEHIND and self._catch_up():
            pass  # what it lost goes first
        elif answered.status in UNREADABLE:
            self._spool.backlog.set_aside(segment)
            log.error("the hub cannot read a segment, it is kept as .refused: segment=%d", segment.number)
        else:
            raise HubRefused(answered)

    def _beat(self) -> None:
        now = clock.monotonic()
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + HEARTBEAT_S
        body = self._heartbeat.body(clock.now_ns(), now)
        answered = self._post("/api/heartbeat", body, {"Content-Type": "application/json"})
        if answered.status >= 300:
            raise HubRefused(answered)
        self._works()
        self._reconcile(answered)

    def _catch_up(self) -> bool:
        """Tell the hub at once what it acknowledged, hear what it has; False when that changed nothing."""
        before = self._spool.state.acknowledged
        self._next_heartbeat = 0.0
        self._beat()
        return self._spool.state.acknowledged != before

    def _reconcile(self, answered: Answered) -> None:
        """Compare with the hub which segments it has, if it says so."""
        said = _object(answered.body)
        hub_id, highest = said.get("hub"), said.get("highest_segment")
        is_ours = said.get("sensor") == self._spool.sensor
        if not is_ours or not is_id(hub_id) or not is_number(highest):
            return  # an older hub, or one that knows our token under another name, or that says what no hub says
        again = self._spool.reconcile(hub_id, highest)
        if again:
            log.warning("the hub lost what it had acknowledged, it is shipped again: segments=%d", again)

    def _works(self) -> None:
        if not self.is_connected or self._last_complaint:
            log.info("connected to the hub: host=%s port=%d", self._link.hub.host, self._link.hub.port)
        self.is_connected = True
        self._last_complaint = ""

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        spool = {"X-Relaytrap-Sensor": self._spool.sensor, "X-Relaytrap-Spool": self._spool.state.spool_id}
        return self._link.post(path, body, {**spool, **headers})

    def _disconnect(self) -> None:
        self.is_connected = False
        self._link.close()


def finish_shipping(spool: Spool, uplink: Uplink | None) -> None:
    """Close the spool, ship what a reachable hub takes at once, and only then let the spool's folder go.

    An uplink that does not end in its time may still write there, so the folder stays ours until the process is gone.
    """
    spool.finish(clock.monotonic())
    if uplink is not None and uplink.is_alive():
        uplink.stop()
    if uplink is None or not uplink.is_alive():
        spool.release()


class HubRefused(Exception):
    """The hub answered, and not with what we hoped for."""

    def __init__(self, answered: Answered) -> None:
        said = str(_object(answered.body).get("error", ""))[:SENTENCE_MAX]
        text = {401: "the hub does not know this token", 403: "the hub does not know this token"}
        super().__init__(text.get(answered.status) or said or f"the hub answered {answered.status}")
        self.retry_after_s = answered.retry_after_s


def _acknowledges(body: bytes, number: int) -> bool:
    return _object(body).get("acknowledged") == number


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object that an answer is; empty for anything else."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
