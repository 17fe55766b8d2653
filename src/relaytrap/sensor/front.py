"""The part of a sensor that hears and answers: sockets, connections, engine. Where it writes to is the caller's.

A sensor has one, in its own process, or as many as it has workers.
"""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from relaytrap import clock
from relaytrap.config import SensorConfig
from relaytrap.open_files import allow_open_files
from relaytrap.sensor.engine import Engine
from relaytrap.sensor.ledger import Ledger
from relaytrap.sensor.listen import Listen
from relaytrap.sensor.outlet import Answer
from relaytrap.sensor.persona import Persona
from relaytrap.sensor.process import every
from relaytrap.sensor.station import Recorder, Station
from relaytrap.sensor.tcp import Connections
from relaytrap.sensor.tls import TlsTerms
from relaytrap.sensor.udp import UdpListener

__all__ = ["Bound", "Front", "summed"]

log = logging.getLogger(__name__)

SWEEP_S: Final = 1.0
OTHER_FILES: Final = 256
"""Sockets, spool, uplink, and connections taken in before the longest idle ones are closed for them."""
LAST_TURNS: Final = 64
Bound = tuple[Listen, socket.socket]


class Front:
    """Listeners and engine of one process.

    sockets: bound ones; entries may share a socket. certificate: for TLS; None: nobody can connect. workers: how many
    processes share the sensor's budget. An address is one worker's alone (see sharing.py), so its own budget is whole.
    """

    def __init__(
        self,
        name: str,
        config: SensorConfig,
        persona: Persona,
        sockets: Sequence[Bound],
        certificate: Path | None,
        recorder: Recorder,
        *,
        workers: int = 1,
    ) -> None:
        ledger = Ledger(
            source_bytes_per_s=config.source_bytes_per_s, total_bytes_per_s=config.total_bytes_per_s // workers
        )
        self.engine = Engine(persona, ledger, os.urandom)
        self.station = Station(name, self.engine, recorder)
        self._streams = {sock for listen, sock in sockets if not listen.is_datagram}
        self._connections = Connections(
            self.station,
            connections_max=_connections_max(max(1, config.tcp_connections_max // workers)),
            idle_s=config.tcp_idle_s,
            tls=TlsTerms(certificate) if certificate else None,
            web_ports={sock.getsockname()[1] for listen, sock in sockets if listen.transport in ("ws", "wss")},
            on_received=self._set_timer,
        )
        self._udp = [UdpListener(sock, listen, self.station) for listen, sock in sockets if listen.is_datagram]
        self.engine.own_ports = frozenset(listener.port for listener in self._udp)
        self._servers: list[asyncio.Server] = []
        self._sweeping: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    def counts(self) -> dict[str, Any]:
        """What happened so far. Only reads."""
        return {
            "messages": dict(self.station.counts),
            "answers": dict(self.engine.counts),
            "connections": len(self._connections),
            "last_received_ns": self.station.last_received_ns,
        }

    async def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._servers = [await loop.create_server(self._connections.make, sock=sock) for sock in self._streams]
        for listener in self._udp:
            loop.add_reader(listener.fileno(), self._drain, listener)
        self._sweeping = asyncio.create_task(every(SWEEP_S, lambda: self._connections.sweep(clock.monotonic())))

    def stop(self) -> None:
        """Take in what waits, then listen no more."""
        loop = asyncio.get_running_loop()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for listener in self._udp:
            loop.remove_reader(listener.fileno())
            for _ in range(LAST_TURNS):  # what the kernel has taken in already is recorded
                if not listener.drain():
                    break
        for server in self._servers:
            server.close()
        self._connections.close()

    def _drain(self, listener: UdpListener) -> None:
        listener.drain()
        self._set_timer()

    def _set_timer(self) -> None:
        """Have `_fire` called when the engine's next timer is due."""
        due = self.engine.next_timer()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        delay = max(0.0, due - clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        for answer in self.engine.handle_timers(clock.now_ns(), clock.monotonic()):
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


def _connections_max(wanted: int) -> int:
    """As many connections as this process may have and still open files: the spool's must never want for one."""
    allowed = allow_open_files(wanted + OTHER_FILES)
    room = allowed - min(OTHER_FILES, allowed // 2)
    if room < wanted:
        log.warning("sensor.tcp_connections_max is more than this process may open: wanted=%d taken=%d", wanted, room)
    return max(1, min(wanted, room))


def summed(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What happened in all fronts together."""
    messages: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for part in parts:
        messages.update(part["messages"])
        answers.update(part["answers"])
    return {
        "messages": dict(messages),
        "answers": dict(answers),
        "connections": sum(part["connections"] for part in parts),
        "last_received_ns": max((part["last_received_ns"] for part in parts), default=0),
    }
