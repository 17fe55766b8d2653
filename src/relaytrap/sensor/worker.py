"""A worker process: hears, answers, and hands what it recorded to the sensor that started it.

    kernel ─┬▶ worker ─┐
            └▶ worker ─┴▶ sensor: spool ─▶ uplink ─▶ hub

So there is one spool, one order and one sensor, however many cores answer. A worker writes the pcapng blocks, which is
most of the work; the sensor appends them to the segment as they are. What a worker has not handed over dies with it, as
what waits in memory does without workers; the sensor ends then, closes its spool, and whoever watches starts it anew.
"""

import asyncio
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from relaytrap.capture.pcapng import SegmentWriter
from relaytrap.config import SensorConfig
from relaytrap.garbage import spare_collections
from relaytrap.observation import Observation
from relaytrap.sensor.front import Bound, Front
from relaytrap.sensor.listen import Listen
from relaytrap.sensor.open_segment import Pending
from relaytrap.sensor.personas import load_persona
from relaytrap.sensor.process import every, loop_factory, when_told_to_end

__all__ = ["Courier", "Order", "Report", "Worker"]

HAND_OVER_BYTES: Final = 128 << 10
HAND_OVER_S: Final = 0.25
LENGTH: Final = struct.Struct(">I")
REPORT_MAX_BYTES: Final = 64 << 20


class Order(msgspec.Struct):
    """What a worker is told when it starts. sockets: (transport, address, port, file descriptor)."""

    name: str
    config: SensorConfig
    seed: str
    certificate: str
    workers: int
    sockets: list[tuple[str, str, int, int]] = []


class Report(msgspec.Struct):
    """What a worker hands over. blocks: pcapng, as they go into a segment. counts: as Front.counts."""

    blocks: bytes
    observations: int
    counts: dict[str, Any]


class Worker:
    """The sensor's end of one worker. counts: what it last told of itself."""

    def __init__(self, order: Order, sockets: Sequence[Bound]) -> None:
        ours, theirs = socket.socketpair()
        order.sockets = [(listen.transport, listen.address, listen.port, sock.fileno()) for listen, sock in sockets]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "relaytrap.sensor.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno(), *{sock.fileno() for _, sock in sockets}],
                stdin=subprocess.DEVNULL,
            )
        self._socket = ours
        _send(ours, msgspec.msgpack.encode(order))
        self.counts: dict[str, Any] = {"messages": {}, "answers": {}, "connections": 0, "last_received_ns": 0}

    async def read(self, record: Callable[[bytes, int], object], ready: Callable[[], None]) -> int:
        """Take every report until the worker ends; its exit status. ready: called when it listens."""
        reader, writer = await asyncio.open_unix_connection(sock=self._socket, limit=REPORT_MAX_BYTES)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                report = msgspec.msgpack.decode(await reader.readexactly(length), type=Report)
                self.counts = report.counts
                ready()
                if report.blocks:
                    record(report.blocks, report.observations)
        writer.close()
        return await asyncio.to_thread(self._process.wait)

    def stop(self) -> None:
        """Ask it to hand over what it has and end; `read` returns then."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._socket.close()


class Courier:
    """What a worker's station writes to: makes blocks of observations and hands them over.

    at_once: each by itself, for an operator who wants nothing to wait in memory.
    """

    def __init__(
        self, sock: socket.socket, sensor: str, counts: Callable[[], dict[str, Any]], *, at_once: bool
    ) -> None:
        self._socket = sock
        self._counts = counts
        self._hand_over_at = 0 if at_once else HAND_OVER_BYTES
        self._pending = Pending()
        self._writer = SegmentWriter(self._pending, sensor=sensor)
        self._pending.data.clear()  # the sensor's own segments begin with headers of their own
        self._told = 0

    def write(self, observation: Observation, now: float) -> bool:
        """Append one observation."""
        self._writer.write(observation)
        if len(self._pending.data) >= self._hand_over_at:
            self.hand_over()
        return True

    def hand_over(self) -> None:
        """Give the sensor what there is."""
        observations = self._writer.count - self._told
        _send(self._socket, msgspec.msgpack.encode(Report(bytes(self._pending.data), observations, self._counts())))
        self._told = self._writer.count
        self._pending.data.clear()


def _send(sock: socket.socket, data: bytes) -> None:
    """Send all, waiting while the other end takes nothing: a loop that watches a socket makes it one that never waits,
    and of `sendall` a call that stops in the middle."""
    left = memoryview(LENGTH.pack(len(data)) + data)
    room = select.poll()
    room.register(sock, select.POLLOUT)
    while left:
        try:
            left = left[sock.send(left) :]
        except BlockingIOError:
            room.poll()


def _receive(sock: socket.socket, octets: int) -> bytes:
    data = b""
    while len(data) < octets:
        more = sock.recv(octets - len(data))
        if not more:
            raise EOFError
        data += more
    return data


async def _serve(sock: socket.socket, order: Order) -> None:
    """Listen until told to stop, or until the sensor is gone."""
    config = order.config
    sockets: dict[int, socket.socket] = {}
    bound: list[Bound] = []
    for transport, address, port, number in order.sockets:
        if number not in sockets:  # two transports may share one
            sockets[number] = socket.socket(fileno=number)
        listen = msgspec.convert({"transport": transport, "address": address, "port": port}, Listen)
        bound.append((listen, sockets[number]))
    persona = load_persona(config.persona, seed=order.seed)
    certificate = Path(order.certificate) if order.certificate else None
    courier = Courier(sock, order.name, lambda: front.counts(), at_once=config.flush_interval_s <= 0)
    front = Front(order.name, config, persona, bound, certificate, courier, workers=order.workers)
    stopped = asyncio.Event()
    when_told_to_end(stopped.set)
    # Nothing is ever said there: it can only have been closed.
    asyncio.get_running_loop().add_reader(sock.fileno(), stopped.set)
    await front.start()
    courier.hand_over()
    handing = asyncio.create_task(every(min(HAND_OVER_S, config.flush_interval_s or HAND_OVER_S), courier.hand_over))
    await stopped.wait()
    handing.cancel()
    front.stop()
    courier.hand_over()


def main() -> None:
    """What `python -m relaytrap.sensor.worker FD` does."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        (length,) = LENGTH.unpack(_receive(sock, LENGTH.size))
        order = msgspec.msgpack.decode(_receive(sock, length), type=Order)
        spare_collections()
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(sock, order))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(1)  # the sensor is gone, and what was recorded has nowhere to go
    sock.close()


if __name__ == "__main__":
    main()
