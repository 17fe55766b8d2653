"""One sensor process: everything assembled, run until it is told to stop.

listeners ─▶ station ─▶ spool ─▶ uplink ─▶ hub
                └─▶ engine ─▶ answers ─▶ listeners
"""

import asyncio
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relaytrap import __version__, clock
from relaytrap.config import SensorConfig
from relaytrap.errors import DiskError
from relaytrap.sensor.certificate import check_certificate, load_certificate
from relaytrap.sensor.engine import Engine
from relaytrap.sensor.ledger import Ledger
from relaytrap.sensor.link import parse_hub_url
from relaytrap.sensor.listen import Listen, bind, parse_listen, spelled
from relaytrap.sensor.outlet import Answer
from relaytrap.sensor.personas import load_persona
from relaytrap.sensor.process import every, loop_factory, open_spool, sensor_name, spare_collections
from relaytrap.sensor.station import Station
from relaytrap.sensor.tcp import Connections
from relaytrap.sensor.tls import TlsTerms
from relaytrap.sensor.udp import UdpListener
from relaytrap.sensor.uplink import Uplink

__all__ = ["Running", "Sensor", "run_sensor"]

log = logging.getLogger(__name__)

SWEEP_S: Final = 1.0
LAST_TURNS: Final = 64


@dataclass(frozen=True, slots=True)
class Running:
    """A sensor that listens. listening: as `transport:address:port`, with the ports that were really taken."""

    sensor: str
    persona: str
    listening: tuple[str, ...]
    spool: Path


def run_sensor(
    config: SensorConfig,
    data_dir: Path,
    *,
    ready: Callable[[Running], None] = lambda _: None,
    handle_signals: bool = True,
) -> None:
    """Run a sensor in this thread until SIGTERM or SIGINT; the spool is flushed and closed at the end.

    ready: called once when every address is listened on. handle_signals: False leaves signals to the caller, who then
    cancels. Raises ConfigError, ListenError, DiskError or StoreLocked before anything is answered.
    """
    sensor = Sensor(config, data_dir)
    spare_collections()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(sensor.serve(ready, handle_signals=handle_signals))
    finally:
        sensor.close()


