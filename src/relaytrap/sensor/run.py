"""One sensor: everything assembled, run until it is told to stop.

listeners ─▶ station ─▶ spool ─▶ uplink ─▶ hub
                └─▶ engine ─▶ answers ─▶ listeners

With more than one worker all that is left of the spool runs in processes of their own (worker.py).
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from relaytrap import __version__, clock
from relaytrap.config import SensorConfig
from relaytrap.errors import ConfigError, DiskError, WorkerError
from relaytrap.garbage import spare_collections
from relaytrap.sensor.certificate import check_certificate, load_certificate
from relaytrap.sensor.front import Bound, Front, summed
from relaytrap.sensor.link import parse_hub_url
from relaytrap.sensor.listen import Listen, parse_listen
from relaytrap.sensor.personas import load_persona
from relaytrap.sensor.process import every, loop_factory, open_spool, sensor_name, when_told_to_end
from relaytrap.sensor.sharing import bind_shared
from relaytrap.sensor.uplink import Uplink, finish_shipping
from relaytrap.sensor.worker import Order, Worker
from relaytrap.sip.uri import host_port

__all__ = ["Running", "Sensor", "run_sensor"]

TICK_S: Final = 1.0
WORKERS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Running:
    """A sensor that listens. listening: as `transport:address:port`, with the ports that were really taken."""

    sensor: str
    persona: str
    listening: tuple[str, ...]
    spool: Path


def run_sensor(config: SensorConfig, data_dir: Path, *, ready: Callable[[Running], None]) -> None:
    """Run a sensor in this thread until SIGTERM or SIGINT; the spool is flushed and closed at the end.

    ready: called once when every address is listened on. Raises ConfigError, ListenError, DiskError or StoreLocked
    before anything is answered.
    """
    sensor = Sensor(config, data_dir)
    spare_collections()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(sensor.serve(ready))
    finally:
        sensor.close()


class Sensor:
    """One sensor's parts. Everything that can be wrong with settings and addresses shows in the constructor."""

    def __init__(self, config: SensorConfig, data_dir: Path) -> None:
        self.name = sensor_name(config.name)
        self._config = config
        hub = parse_hub_url(config.hub_url, config.hub_pin) if config.hub_url else None
        listens = parse_listen(config.listen)
        if not 1 <= config.workers <= WORKERS_MAX:
            raise ConfigError(f"sensor.workers: {config.workers} is none of 1 to {WORKERS_MAX}")
        self._seed = config.seed or _load_seed(data_dir)
        self._persona = load_persona(config.persona, seed=self._seed)
        self._sockets: list[tuple[Listen, list[socket.socket]]] = []
        try:
            for listen in listens:
                self._sockets.append((listen, self._shared(listen) or bind_shared(listen, config.workers)))
            self._certificate = self._find_certificate(data_dir)
            self._spool = open_spool(config, data_dir, self.name, self._wake)
        except BaseException:
            self._close_sockets()
            raise
        self._workers: list[Worker] = []
        self._front: Front | None = None
        if config.workers == 1:
            self._front = Front(self.name, config, self._persona, self._bound(0), self._certificate, self._spool)
        self._uplink = Uplink(self._spool, hub, config.token, status=self.status) if hub else None

    @property
    def listening(self) -> tuple[str, ...]:
        """Where this sensor listens, with real port numbers."""
        return tuple(
            f"{listen.transport}:{host_port(listen.address, socks[0].getsockname()[1])}"
            for listen, socks in self._sockets
        )

    def status(self) -> dict[str, Any]:
        """What a heartbeat tells: who this is, what happened, what waits, what is lost. Only reads."""
        counts = self._front.counts() if self._front else summed([worker.counts for worker in self._workers])
        last_ns = counts["last_received_ns"]
        return {
            "version": __version__,
            "sensor": self.name,
            "persona": self._persona.name,
            "listen": list(self.listening),
            "last_message": clock.rfc3339(last_ns) if last_ns else None,
            "messages": counts["messages"],
            "answers": counts["answers"],
            "connections": counts["connections"],
            "spool": self._spool.status(),
        }

    async def serve(self, ready: Callable[[Running], None], *, handle_signals: bool = True) -> None:
        """Listen until a signal, or until cancelled. Raises WorkerError when a worker ends of its own accord."""
        stopped = asyncio.Event()
        if handle_signals:
            when_told_to_end(stopped.set)
        if self._uplink is not None:
            self._uplink.start()
        interval = min(self._config.flush_interval_s or TICK_S, TICK_S)
        ticking = asyncio.create_task(every(interval, lambda: self._spool.tick(clock.monotonic(), clock.now_ns())))
        running = Running(self.name, self._persona.name, self.listening, self._spool.folder)
        try:
            if self._front is not None:
                await self._front.start()
                ready(running)
                await stopped.wait()
            else:
                await self._lead(lambda: ready(running), stopped)
        finally:
            ticking.cancel()
            if self._front is not None:
                self._front.stop()

    async def _lead(self, ready: Callable[[], None], stopped: asyncio.Event) -> None:
        """Have workers listen, write down what they hand over, and wait for their last words at the end."""
        config, count = self._config, self._config.workers
        certificate = str(self._certificate or "")
        silent = set(range(count))

        def heard(number: int) -> None:
            if number in silent:
                silent.remove(number)
                if not silent:
                    ready()

        def record(blocks: bytes, observations: int) -> None:
            self._spool.write_blocks(blocks, observations, clock.monotonic())

        for number in range(count):
            order = Order(self.name, config, self._seed, certificate, count)
            self._workers.append(Worker(order, self._bound(number)))
        reading = [
            asyncio.create_task(worker.read(record, partial(heard, number)))
            for number, worker in enumerate(self._workers)
        ]
        waiting = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait([waiting, *reading], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            for worker in self._workers:
                worker.stop()
            statuses = await asyncio.gather(*reading)
        if any(statuses):
            raise WorkerError(
                "a worker process of the sensor ended, so the sensor ends too; its service starts it anew"
            )

    def close(self) -> None:
        """Flush and close the spool, ship what a reachable hub takes at once, close the sockets."""
        for worker in self._workers:
            worker.kill()
        finish_shipping(self._spool, self._uplink)
        self._close_sockets()

    def _bound(self, worker: int) -> list[Bound]:
        return [(listen, socks[worker]) for listen, socks in self._sockets]

    def _shared(self, listen: Listen) -> list[socket.socket] | None:
        """The sockets of an earlier entry that names the same port of the same address, also for connections."""
        for other, socks in self._sockets:
            takes_both = not listen.is_datagram and not other.is_datagram and listen.port
            if takes_both and (other.address, other.port) == (listen.address, listen.port):
                return socks
        return None

    def _find_certificate(self, data_dir: Path) -> Path | None:
        """What to show over TLS; None where nobody can connect."""
        if all(listen.is_datagram for listen, _ in self._sockets):
            return None
        if self._config.tls_certificate:
            path = Path(self._config.tls_certificate).expanduser()
            check_certificate(path)
            return path
        return load_certificate(data_dir / "persona-certificates", self._persona.name, self._persona.certificate)

    def _wake(self) -> None:
        if self._uplink is not None:
            self._uplink.wake()

    def _close_sockets(self) -> None:
        for _, socks in self._sockets:
            for sock in socks:
                sock.close()


def _load_seed(data_dir: Path) -> str:
    """What makes this installation unlike others: made at the first start, kept in `sensor.seed`."""
    path = data_dir / "sensor.seed"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise DiskError(f"{path}: cannot be read ({error}); mend or remove it") from None
    seed = secrets.token_hex(16)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(seed + "\n")
    except FileExistsError:  # another sensor of this machine was faster
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise DiskError(
            f"{path}: cannot be written ({error.strerror}); mend that, or name another folder with --data"
        ) from None
    return seed
