"""A hub and its sensors as operators run them: processes of their own, joined over HTTPS, on loopback.

What a test counts: requests sent and answered (the sensor records before it answers, so these are on disk within the
flush interval), messages in the hub's store, how many of them are there twice, and what sensors and hub say was lost.
"""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.loopback import free_port
from tests.web.conftest import start_hub

PATIENCE_S = 60.0
SETTINGS = '[hub]\nuplink_listen = "127.0.0.1:{port}"\n'


def until(true: Callable[[], Any], what: str = "it") -> Any:
    """Wait until something holds; what it gave."""
    end = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.1)
    return found


class Fleet:
    """One hub with its door, which may be stopped, killed, set back and started again at the same place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "hub"
        self.config = folder / "relaytrap.toml"
        self.config.write_text(SETTINGS.format(port=free_port()))
        self.hub = start_hub(self.data, self.config)
        self.is_up = True

    def stop_hub(self, number: int = signal.SIGTERM) -> None:
        self.hub.client.close()
        self.hub.process.send_signal(number)
        self.hub.process.wait(30)
        self.is_up = False
        (self.data / "hub.json").unlink(missing_ok=True)  # of one that was killed

    def start_hub(self) -> None:
        self.hub = start_hub(self.data, self.config)
        self.is_up = True

    def close(self) -> None:
        if self.is_up:
            self.stop_hub()

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "relaytrap.cli.main", "--config", str(self.config), "--data", str(self.data)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sensor(self, name: str, **settings: Any) -> "FleetSensor":
        """A new sensor that joined; start it."""
        line = self.run("sensor", "add", name)
        join = line.partition("relaytrap sensor join ")[2].partition(" --listen")[0].split()
        return FleetSensor(self.folder / name, join, settings)

    def incidents(self, sensor: str) -> dict[str, str]:
        """Kind → text of what an operator is told of a sensor, in `relaytrap sensor list` and on the page."""
        with contextlib.closing(sqlite3.connect(self.data / "hub.sqlite3")) as connection:
            return dict(connection.execute("SELECT kind, text FROM incidents WHERE sensor = ?", (sensor,)))

    def counts(self, sensor: str) -> tuple[int, int]:
        """Requests of a sensor in the store, and how many of them are there more than once."""
        rows = self.hub.rows("messages", sensor=sensor, direction="in", limit=1000)
        calls = [row["call_id"] for row in rows]
        return len(calls), len(calls) - len(set(calls))

    def status(self, sensor: str) -> dict[str, Any]:
        rows = [json.loads(line) for line in self.run("sensor", "list", "--json").splitlines()]
        found: dict[str, Any] = next(row for row in rows if row["sensor"] == sensor)
        return found


class FleetSensor:
    """One sensor's machine: its data directory, and the process when it runs."""

    def __init__(self, data: Path, join: list[str], settings: dict[str, Any]) -> None:
        self.data = data
        self.port = free_port()
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._sent = 0
        data.mkdir()
        self.join(*join, "--listen", f"udp:127.0.0.1:{self.port}")

    def join(self, *arguments: str) -> None:
        """`relaytrap sensor join` on this machine."""
        subprocess.run([*self._command(), "join", *arguments], check=True, stdout=subprocess.DEVNULL)

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "relaytrap.cli.main", "--data", str(self.data), "sensor"]

    def start(self, *, wrapped: tuple[str, ...] = ()) -> None:
        given = {"segment_max_age_s": 0.3, "flush_interval_s": 0.1} | self._settings
        environ = {f"RELAYTRAP_SENSOR_{key.upper()}": str(value) for key, value in given.items()}
        command = [*wrapped, *self._command(), "--listen", f"udp:127.0.0.1:{self.port}"]
        log = (self.data / "log").open("ab")
        self._process = subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), (self.data / "log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            if self._process.stdout:
                self._process.stdout.close()
            self._process = None

    def send(self, count: int, *, mark: str = "m", raw_bytes: int = 0) -> None:
        """That many requests, each answered."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.bind(("127.0.0.1", 0))
            way.settimeout(20)
            for _ in range(count):
                self._sent += 1
                way.sendto(_request(f"{mark}-{self._sent}", raw_bytes), ("127.0.0.1", self.port))
                way.recv(65_535)

    @property
    def state(self) -> dict[str, Any]:
        (path,) = self.data.glob("spool/*/state.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def is_shipped(self) -> bool:
        """Nothing waits: no segment is open or closed."""
        return not [*self.data.glob("spool/*/*.pcapng"), *self.data.glob("spool/*/*.pcapng.open")]

    @property
    def waiting(self) -> int:
        return len(list(self.data.glob("spool/*/*.pcapng")))


def _request(call_id: str, padding: int) -> bytes:
    head = (
        f"OPTIONS sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{call_id}\r\n"
        f"From: <sip:a@127.0.0.1>;tag={call_id}\r\nTo: <sip:100@127.0.0.1>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n"
        f"Max-Forwards: 70\r\nSubject: {'x' * padding}\r\nContent-Length: 0\r\n\r\n"
    )
    return head.encode()


@contextlib.contextmanager
def running(sensor: FleetSensor, **given: Any) -> Iterator[FleetSensor]:
    sensor.start(**given)
    try:
        yield sensor
    finally:
        sensor.stop()
