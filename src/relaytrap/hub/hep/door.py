"""The HEP door of a hub: its places, its thread, what it tells of itself."""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Final

from relaytrap import clock
from relaytrap.capture.direction import Directions
from relaytrap.config import Config
from relaytrap.errors import RelaytrapError
from relaytrap.hub.capture_files import read_options
from relaytrap.hub.certificate import load_certificate
from relaytrap.hub.hep.places import NO_ROOM, Place, UdpPlace, bind, parse_places
from relaytrap.hub.hep.reception import Agent, Reception
from relaytrap.hub.hep.streams import StreamPlace
from relaytrap.hub.hep.waiting import StoreBatch, Waiting
from relaytrap.hub.ledger import Ledger

__all__ = ["HepAgent", "HepDoor", "HepPlace", "HepStatus"]

log = logging.getLogger(__name__)

WATCH_S: Final = 5.0
SAY_AGAIN_S: Final = 3600.0
AHEAD_NS: Final = 5_000_000_000


@dataclass(frozen=True, slots=True)
class HepPlace:
    """One listening place. refused: reason -> packets."""

    listening: str
    connections: int
    packets: int
    refused: dict[str, int]


@dataclass(frozen=True, slots=True)
class HepAgent:
    """One capture agent. a_minute: its messages in the last one. last_ns: when it was heard. ahead_ms: its clock."""

    sensor: str
    messages: int
    a_minute: int
    last_ns: int
    ahead_ms: int


@dataclass(frozen=True, slots=True)
class HepStatus:
    """How the door stands. complaint: why the store takes nothing at the moment; "" when it does."""

    places: tuple[HepPlace, ...] = ()
    agents: dict[str, HepAgent] = field(default_factory=dict)
    waiting_bytes: int = 0
    stored: int = 0
    lost: int = 0
    complaint: str = ""


class HepDoor:
    """Listens from `start` to `close`. Everything wrong with settings and addresses shows in the constructor."""

    def __init__(self, config: Config, store: StoreBatch, ledger: Ledger | None = None) -> None:
        """store: takes a batch of observations under a token, as Ingest.ingest_observations does."""
        self._places = parse_places(config.hub.hep_listen)
        context = server_context(config) if any(place.transport == "tls" for place in self._places) else None
        directions = Directions(read_options(config).own_networks)
        self._reception = Reception(directions, config.hub.hep_password)
        self._ledger = ledger
        self._said: dict[tuple[str, str], float] = {}
        self._waiting = Waiting(store, on_room=self._on_room)
        self._udp: list[UdpPlace] = []
        self._streams: list[StreamPlace] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="hep", daemon=True)
        self._sockets: list[socket.socket] = []
        self._ready = threading.Event()
        try:
            for place in self._places:
                self._open(place, context)
        except BaseException:
            self._close_sockets()
            raise
        self._warn_of_strangers(config)

    def start(self) -> None:
        """Begin to listen; returns when every place is read. Without places there is nothing to do."""
        if not self._places:
            return
        self._waiting.start()
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Stop listening and store what waits."""
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()
        self._waiting.stop()
        self._close_sockets()

    def status(self) -> HepStatus:
        """Counts of this moment; from any thread."""
        now_ns = clock.now_ns()
        return HepStatus(
            tuple(
                HepPlace(place.listening, place.connections, place.packets, dict(place.refused))
                for place in self._places
            ),
            {
                agent.sensor: HepAgent(
                    agent.sensor,
                    agent.messages,
                    agent.rate.a_minute(now_ns),
                    agent.last_ns,
                    agent.ahead_ns // 1_000_000,
                )
                for agent in list(self._reception.agents.values())
            },
            self._waiting.size_bytes,
            self._waiting.stored,
            self._waiting.lost,
            self._waiting.complaint,
        )

    def _open(self, place: Place, context: ssl.SSLContext | None) -> None:
        sock = bind(place)
        self._sockets.append(sock)
        if place.transport == "udp":
            self._udp.append(UdpPlace(place, sock, self._take))
        else:
            tls = context if place.transport == "tls" else None
            self._streams.append(StreamPlace(place, sock, self._take, lambda: not self._waiting.is_full, tls))

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        finally:
            self._ready.set()  # whoever waits in `start` must not wait for ever

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        stopped = self._stopped = asyncio.Event()
        for stream in self._streams:
            await stream.start(loop)
        for udp in self._udp:
            udp.start(loop)
        self._ready.set()
        while not stopped.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), WATCH_S)
            self._watch()
        for udp in self._udp:
            udp.stop(loop)
        for stream in self._streams:
            stream.stop()

    def _take(self, packet: bytes, place: Place) -> None:
        """One packet from any place; nothing in it ends the listener."""
        now_ns = clock.now_ns()
        try:
            taken = self._reception.take(packet, now_ns, place.refused)
        except Exception:  # the edge of one packet
            log.exception("a HEP packet could not be read: octets=%d", len(packet))
            place.refused["fault of ours"] += 1
            return
        if taken is not None and not self._waiting.put(taken[1]):
            place.refused[NO_ROOM] += 1
            self._waiting.lost += 1

    def _on_room(self) -> None:
        """From the storing thread: let connections go on that had to wait."""
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop ended already: what waits is the last
            for stream in self._streams:
                self._loop.call_soon_threadsafe(stream.resume)

    def _watch(self) -> None:
        """Look at what nobody tells us by itself, and say what an operator should know."""
        for udp in self._udp:
            udp.count_drops()
        for agent in list(self._reception.agents.values()):
            if agent.ahead_ns > AHEAD_NS:
                self._say_clock(agent)
        if self._waiting.lost:
            self._say(
                "hep", "hep-lost", f"{self._waiting.lost} HEP messages were lost since the start: the store was away."
            )

    def _say_clock(self, agent: Agent) -> None:
        seconds = agent.ahead_ns // 1_000_000_000
        text = f"Its messages are {seconds} s in the future: set the clock of {agent.sensor}."
        self._say(agent.sensor, "clock-ahead", text)

    def _say(self, sensor: str, kind: str, text: str) -> None:
        """Note something for the operator, each once an hour at most."""
        now = clock.monotonic()
        if self._ledger is None or now - self._said.get((sensor, kind), -SAY_AGAIN_S) < SAY_AGAIN_S:
            return
        self._said[sensor, kind] = now
        try:
            self._ledger.report(sensor, kind, text)
        except RelaytrapError as error:
            log.warning("not noted, because the disk does not take it: kind=%s reason=%s", kind, error)

    def _warn_of_strangers(self, config: Config) -> None:
        places = [place.listening for place in self._places if not place.is_loopback]
        if places and not config.hub.hep_password:
            log.warning(
                "HEP is taken from everybody who reaches %s; set hub.hep_password, or let a firewall choose",
                ", ".join(places),
            )

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()


def server_context(config: Config) -> ssl.SSLContext:
    """What `tls:` places show: the hub's one certificate. Raises ConfigError or DiskError as load_certificate does."""
    made = load_certificate(config.hub, config.data_dir)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.path, made.key)
    return context
