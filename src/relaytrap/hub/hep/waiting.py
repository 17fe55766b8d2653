"""Observations on their way from the sockets to the store: a bounded list that one thread empties, batch by batch.

HEP has no receipts, so what a sender gave us is safe only when it is stored: it waits here for a second at most while
all is well. When the store takes nothing the list grows to its limit; then senders over TCP have to wait, and what
comes over UDP is lost and counted.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final

from relaytrap.errors import DiskError, StoreError
from relaytrap.hub.turns import HubBusy
from relaytrap.observation import Observation

__all__ = ["StoreBatch", "Waiting"]

log = logging.getLogger(__name__)

FLUSH_S: Final = 1.0
BATCH_MAX: Final = 4096
BYTES_MAX: Final = 64 << 20
OVERHEAD_BYTES: Final = 600
"""What an observation weighs besides its message."""
RETRY_S: Final = 5.0
STOP_GRACE_S: Final = 8.0

StoreBatch = Callable[[Sequence[Observation], str], int]


class Waiting:
    """The list and its thread. store: takes a batch under a token and gives how many; may raise, and is asked again.

    on_room: called in this thread when there is room again after the list was full. lost: observations given up.
    """

    def __init__(
        self, store: StoreBatch, *, on_room: Callable[[], None] = lambda: None, bytes_max: int = BYTES_MAX
    ) -> None:
        self.lost = 0
        self.stored = 0
        self.complaint = ""
        self._store = store
        self._on_room = on_room
        self._bytes_max = bytes_max
        self._guard = threading.Lock()
        self._batches: list[list[Observation]] = [[]]
        self._bytes = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._boot = secrets.token_hex(8)
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="hep-store", daemon=True)

    def start(self) -> None:
        """Begin to store."""
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether the next `put` would be refused."""
        return self._bytes >= self._bytes_max

    @property
    def size_bytes(self) -> int:
        """About how much memory waits."""
        return self._bytes

    def put(self, observation: Observation) -> bool:
        """Append one; False when there is no room for it."""
        if self._bytes >= self._bytes_max:
            return False
        with self._guard:
            last = self._batches[-1]
            if len(last) >= BATCH_MAX:
                last = []
                self._batches.append(last)
            last.append(observation)
            self._bytes += len(observation.raw) + OVERHEAD_BYTES
        if len(last) == BATCH_MAX or self.is_full:
            self._wake.set()
        return True

    def stop(self) -> None:
        """Store what waits within a few seconds, then end; what cannot be stored by then is lost and counted."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_GRACE_S)
        left = sum(map(len, self._batches))
        if left:
            self.lost += left
            log.error("HEP messages lost, because the store took nothing until the end: messages=%d", left)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            self._empty()
        self._empty()

    def _empty(self) -> None:
        """Store all that waits now, in order; a batch that the store does not take is tried again until we stop."""
        while batch := self._first():
            self._number += 1
            token = f"hep/{self._boot}/{self._number}"
            while (wait_s := self._try(batch, token)) > 0:
                if self._stopping.is_set():
                    return
                self._stopping.wait(wait_s)
            self._forget(batch)

    def _first(self) -> list[Observation]:
        """The oldest batch, to which nothing is added any more; it stays until it is stored."""
        with self._guard:
            first = self._batches[0]
            if first and len(self._batches) == 1:
                self._batches.append([])
            return first

    def _try(self, batch: list[Observation], token: str) -> float:
        """Store a batch; seconds to wait before the next try, 0 when it is done."""
        try:
            self.stored += self._store(batch, token)
        except HubBusy as busy:
            return busy.retry_after_s
        except (StoreError, DiskError) as error:
            if not self.complaint:
                log.warning("HEP messages wait, because the store does not take them: %s", error)
            self.complaint = str(error)
            return RETRY_S
        except Exception:  # the edge of one batch: a fault of ours must not end the listener
            log.exception("HEP messages lost by a fault: messages=%d", len(batch))
            self.lost += len(batch)
        self.complaint = ""
        return 0.0

    def _forget(self, batch: list[Observation]) -> None:
        with self._guard:
            was_full = self.is_full
            del self._batches[0]
            self._bytes -= sum(len(each.raw) + OVERHEAD_BYTES for each in batch)
        if was_full and not self.is_full:
            self._on_room()
