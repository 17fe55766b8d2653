"""A sensor and a hub as operators run them, which this suite may kill, stop, freeze and start again."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from faults.sockets import free_port
from relaytrap.config import StoreConfig
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys

__all__ = ["Fleet", "Program", "children", "until"]

NAME: Final = "fault"
START_S: Final = 180.0
PATIENCE_S: Final = 120.0
SAMPLE_S: Final = 0.5
RUN: Final = (sys.executable, "-m", "relaytrap.cli.main")
ROOM: Final = {
    # Enough to keep every segment for the count at the end.
    "RELAYTRAP_SENSOR_SPOOL_MAX_BYTES": str(64 << 30),
    "RELAYTRAP_SENSOR_SPOOL_KEPT_BYTES": str(32 << 30),
}


class Program:
    """One command, started and ended as often as a fault wants. peak_mb: the most its whole process tree ever took."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.command = tuple(command)
        self.environment = dict(environment)
        self.peak_mb = 0
        self._name = name
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self._name} does not run"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when the program has said that it listens."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | self.environment
            )
        assert self._process.stdout is not None
        waking = threading.Timer(START_S, self._process.kill)
        waking.start()
        line = self._process.stdout.readline()
        waking.cancel()
        if not line:
            raise RuntimeError(f"{self._name} did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def kill(self) -> None:
        """SIGKILL to the program alone: what it started finds out by itself."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, as systemd would, and wait."""
        self._end(signal.SIGTERM)

    def freeze(self, seconds: float) -> None:
        """Stand still for a while."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def sample(self) -> None:
        """Take down what the process tree holds now."""
        if self.is_running:
            self.peak_mb = max(self.peak_mb, sum(map(_resident_mb, _tree(self.pid))))

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self.sample()
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"{self._name} did not end within a minute") from None


class Fleet:
    """Sensors that ship to one hub, each with a data folder of its own. Starts all; ends all at the end.

    sensor, port, spool: of the first sensor, which is the only one in most faults. store: as the hub is told in its
    environment.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sensor: Mapping[str, str] | None = None,
        sensor_via: Sequence[str] = (),
        hub_via: Sequence[str] = (),
        listen: Sequence[str] = ("udp", "tcp"),
        addresses: Sequence[str] = ("127.0.0.1",),
        uplink: Callable[[int], str] = "http://127.0.0.1:{}".format,
        sensors: int = 1,
    ) -> None:
        """sensor: further settings, as variables. *_via: words before the command. uplink: hub's port to its URL.

        listen: transports; addresses: of each sensor, all with one port.
        """
        self.hub_data = folder / "hub"
        self.hub_data.mkdir(parents=True, exist_ok=True)
        self.hub_port = free_port("127.0.0.1")
        hub = [*hub_via, *RUN, "--data", str(self.hub_data), "hub", "--listen", f"127.0.0.1:{self.hub_port}"]
        self.store = StoreConfig()
        self.hub = Program("hub", hub, folder / "hub.log", {})
        settings = {"RELAYTRAP_SENSOR_HUB_URL": uplink(self.hub_port), **ROOM, **(sensor or {})}
        self.names = [NAME, *(f"{NAME}-{number}" for number in range(2, sensors + 1))]
        self.ports = [free_port("127.0.0.1") for _ in self.names]
        self.spools: list[Path] = []
        self.sensors: list[Program] = []
        for name, port in zip(self.names, self.ports, strict=True):
            data = folder / name.replace(NAME, "sensor")
            data.mkdir(exist_ok=True)
            with closing(HubDatabase(self.hub_data)) as database:
                token = {"RELAYTRAP_SENSOR_TOKEN": Keys(database).add(name)}
            listens = [f"{each}:{address}:{port}" for each in listen for address in addresses]
            places = [word for each in listens for word in ("--listen", each)]
            own = [*sensor_via, *RUN, "--data", str(data), "sensor", "--name", name, *places]
            self.sensors.append(Program(name, own, folder / f"{data.name}.log", settings | token))
            self.spools.append(data / "spool" / name)
        self.sensor, self.port, self.spool = self.sensors[0], self.ports[0], self.spools[0]
        self._sampling = threading.Event()

    def __enter__(self) -> "Fleet":
        try:
            for program in (self.hub, *self.sensors):
                program.start()
        except BaseException:
            self.__exit__()
            raise
        threading.Thread(target=self._sample, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sampling.set()
        for program in (*self.sensors, self.hub):
            program.stop()

    def drain(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait until the hub has acknowledged everything the sensor recorded; False when that long nothing moves."""
        for program in (self.hub, *self.sensors):
            if not program.is_running:
                program.start()
        left, moved_at = len(self._waiting()), time.monotonic()
        while left and time.monotonic() - moved_at < patience_s:
            time.sleep(0.2)
            before, left = left, len(self._waiting())
            moved_at = time.monotonic() if left < before else moved_at
        return not left

    def _waiting(self) -> list[Path]:
        paths = [path for spool in self.spools for path in spool.glob("*.pcapng*")]
        return [path for path in paths if path.suffix in (".pcapng", ".open")]

    def _sample(self) -> None:
        while not self._sampling.wait(SAMPLE_S):
            for program in (self.hub, *self.sensors):
                program.sample()


def until(true: Callable[[], object], seconds: float) -> bool:
    """Wait for something to become true; whether it did."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    with suppress(OSError):
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    return []


def _tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    return [pid, *(each for child in children(pid) for each in _tree(child))]


def _resident_mb(pid: int) -> int:
    with suppress(OSError):
        if found := re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) // 1024
    return 0
