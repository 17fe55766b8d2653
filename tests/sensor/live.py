"""A sensor with real sockets: inside this process for speed, or as the process that operators run."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from relaytrap.capture import read_segment
from relaytrap.config import SensorConfig
from relaytrap.observation import Observation
from relaytrap.sensor.run import Running, Sensor

T = TypeVar("T")
BOTH = ("udp:127.0.0.1:0", "tcp:127.0.0.1:0")


def settings(**given: object) -> SensorConfig:
    return SensorConfig(**({"name": "t", "listen": BOTH, "seed": "x", "flush_interval_s": 0.05} | given))  # type: ignore[arg-type]


def with_sensor(folder: Path, client: Callable[[Running], T], **given: object) -> T:
    """Run a sensor while `client` (which may block) talks to it."""

    async def run() -> T:
        sensor = Sensor(settings(**given), folder)
        ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(sensor.serve(ready.set_result, handle_signals=False))
        try:
            return await asyncio.to_thread(client, await ready)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            sensor.close()

    return asyncio.run(run())


def recorded(folder: Path) -> list[Observation]:
    """Everything in every segment below a data folder, in order."""
    found: list[Observation] = []
    for path in sorted((folder / "spool").rglob("*.pcapng*")):
        with path.open("rb") as file:
            if path.stat().st_size:  # else made in this moment
                found += read_segment(file)
    return found


def received(folder: Path) -> list[Observation]:
    return [each for each in recorded(folder) if each.direction == "in"]


def port_of(running: Running, transport: str) -> int:
    return next(int(each.rpartition(":")[2]) for each in running.listening if each.startswith(transport))


def udp_client(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(10)
    return sock


class SensorProcess:
    """`relaytrap sensor` as operators run it, on ports of its own choice."""

    def __init__(self, folder: Path, *options: str, listen: tuple[str, ...] = BOTH) -> None:
        where = [option for each in listen for option in ("--listen", each)]
        command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(folder), "sensor", "--name", "t", *where]
        self.folder = folder
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        if not self.line:
            raise AssertionError(self.process.communicate()[1])
        self.ports = {
            transport: int(port) for transport, port in re.findall(r"(udp|tcp):(?:\[[^]]*\]|[0-9.]+):(\d+)", self.line)
        }

    def __enter__(self) -> "SensorProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def wait_until_recorded(self, count: int, seconds: float = 20.0) -> list[Observation]:
        """What was received, once there is that much of it on disk."""
        end = time.monotonic() + seconds
        while len(found := received(self.folder)) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} recorded"
            time.sleep(0.02)
        return found
