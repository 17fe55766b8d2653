"""One trial: a fleet under traffic, whatever a fault does to it, and the account at the end."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from faults.account import Account, Record, read_store, spool_state
from faults.programs import Fleet, until
from faults.traffic import Traffic

__all__ = ["Scale", "Skipped", "Trial"]

SENSOR_MAX_MB: Final = 128
"""The bar for a sensor on a small machine."""
HUB_MAX_MB: Final = 2048


class Skipped(Exception):
    """This machine cannot do this to itself; the text says what is missing."""


@dataclass(frozen=True)
class Scale:
    """How large a trial is. rounds: of what a fault repeats. rate: messages a second. size: share of the full numbers.

    seed: of every choice that is left to chance, so that a run can be repeated (as far as two programs allow).
    """

    rounds: int
    rate: float
    size: float
    seed: int

    def of(self, number: int) -> int:
        """A number of connections, sources and so on at this scale."""
        return max(1, int(number * self.size))


class Trial:
    """A fleet under traffic for as long as the `with` block lasts; then `settle` counts."""

    def __init__(
        self,
        fault: str,
        folder: Path,
        scale: Scale,
        *,
        sensor: Mapping[str, str] | None = None,
        sensor_via: Sequence[str] = (),
        hub_via: Sequence[str] = (),
        fleet: Fleet | None = None,
    ) -> None:
        self.account = Account(fault)
        self.scale = scale
        self.chance = Random(scale.seed)
        self.fleet = fleet or Fleet(folder, sensor=sensor, sensor_via=sensor_via, hub_via=hub_via)
        self.record = Record(self.fleet.spools)
        self.traffic = Traffic(self.fleet.ports, scale.rate)
        self._begun = time.monotonic()
        self._dropped_before = _dropped_by_kernel()

    def __enter__(self) -> "Trial":
        self.fleet.__enter__()
        self.traffic.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.fleet.__exit__()

    def wait(self, shortest: float, longest: float | None = None) -> None:
        """Let the traffic flow, for a time left to chance when there is a longest one."""
        time.sleep(self.chance.uniform(shortest, longest or shortest))

    def wait_until_recorded(self, more: int = 1) -> None:
        """Wait until the sensor's files have grown, so that a fault does not fall into silence."""
        before = self._size()
        until(lambda: self._size() > before + more, 30)

    def settle(self, *, sensor_max_mb: int = SENSOR_MAX_MB) -> Account:
        """End the traffic, let the hub catch up, stop everything, and count."""
        account, fleet = self.account, self.fleet
        try:
            self.traffic.stop()
            account.require(fleet.drain(), "segments wait for a hub that takes no more")
        finally:
            fleet.__exit__()
        self.count(sensor_max_mb)
        return account

    def count(self, sensor_max_mb: int = SENSOR_MAX_MB) -> None:
        """Fill the account from what the two sides hold."""
        account, fleet = self.account, self.fleet
        self.record.look()
        account.dropped_by_kernel = _dropped_by_kernel() - self._dropped_before
        stored, account.stored = read_store(fleet.hub_data, fleet.names, fleet.store)
        account.compare(self.record.keys(), stored)
        account.sent += self.traffic.sent
        account.answered += len(self.traffic.answered)
        account.recorded = self.record.keys(inward_only=True).total()
        account.acknowledged = self.record.acknowledged
        states = [spool_state(spool) for spool in fleet.spools]
        account.counted_loss = sum(state["lost_observations"] + state["dropped_observations"] for state in states)
        account.sensor_mb, account.hub_mb = max(sensor.peak_mb for sensor in fleet.sensors), fleet.hub.peak_mb
        account.seconds = time.monotonic() - self._begun
        account.judge(sensor_max_mb, HUB_MAX_MB)

    def _size(self) -> int:
        return sum(path.stat().st_size for path in self.fleet.spool.glob("*.pcapng.open"))


def _dropped_by_kernel() -> int:
    """Datagrams that ever found no room in a socket of this network namespace."""
    lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
    return int(dict(zip(*lines, strict=True))["RcvbufErrors"])