class Sensor:
    """One sensor's parts. Everything that can be wrong with settings and addresses shows in the constructor."""

    def __init__(self, config: SensorConfig, data_dir: Path) -> None:
        self.name = sensor_name(config.name)
        self._config = config
        hub = parse_hub_url(config.hub_url, config.hub_pin) if config.hub_url else None
        listens = parse_listen(config.listen)
        self._persona = load_persona(config.persona, seed=config.seed or _load_seed(data_dir))
        self._sockets: list[tuple[Listen, socket.socket]] = []
        try:
            for listen in listens:
                self._sockets.append((listen, self._shared(listen) or bind(listen)))
            tls = self._tls_terms(data_dir)
            self._spool = open_spool(config, data_dir, self.name, self._wake)
        except BaseException:
            self._close_sockets()
            raise
        ledger = Ledger(source_bytes_per_s=config.source_bytes_per_s, total_bytes_per_s=config.total_bytes_per_s)
        self._engine = Engine(self._persona, ledger, os.urandom)
        self._station = Station(self.name, self._engine, self._spool)
        self._connections = Connections(
            self._station,
            connections_max=config.tcp_connections_max,
            idle_s=config.tcp_idle_s,
            tls=tls,
            web_ports={sock.getsockname()[1] for listen, sock in self._sockets if listen.transport in ("ws", "wss")},
            on_received=self._set_timer,
        )
        self._udp = [UdpListener(sock, listen, self._station) for listen, sock in self._sockets if listen.is_datagram]
        self._engine.own_ports = frozenset(listener.port for listener in self._udp)
        self._uplink = Uplink(self._spool, hub, config.token, status=self.status) if hub else None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    @property
    def listening(self) -> tuple[str, ...]:
        """Where this sensor listens, with real port numbers."""
        return tuple(
            f"{listen.transport}:{spelled(listen.address, sock.getsockname()[1])}" for listen, sock in self._sockets
        )

    def status(self) -> dict[str, Any]:
        """What a heartbeat tells: who this is, what happened, what waits, what is lost. Only reads."""
        last_ns = self._station.last_received_ns
        return {
            "version": __version__,
            "sensor": self.name,
            "persona": self._persona.name,
            "listen": list(self.listening),
            "last_message": clock.rfc3339(last_ns) if last_ns else None,
            "messages": dict(self._station.counts),
            "answers": dict(self._engine.counts),
            "connections": len(self._connections),
            "spool": self._spool.status(),
        }

    async def serve(self, ready: Callable[[Running], None], *, handle_signals: bool) -> None:
        """Listen until stopped."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        if handle_signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stopped.set)
        servers = [
            await loop.create_server(self._connections.make, sock=sock)
            for sock in {sock for listen, sock in self._sockets if not listen.is_datagram}
        ]
        for listener in self._udp:
            loop.add_reader(listener.fileno(), self._drain, listener)
        if self._uplink is not None:
            self._uplink.start()
        ready(Running(self.name, self._persona.name, self.listening, self._spool.folder))
        interval = min(self._config.flush_interval_s or SWEEP_S, SWEEP_S)
        ticking = [
            asyncio.create_task(every(interval, lambda: self._spool.tick(clock.monotonic(), clock.now_ns()))),
            asyncio.create_task(every(SWEEP_S, lambda: self._connections.sweep(clock.monotonic()))),
        ]
        try:
            await stopped.wait()
        finally:
            for task in ticking:
                task.cancel()
            for listener in self._udp:
                loop.remove_reader(listener.fileno())
                for _ in range(LAST_TURNS):  # what the kernel has taken in already is recorded
                    if not listener.drain():
                        break
            for server in servers:
                server.close()
            self._connections.close()

    def close(self) -> None:
        """Flush and close the spool, ship what a reachable hub takes at once, close the sockets."""
        self._spool.close(clock.monotonic())
        if self._uplink is not None and self._uplink.is_alive():
            self._uplink.stop()
        self._close_sockets()

    def _drain(self, listener: UdpListener) -> None:
        listener.drain()
        self._set_timer()

    def _set_timer(self) -> None:
        """Have `_fire` called when the engine's next timer is due."""
        due = self._engine.next_timer()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        delay = max(0.0, due - clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        for answer in self._engine.handle_timers(clock.now_ns(), clock.monotonic()):
            self._send(answer)
        self._set_timer()

    def _send(self, answer: Answer) -> None:
        """Send a late answer by the way its request came."""
        flow = answer.flow
        if flow.is_connected:
            self._connections.send(answer)
            return
        for listener in self._udp:
            listen = listener.listen
            is_v6 = ":" in flow.local
            is_ours = listen.address == flow.local or (listen.is_wildcard and (":" in listen.address) == is_v6)
            if listener.port == flow.local_port and is_ours:
                listener.send(answer)
                return

    def _shared(self, listen: Listen) -> socket.socket | None:
        """The socket of an earlier entry that names the same port of the same address, also for connections."""
        for other, sock in self._sockets:
            takes_both = not listen.is_datagram and not other.is_datagram and listen.port
            if takes_both and (other.address, other.port) == (listen.address, listen.port):
                return sock
        return None

    def _tls_terms(self, data_dir: Path) -> TlsTerms | None:
        """The certificate to show; None where nobody can connect."""
        if all(listen.is_datagram for listen, _ in self._sockets):
            return None
        path = Path(self._config.tls_certificate).expanduser() if self._config.tls_certificate else None
        if path is not None:
            check_certificate(path)
        else:
            persona = self._persona
            path = load_certificate(data_dir / "persona-certificates", persona.name, persona.certificate)
        return TlsTerms(path)

    def _wake(self) -> None:
        if self._uplink is not None:
            self._uplink.wake()

    def _close_sockets(self) -> None:
        for _, sock in self._sockets:
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
