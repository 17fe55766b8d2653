"""Worker processes that turn observations into blocks, so that parsing uses every core and never the engine's process.

Each is a fresh interpreter (nothing is forked from a process in which the engine runs) that talks over a socket pair.
"""

import logging
import marshal
import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec

from relaytrap.config import Config
from relaytrap.errors import InputError, StoreError
from relaytrap.hub.batch import Batch
from relaytrap.observation import Observation

__all__ = ["Workers"]

log = logging.getLogger(__name__)

# Made in 0.2 us a message; tuples of their fields would take marshal 1.3, while no other thread of the hub works.
PACK: Final = msgspec.msgpack.Encoder().encode
STOP_S: Final = 5.0


class Workers:
    """A fixed number of worker processes, started when first needed. Thread-safe; close it at the end."""

    def __init__(self, config: Config, count: int = 0) -> None:
        """count: 0 for one a core."""
        self.count = count or os.cpu_count() or 1
        self._config = pickle.dumps(config)
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.count):
            self._idle.put(None)
        self._all: list[_Worker] = []
        self._closed = False
        self._mutex = threading.Lock()

    def batch(
        self, observations: Sequence[Observation], ingested_ms: int | Sequence[int], *, known: Sequence[int] = ()
    ) -> Batch:
        """One block of observations; waits for an idle worker."""
        return self._done(("observations", ingested_ms, tuple(known), PACK(observations)))

    def segment_batch(
        self, data: bytes, sensor: str, arrived_ns: int, ingested_ms: int, *, known: Sequence[int] = ()
    ) -> Batch:
        """One block of a sensor's segment; InputError for bytes that are no segment. See worker.segment_batch."""
        return self._done(("segment", ingested_ms, tuple(known), (data, sensor, arrived_ns)))

    def close(self) -> None:
        """End the processes; a job at work ends with a StoreError."""
        with self._mutex:
            self._closed = True
            workers, self._all = self._all, []
        for worker in workers:
            worker.close()

    def _done(self, job: tuple[Any, ...]) -> Batch:
        data = marshal.dumps(job)
        worker = self._idle.get()
        try:
            answer: Any = None
            for attempt in (1, 2):
                worker = worker or self._start()
                try:
                    answer = worker.ask(data)
                    break
                except (EOFError, OSError):
                    if not self._closed:
                        log.warning("a worker process ended attempt=%d", attempt)
                    worker.close()
                    worker = None
            if answer is None:
                raise StoreError("a worker process ended twice over the same messages; there may be too little memory")
        finally:
            self._idle.put(worker)
        return _batch(answer)

    def _start(self) -> "_Worker":
        with self._mutex:
            if self._closed:
                raise StoreError("the worker processes are ended, because the hub stops; send it again later")
            worker = _Worker(self._config)
            self._all.append(worker)
        return worker


def _batch(answer: tuple[Any, ...]) -> Batch:
    if len(answer) == 2:
        is_input, text = answer
        raise InputError(text) if is_input else StoreError(f"a worker process failed: {text}")
    return Batch(*answer)


class _Worker:
    """One process and our end of its socket."""

    def __init__(self, config: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "relaytrap.hub.worker", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._connection = Connection(ours.detach())
        self._connection.send_bytes(config)

    def ask(self, job: bytes) -> Any:
        self._connection.send_bytes(job)
        return marshal.loads(self._connection.recv_bytes())

    def close(self) -> None:
        self._connection.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
