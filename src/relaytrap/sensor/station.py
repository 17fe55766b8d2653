"""Between the sockets and everything else: each message is recorded first, then the engine sees it.

Recording first means that nothing a message does to this program keeps it out of the record.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from relaytrap import clock
from relaytrap.observation import Observation
from relaytrap.sensor.engine import Engine
from relaytrap.sensor.flow import Flow
from relaytrap.sensor.outlet import Answer

__all__ = ["Arrived", "Recorder", "Sent", "Station"]

log = logging.getLogger(__name__)


class Arrived(NamedTuple):
    """A datagram that was read. where: the socket's own form of where it came from."""

    data: bytes
    flow: Flow
    now_ns: int
    where: tuple[Any, ...]


Sent: TypeAlias = tuple[Answer, int]
"""An answer that left, and when: nanoseconds since the epoch."""


class Recorder(Protocol):
    """What observations are written to: the spool, or a worker's way to it."""

    def write(self, observation: Observation, now: float) -> bool:
        """Append one; False when it is lost."""


class Station:
    """One sensor's desk, shared by its listeners.

    counts: messages by what happened to them. last_received_ns: when the last one came, 0 before the first.
    """

    def __init__(self, sensor: str, engine: Engine, recorder: Recorder) -> None:
        self.sensor = sensor
        self.engine = engine
        self._recorder = recorder
        self.counts: Counter[str] = Counter()
        self.last_received_ns = 0

    def take_in(self, data: bytes, flow: Flow, *notes: str) -> Iterable[Answer]:
        """Record a message that came in, and what to answer. notes: what the reader saw around the bytes."""
        now_ns, now = clock.now_ns(), clock.monotonic()
        self.record(data, flow, now_ns, now, *notes)
        return self._answer(data, flow, now_ns, now)

    def take_in_all(self, arrived: Sequence[Arrived]) -> Iterator[Iterable[Answer]]:
        """Record datagrams that came in, all of them first, and then what to answer to each, in order."""
        now = clock.monotonic()
        for each in arrived:
            self.record(each.data, each.flow, each.now_ns, now)
        for each in arrived:
            yield self._answer(each.data, each.flow, each.now_ns, now)

    def _answer(self, data: bytes, flow: Flow, now_ns: int, now: float) -> Iterable[Answer]:
        try:
            return self.engine.receive(data, flow, now_ns, now)
        except Exception:
            # The edge of one message: a fault of ours costs one answer, not the sensor. The bytes are in the record.
            log.exception("an engine fault on one message: source=%s size=%d", flow.source, len(data))
            self.counts["faults"] += 1
            return ()

    def record(self, data: bytes, flow: Flow, now_ns: int, now: float, *notes: str) -> None:
        """Record bytes that came in."""
        self.counts["received"] += 1
        self.last_received_ns = now_ns
        self._recorder.write(Observation(now_ns, self.sensor, "in", *flow, data, notes=notes), now)

    def sent(self, answer: Answer) -> None:
        """Record an answer that left."""
        self.all_sent([(answer, clock.now_ns())])

    def all_sent(self, sent: Sequence[Sent]) -> None:
        """Record answers that left, and when."""
        now = clock.monotonic()
        self.counts["sent"] += len(sent)
        for (data, flow), now_ns in sent:
            self._recorder.write(Observation(now_ns, self.sensor, "out", *flow, data), now)

    def unsent(self, answer: Answer, error: OSError) -> None:
        """Note an answer that the kernel did not take: a lost datagram, as on any wire."""
        self.counts["unsent"] += 1
        log.debug("sending failed: source=%s reason=%s", answer.flow.source, error.strerror)
