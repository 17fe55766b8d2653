"""A sensor that only reads along: SIP off one interface into the spool, without a port and without an answer.

sniffer ─▶ dissector (fragments, TCP streams, WebSocket) ─▶ spool ─▶ uplink ─▶ hub

Which way a message goes is told by this machine's own addresses and by `[network] own_networks`; where they do not
decide (a mirror port without either), the first message of a flow does.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from relaytrap import __version__, clock
from relaytrap.capture.direction import Directions, IpNetwork, parse_networks
from relaytrap.capture.dissection import Dissector
from relaytrap.capture.report import CaptureReport
from relaytrap.config import SensorConfig
from relaytrap.garbage import spare_collections
from relaytrap.observation import Observation
from relaytrap.sensor.link import parse_hub_url
from relaytrap.sensor.own_addresses import own_networks
from relaytrap.sensor.process import every, loop_factory, open_spool, sensor_name, when_told_to_end
from relaytrap.sensor.run import Running
from relaytrap.sensor.sniff import Sniffer, what_is_read
from relaytrap.sensor.uplink import Uplink, finish_shipping

__all__ = ["Watch", "run_watch"]

log = logging.getLogger(__name__)

SWEEP_S: Final = 1.0
ADDRESSES_S: Final = 30.0
HELD_MAX_BYTES: Final = 16 << 20
LAST_TURNS: Final = 64


def run_watch(
    config: SensorConfig,
    networks: Sequence[str],
    data_dir: Path,
    *,
    ready: Callable[[Running], None],
) -> None:
    """Read along in this thread until SIGTERM or SIGINT; the spool is flushed and closed at the end.

    networks: `[network] own_networks`. Raises ConfigError, ListenError, DiskError or StoreLocked before anything is
    read.
    """
    watch = Watch(config, networks, data_dir)
    spare_collections()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(watch.serve(ready))
    finally:
        watch.close()


class Watch:
    """One reading sensor's parts."""

    def __init__(self, config: SensorConfig, networks: Sequence[str], data_dir: Path) -> None:
        self.name = sensor_name(config.name)
        self.report = CaptureReport()
        self._config = config
        self._configured = parse_networks(networks)
        self._own = self._current_networks()
        self._directions = Directions(tuple(self._own))
        self._dissector = Dissector(self.report, "", self.name, self._directions, max_held=HELD_MAX_BYTES)
        hub = parse_hub_url(config.hub_url, config.hub_pin) if config.hub_url else None
        self._counts: Counter[str] = Counter()
        self._last_ns = 0
        self._is_away = False
        self._sniffer = Sniffer(config.listen_only, config.listen_only_ports)
        try:
            self._spool = open_spool(config, data_dir, self.name, self._wake)
        except BaseException:
            self._sniffer.close()
            raise
        self._uplink = Uplink(self._spool, hub, config.token, status=self.status) if hub else None

    @property
    def listening(self) -> tuple[str, ...]:
        """What is read, for people."""
        return (what_is_read(self._config.listen_only, self._config.listen_only_ports),)

    def status(self) -> dict[str, Any]:
        """What a heartbeat tells. Only reads."""
        return {
            "version": __version__,
            "sensor": self.name,
            "persona": "",
            "listen": list(self.listening),
            "last_message": clock.rfc3339(self._last_ns) if self._last_ns else None,
            "messages": dict(self._counts),
            "packets": {
                "received": self._sniffer.received,
                "dropped": self._sniffer.dropped,
                "unread": dict(self.report.unread),
                "interface_away": self._is_away,
            },
            "spool": self._spool.status(),
        }

    async def serve(self, ready: Callable[[Running], None]) -> None:
        """Read until stopped."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        when_told_to_end(stopped.set)
        loop.add_reader(self._sniffer.fileno(), self._drain)
        if self._uplink is not None:
            self._uplink.start()
        ready(Running(self.name, "", self.listening, self._spool.folder))
        interval = min(self._config.flush_interval_s or SWEEP_S, SWEEP_S)
        ticking = [
            asyncio.create_task(every(interval, lambda: self._spool.tick(clock.monotonic(), clock.now_ns()))),
            asyncio.create_task(every(SWEEP_S, self._sweep)),
            asyncio.create_task(every(ADDRESSES_S, self._look_at_addresses)),
        ]
        try:
            await stopped.wait()
        finally:
            for task in ticking:
                task.cancel()
            if not self._is_away:
                loop.remove_reader(self._sniffer.fileno())
                self._drain_last()

    def close(self) -> None:
        """Record what streams still hold, flush and close the spool, ship what a reachable hub takes at once."""
        self._record(self._dissector.finish())
        finish_shipping(self._spool, self._uplink)
        self._sniffer.close()

    def _drain(self) -> None:
        try:
            self._sniffer.drain(self._take)
        except OSError as error:
            log.warning("the interface is gone: interface=%s reason=%s", self._config.listen_only, error.strerror)
            asyncio.get_running_loop().remove_reader(self._sniffer.fileno())
            self._is_away = True

    def _drain_last(self) -> None:
        """What the kernel has taken in already is recorded."""
        try:
            for _ in range(LAST_TURNS):
                if not self._sniffer.drain(self._take):
                    return
        except OSError as error:
            log.debug("reading ended: reason=%s", error.strerror)

    def _take(self, link_type: int, data: bytes, moment_ns: int) -> None:
        """One packet; nothing in it ends the sensor."""
        self.report.packets += 1
        try:
            found = self._dissector.packet(link_type, data, len(data), 0, moment_ns)
        except Exception:  # the edge of one packet
            log.exception("a packet could not be read: octets=%d", len(data))
            self._counts["faults"] += 1
            return
        if found:
            self._record(found)

    def _record(self, observations: Sequence[Observation]) -> None:
        now = clock.monotonic()
        for seen in observations:
            self._counts["received" if seen.direction == "in" else "sent"] += 1
            self._last_ns = max(self._last_ns, seen.received_at_ns)
            self._spool.write(seen, now)

    def _sweep(self) -> None:
        """Ask the kernel what it dropped; look whether an interface that went away is back."""
        before = self._sniffer.dropped
        self._sniffer.count()
        if lost := self._sniffer.dropped - before:
            log.warning("packets dropped, because we read too slowly: packets=%d", lost)
        if self._is_away and self._sniffer.reopen():
            self._is_away = False
            asyncio.get_running_loop().add_reader(self._sniffer.fileno(), self._drain)
            log.info("the interface is back: interface=%s", self._config.listen_only)

    def _look_at_addresses(self) -> None:
        """Addresses come and go while we run."""
        current = self._current_networks()
        if current != self._own:
            self._own = current
            self._directions.set_own_networks(tuple(current))

    def _current_networks(self) -> frozenset[IpNetwork]:
        return frozenset(self._configured) | own_networks()

    def _wake(self) -> None:
        if self._uplink is not None:
            self._uplink.wake()
