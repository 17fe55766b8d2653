"""A guard on live traffic: HEP that servers send, an interface that is read along, or both, until somebody ends it."""

import logging
import select
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from types import FrameType
from typing import Final

import msgspec

from relaytrap import clock
from relaytrap.capture.direction import Directions, parse_networks
from relaytrap.capture.dissection import Dissector
from relaytrap.capture.report import CaptureReport
from relaytrap.config import Config
from relaytrap.guard import Finding, Guard
from relaytrap.hub.hep import HepDoor
from relaytrap.observation import Observation
from relaytrap.sensor.sniff import Sniffer, what_is_read

__all__ = ["Live"]

log = logging.getLogger(__name__)

TURN_S: Final = 0.25
COUNT_S: Final = 1.0
HELD_MAX_BYTES: Final = 16 << 20
LAST_TURNS: Final = 64
DROPPED: Final = "dropped by the kernel: we read too slowly"
FAULT: Final = "fault of ours"


class Live:
    """Reads until a signal, hands each message to the guard and each new finding to `tell`.

    say: called every `every_s` seconds.
    """

    def __init__(
        self,
        config: Config,
        guard: Guard,
        tell: Callable[[Finding], None],
        say: Callable[[], None],
        *,
        every_s: float,
    ) -> None:
        self._config = config
        self._guard = guard
        self._tell = tell
        self._say = say
        self._every_s = every_s
        # HEP comes in a thread of the door's own.
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._report = CaptureReport()
        self._dissector = Dissector(
            self._report, "", "", Directions(parse_networks(config.network.own_networks)), max_held=HELD_MAX_BYTES
        )
        self._last_count = clock.monotonic()
        self._is_away = False

    def run(self, hep: Sequence[str], interface: str, ports: Sequence[int], ready: Callable[[str], None]) -> None:
        """Until SIGINT or SIGTERM. Raises ConfigError or ListenError before anything is read."""
        with ExitStack() as stack:
            sniffer = Sniffer(interface, ports) if interface else None
            if sniffer is not None:
                stack.callback(sniffer.close)
            door = HepDoor(
                replace(self._config, hub=replace(self._config.hub, hep_listen=tuple(hep))), self._take_batch
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, self._stop))
            with closing(door):  # which hands over what it still holds
                door.start()
                places = [f"HEP at {place.listening}" for place in door.status().places]
                ready(", ".join([*places, *([what_is_read(interface, ports)] if interface else [])]))
                self._loop(sniffer)
            for place in door.status().places:
                self._guard.note_unread(place.refused)
        self._take(self._dissector.finish())
        self._guard.note_unread(self._report.unread)

    def _loop(self, sniffer: Sniffer | None) -> None:
        said = clock.monotonic()
        while not self._stopped.is_set():
            if sniffer is None or self._is_away:
                self._stopped.wait(TURN_S)
            elif select.select([sniffer], [], [], TURN_S)[0]:
                self._drain(sniffer, 1)
            now = clock.monotonic()
            with self._lock:
                self._each(self._guard.advance(clock.now_ns()))
                if self._every_s and now - said >= self._every_s:
                    said = now
                    self._say()
            if sniffer is not None and now - self._last_count >= COUNT_S:
                self._last_count = now
                self._sweep(sniffer)
        if sniffer is not None and not self._is_away:
            self._drain(sniffer, LAST_TURNS)
            self._sweep(sniffer)

    def _drain(self, sniffer: Sniffer, turns: int) -> None:
        try:
            while turns and sniffer.drain(self._take_packet):
                turns -= 1
        except OSError as error:
            log.warning("the interface is gone: interface=%s reason=%s", sniffer.interface, error.strerror)
            self._is_away = True

    def _sweep(self, sniffer: Sniffer) -> None:
        """Ask the kernel what it dropped; look whether an interface that went away is back."""
        before = sniffer.dropped
        sniffer.count()
        if lost := sniffer.dropped - before:
            self._report.unread[DROPPED] += lost
        if self._is_away and sniffer.reopen():
            self._is_away = False
            log.info("the interface is back: interface=%s", sniffer.interface)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopped.set()

    def _take_packet(self, link_type: int, data: bytes, moment_ns: int) -> None:
        try:
            found = self._dissector.packet(link_type, data, len(data), 0, moment_ns)
        except Exception:  # the edge of one packet
            log.exception("a packet could not be read: octets=%d", len(data))
            self._report.unread[FAULT] += 1
            return
        if found:
            self._take(found)

    def _take_batch(self, batch: Sequence[Observation], token: str) -> int:
        """What the HEP door calls its store."""
        self._take(batch)
        return len(batch)

    def _take(self, batch: Iterable[Observation]) -> None:
        with self._lock:
            now_ns = clock.now_ns()
            for seen in batch:
                if seen.received_at_ns > now_ns:  # an agent's clock is ahead: the guard would wait for nothing any more
                    seen = msgspec.structs.replace(seen, received_at_ns=now_ns)
                self._each(self._guard.take(seen))

    def _each(self, found: Iterable[Finding]) -> None:
        for finding in found:
            try:
                self._tell(finding)
            except BrokenPipeError:  # the reader left
                self._stopped.set()
