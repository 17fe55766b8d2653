"""One probe on its way: what arrived, what was answered, and what is still open of it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from relaytrap.clock import monotonic
from relaytrap.probe.request import UNDO_CSEQ, Probe
from relaytrap.probe.verdict import Answer, Arrival, Outcome
from relaytrap.probe.witness import WITNESS_NAME, WITNESS_TAG, WitnessedRequest
from relaytrap.sip import Response

__all__ = ["Running"]

T = TypeVar("T")

# Answers and arrivals kept of one probe.
KEPT_MAX = 32


class Running:
    """One probe on its way."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.arrivals: list[Arrival] = []
        self.answers: list[Answer] = []
        self.error = ""
        self.sent_at = 0.0
        self.probed = False  # its sending and waiting is over; what comes now is late
        self.cancelled = False
        self.accepted = False
        self.hung_up = False
        self.undone = False
        self.changed = asyncio.Event()
        self.send: Callable[[bytes], None] = lambda data: None

    @property
    def finished(self) -> bool:
        """Whether its transaction has a final answer."""
        return any(answer.status_code >= 200 for answer in self.answers)

    @property
    def ringing(self) -> bool:
        """Whether it is a call that somebody is at work on, and that nobody has ended."""
        return self.probe.method == "INVITE" and bool(self.answers) and not self.finished

    @property
    def may_ring(self) -> bool:
        """Whether something was heard of it and no end."""
        return bool(self.answers or self.arrivals) and not self.finished

    @property
    def registered(self) -> bool:
        """Whether it is a REGISTER that was accepted, and not taken back."""
        accepted = any(200 <= answer.status_code < 300 for answer in self.answers)
        return self.probe.method == "REGISTER" and accepted and not self.undone

    @property
    def witnessed(self) -> bool:
        """Whether it arrived at the witness, and not as an echo."""
        return any(not arrival.ours_alone for arrival in self.arrivals)

    @property
    def outcome(self) -> Outcome:
        """What came of it so far."""
        return Outcome(self.probe, tuple(self.arrivals), tuple(self.answers), self.error)

    async def wait(self, seconds: float, done: Callable[[], bool]) -> bool:
        """Wait until done() or the time is over; whether it was done."""
        end = monotonic() + seconds
        while not done() and (left := end - monotonic()) > 0:
            self.changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self.changed.wait()
            except TimeoutError:
                break
        return done()

    def note_answer(self, response: Response) -> None:
        """A response with its Call-ID and method."""
        status = response.status_code
        _keep(
            self.answers,
            Answer(
                after_s=monotonic() - self.sent_at,
                status_code=status,
                reason_phrase=response.reason_phrase.decode("utf-8", "backslashreplace"),
                by_witness=(response.to_tag or b"").startswith(WITNESS_TAG) or response.user_agent == WITNESS_NAME,
                server=(response.user_agent or b"").decode("utf-8", "backslashreplace"),
            ),
        )
        if self.probe.method == "REGISTER" and response.cseq and response.cseq.number == UNDO_CSEQ:
            self.undone = self.undone or status >= 200

    def note_arrival(self, seen: WitnessedRequest, *, echoed: bool) -> None:
        """A request with its token and method; it is an echo too when only we put a Via on it."""
        request = seen.request
        ours = next((via for via in request.vias if via.branch == self.probe.branch.encode()), None)
        rport = ours.rport if ours and isinstance(ours.rport, int) and not isinstance(ours.rport, bool) else None
        _keep(
            self.arrivals,
            Arrival(
                after_s=monotonic() - self.sent_at,
                source=seen.source,
                source_port=seen.source_port,
                transport=seen.transport,
                method=request.method.decode("latin-1"),
                vias=tuple(via.raw.decode("utf-8", "backslashreplace") for via in request.vias),
                max_forwards=request.max_forwards,
                raw=request.raw,
                ours_alone=echoed or (ours is not None and len(request.vias) == 1),
                our_received=(ours.received or b"").decode("latin-1") if ours else "",
                our_rport=rport,
            ),
        )


def _keep(kept: list[T], one: T) -> None:
    """Append; the last gives way when there is no room, as a server may send as many as it likes."""
    del kept[KEPT_MAX - 1 :]
    kept.append(one)
