"""What comes back to the tester, and the end of everything that a probe opened.

A final answer to an INVITE is acknowledged, a call that somebody took is ended at once, one that only rings is
cancelled, a registration that was taken is taken back.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping

from relaytrap.clock import monotonic
from relaytrap.probe.plan import Timing
from relaytrap.probe.request import build_follow_up, build_probe
from relaytrap.probe.running import Running
from relaytrap.probe.witness import WitnessedRequest
from relaytrap.sip import Request, Response, Unparsed, parse_message

__all__ = ["Ending"]

# How often what ends a call is sent while nothing answers it.
SENT_AGAIN = 4


class Ending:
    """Reads what servers send to the tester. running: every probe by its token."""

    def __init__(self, running: Mapping[bytes, Running], timing: Timing) -> None:
        self._running = running
        self._timing = timing
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, data: bytes) -> bool:
        """An answer to a probe, or the probe itself from an echo; whether it is SIP at all."""
        message = parse_message(data)
        if isinstance(message, Unparsed):
            return False
        running = self._running.get((message.call_id or b"").partition(b"@")[0])
        if running is None or message.cseq is None:
            return True
        if isinstance(message, Response) and message.cseq.method == b"BYE":
            running.hung_up = running.hung_up or message.status_code >= 200
        elif message.cseq.method != running.probe.method.encode():
            return True
        elif isinstance(message, Request):
            seen = WitnessedRequest(message, running.probe.ends.tester, 0, running.probe.transport)
            running.note_arrival(seen, echoed=True)
        else:
            running.note_answer(message)
            if running.probe.method == "INVITE":
                self._acknowledge(running, message)
        running.changed.set()
        return True

    async def end(self, running: Running) -> None:
        """End what a probe that was waited for long enough has left open."""
        if running.ringing:
            await self._cancel(running)
        if running.registered and running.probe.trick != "register":
            await self.unregister(running)

    async def unregister(self, running: Running) -> None:
        """Take a registration back, until the server has said that it did."""
        for _ in range(SENT_AGAIN):
            running.send(build_probe(running.probe, undo=True))
            if await running.wait(1.0, lambda: running.undone):
                return

    async def mind_strays(self, say: Callable[[str, float], None]) -> None:
        """Stay until no transaction that something was heard of is without an end, or none can be open any more."""
        end = max((running.sent_at for running in self._running.values()), default=0.0) + self._timing.stray
        while (left := end - monotonic()) > 0 and any(running.may_ring for running in self._running.values()):
            say("seeing that nothing is left ringing", left)
            await asyncio.sleep(min(left, 0.5))
        await asyncio.gather(*self._tasks)

    def abandon(self) -> None:
        """End what a test that was broken off has left open, as far as one message each can."""
        for task in self._tasks:
            task.cancel()
        for running in self._running.values():
            if running.ringing:
                running.send(build_follow_up(running.probe, "CANCEL", b""))
            if running.registered:
                running.send(build_probe(running.probe, undo=True))

    def _acknowledge(self, running: Running, response: Response) -> None:
        """Acknowledge a final answer to an INVITE, and end what it opened."""
        status = response.status_code
        to = response.headers.get(b"to") or b""
        if status >= 300:
            running.send(build_follow_up(running.probe, "ACK", to))
        elif status >= 200:
            running.send(build_follow_up(running.probe, "ACK", to, accepted=response))
            if not running.accepted:
                running.accepted = True
                self._begin(self._hang_up(running, response))
        elif running.probed and running.ringing and not running.cancelled:
            running.cancelled = True
            self._begin(self._cancel(running))

    async def _cancel(self, running: Running) -> None:
        """CANCEL a call that rings; by UDP again while nothing ends it, as a lost one would leave it ringing."""
        running.cancelled = True
        for number in range(SENT_AGAIN):
            if number == 0 or running.probe.transport == "udp":
                running.send(build_follow_up(running.probe, "CANCEL", b""))
            if await running.wait(self._timing.cancelled / SENT_AGAIN, lambda: running.finished):
                return

    async def _hang_up(self, running: Running, accepted: Response) -> None:
        """BYE to a call that somebody took, until it is answered."""
        to = accepted.headers.get(b"to") or b""
        for number in range(SENT_AGAIN):
            if number == 0 or running.probe.transport == "udp":
                running.send(build_follow_up(running.probe, "BYE", to, accepted=accepted))
            if await running.wait(1.0, lambda: running.hung_up):
                return

    def _begin(self, ending: Coroutine[None, None, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(ending))
