"""One test of one server: sends the probes, minds their transactions, watches the witness.

Every INVITE is brought to an end: a final answer is acknowledged, an accepted call is ended at once, one that only
rings is cancelled; and the sockets stay open for strays until nothing can ring any more, or 32 seconds (64*T1, RFC
3261 section 17.1.1.2).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from ipaddress import ip_address
from typing import TypeVar

from relaytrap.clock import monotonic
from relaytrap.errors import ListenError
from relaytrap.probe.channel import ChannelError, StreamChannel, UdpSocket
from relaytrap.probe.plan import Plan, Progress, make_ends, new_token, plan_probes
from relaytrap.probe.request import Probe, build_follow_up, build_probe
from relaytrap.probe.target import Endpoint, refusal
from relaytrap.probe.tricks import Ends, host_port
from relaytrap.probe.verdict import Answer, Arrival, Outcome
from relaytrap.probe.witness import WITNESS_NAME, WITNESS_TAG, Witness, WitnessedRequest, tokens_of
from relaytrap.sip import Request, Response, Unparsed, Via, parse_message

__all__ = ["Run"]

T = TypeVar("T")

# How often what ends a call is sent while nothing answers it.
SENT_AGAIN = 4
# Answers and arrivals kept of one probe.
KEPT_MAX = 32
# The CSeq of the REGISTER that takes another back.
UNDO_CSEQ = 2


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


class Run:
    """A test while it runs. `outcomes` and `witness_reachable` may be read at any time."""

    def __init__(self, plan: Plan, on_progress: Callable[[Progress], None] = lambda progress: None) -> None:
        self.plan = plan
        self.offered: list[Endpoint] = []
        self.not_offered: list[str] = []
        self.witness_seen_as: tuple[str, int] | None = None
        self._on_progress = on_progress
        self._running: dict[bytes, Running] = {}
        self._witness = Witness(self._witnessed, self._pinhole_answered)
        self._udp: UdpSocket | None = None
        self._settled = 0
        self._connections = asyncio.Semaphore(plan.timing.connections)
        self._channels: list[StreamChannel] = []
        self._pinhole_token = new_token().encode()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def outcomes(self) -> list[Outcome]:
        """What came of every probe so far."""
        return [running.outcome for running in self._running.values()]

    @property
    def witness_at(self) -> tuple[str, int]:
        """Where the witness listens."""
        return self._witness.address, self._witness.port

    @property
    def witness_reachable(self) -> bool:
        """Whether something from the server came to the witness: an arrival, or the answer to its own OPTIONS."""
        return any(running.witnessed for running in self._running.values()) or self.witness_seen_as is not None

    async def run(self, witness_address: str, witness_port: int, *, any_port: bool) -> None:
        """Run the test to its end; `outcomes` holds what came of it.

        any_port: when the witness's port is taken, any other serves (some relays reach only 5060).
        Raises ListenError when an address or port cannot be had.
        """
        try:
            self._udp = await _listen(UdpSocket.open(self.plan.tester, 0, self._take_datagram), self.plan.tester, 0)
            try:
                await _listen(self._witness.open(witness_address, witness_port), witness_address, witness_port)
            except ListenError:
                if not any_port:
                    raise
                await _listen(self._witness.open(witness_address, 0), witness_address, 0)
            await self._find_offered()
            await self._open_pinhole()
            await self._probe_all()
            if self.plan.register and self.offered:
                await self._try_registrar(self.offered[0])
            await self._mind_strays()
            await asyncio.gather(*self._ending)
        finally:
            self._abandon()
            for channel in self._channels:
                channel.close()
            if self._udp is not None:
                self._udp.close()
            self._witness.close()

    def _abandon(self) -> None:
        """End what a test that was broken off has left open, as far as one message each can."""
        for task in self._ending:
            task.cancel()
        for running in self._running.values():
            if running.ringing:
                running.send(build_follow_up(running.probe, "CANCEL", b""))
            if running.registered:
                running.send(build_probe(running.probe, undo=True))

    async def _find_offered(self) -> None:
        """Which endpoints take a connection; UDP is always tried, as silence proves nothing."""
        self._say("looking for transports", self.plan.timing.settle)

        async def offered(endpoint: Endpoint) -> bool:
            channel = self._channel(endpoint)
            try:
                self._check(endpoint.address)
                if endpoint.transport == "udp":
                    return True
                await channel.open()
            except ChannelError as error:
                self.not_offered.append(str(error))
                return False
            channel.close()
            return True

        endpoints = self.plan.target.endpoints
        answers = await asyncio.gather(*map(offered, endpoints))
        found: dict[str, Endpoint] = {}
        for endpoint, answer in zip(endpoints, answers, strict=True):
            if answer:
                found.setdefault(endpoint.transport, endpoint)
        self.offered = list(found.values())

    async def _open_pinhole(self) -> None:
        """OPTIONS from the witness's own socket: opens a NAT's way back, and its answer shows that there is one."""
        first = next((endpoint for endpoint in self.offered if endpoint.transport == "udp"), None)
        if first is None:
            return
        token = self._pinhole_token.decode()
        address, port = self._witness.address, self._witness.port
        ends = Ends(
            first.address, first.port, self.plan.target.domain, first.address, first.port, address, port, token, ""
        )
        data = build_probe(Probe("OPTIONS", "udp", "plain", ends))
        for wait in (0.5, 1.0, 2.0):
            self._check(first.address)
            self._witness.send(data, first.address, first.port)
            for _ in range(int(wait / 0.05)):
                if self.witness_seen_as:
                    return
                await asyncio.sleep(0.05)

    def _pinhole_answered(self, response: Response, source: str) -> None:
        """The server's answer to the witness's OPTIONS; what anybody else sends there changes no probe."""
        ends = {endpoint.address for endpoint in self.offered}
        if _token_of(response) != self._pinhole_token or source not in ends or not response.vias:
            return
        here = (self._witness.address, self._witness.port)
        seen = _seen_as(response.vias[0], here)
        # A private address as seen from outside is one that the server did not check: it could not lead back here.
        if seen and not (seen[0] == here[0] and ip_address(here[0]).is_private and ip_address(source).is_global):
            self.witness_seen_as = seen

    async def _probe_all(self) -> None:
        assert self._udp is not None
        for probe in plan_probes(self.plan, self.offered, self._witness_place, self._udp.port):
            self._running[probe.ends.token.encode()] = Running(probe)
        tasks = []
        for number, running in enumerate(self._running.values(), 1):
            tasks.append(asyncio.create_task(self._probe(running)))
            await asyncio.sleep(self.plan.timing.pace)
            self._say("probing", self._time_left(number))
        await asyncio.gather(*tasks)

    async def _try_registrar(self, endpoint: Endpoint) -> None:
        """Register a random user whose contact is the witness, call it, and take the registration back."""
        self._say("trying the registrar", self.plan.timing.settle)
        assert self._udp is not None
        ends = make_ends(self.plan, endpoint, "register", self._witness_place, self._udp.port)
        register = Running(Probe("REGISTER", endpoint.transport, "register", ends))
        call = Running(Probe("OPTIONS", endpoint.transport, "registered", replace(ends, token=new_token())))
        self._running[ends.token.encode()] = register
        await self._probe(register)
        if register.registered:
            self._running[call.probe.ends.token.encode()] = call
            await self._probe(call)
            await self._unregister(register)

    async def _unregister(self, register: Running) -> None:
        """Take a registration back, until the server has said that it did."""
        for _ in range(4):
            register.send(build_probe(register.probe, undo=True))
            if await self._wait(register, 1.0, lambda: register.undone):
                return

    @property
    def _witness_place(self) -> tuple[str, int]:
        """The address and port that probes name for the witness."""
        public = self.plan.witness_public
        return public if public[0] else self.witness_seen_as or self.witness_at

    def _time_left(self, sent: int) -> float:
        timing = self.plan.timing
        to_send = (len(self._running) - sent) * timing.pace
        return to_send + timing.resend[-1] + timing.settle + timing.cancelled

    async def _probe(self, running: Running) -> None:
        try:
            if running.probe.transport == "udp":
                await self._probe_udp(running)
            else:
                await self._probe_stream(running)
            if running.ringing:
                await self._cancel(running)
            if running.registered and running.probe.trick != "register":
                await self._unregister(running)
        except ChannelError as error:
            running.error = str(error)
        finally:
            running.probed = True
            self._settled += 1
            self._say("waiting for what comes late", self.plan.timing.settle)

    async def _cancel(self, running: Running) -> None:
        """CANCEL a call that rings; by UDP again while nothing ends it, as a lost one would leave it ringing."""
        running.cancelled = True
        for number in range(SENT_AGAIN):
            if number == 0 or running.probe.transport == "udp":
                running.send(build_follow_up(running.probe, "CANCEL", b""))
            wait = self.plan.timing.cancelled / SENT_AGAIN
            if await self._wait(running, wait, lambda: running.finished):
                return

    async def _hang_up(self, running: Running, accepted: Response) -> None:
        """BYE to a call that somebody took, until it is answered."""
        to = accepted.headers.get(b"to") or b""
        for number in range(SENT_AGAIN):
            if number == 0 or running.probe.transport == "udp":
                running.send(build_follow_up(running.probe, "BYE", to, accepted=accepted))
            if await self._wait(running, 1.0, lambda: running.hung_up):
                return

    def _end(self, ending: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(ending)
        self._ending.add(task)

    async def _probe_udp(self, running: Running) -> None:
        ends = running.probe.ends
        data = build_probe(running.probe)
        udp = self._udp
        assert udp is not None
        self._check(ends.server)
        running.send = lambda more: udp.send(more, ends.server, ends.server_port)
        running.sent_at = monotonic()
        running.send(data)
        quiet = running.probe.method == "INVITE"
        for moment in self.plan.timing.resend:
            wait = running.sent_at + moment - monotonic()
            if await self._wait(running, wait, lambda: running.finished or bool(quiet and running.answers)):
                break
            running.send(data)
        await self._settle(running)

    async def _probe_stream(self, running: Running) -> None:
        ends = running.probe.ends
        async with self._connections:
            channel = self._channel(Endpoint(running.probe.transport, ends.server, ends.server_port))
            self._check(ends.server)
            try:
                await channel.open()
            except ChannelError as error:
                running.error = str(error)
                return
            self._channels.append(channel)
            running.send = channel.send
            running.sent_at = monotonic()
            channel.send(build_probe(running.probe))
            await self._wait(running, self.plan.timing.resend[-1], lambda: running.finished)
        await self._settle(running)

    async def _settle(self, running: Running) -> None:
        """Watch the witness; done early once the probe has arrived and its transaction has ended."""
        await self._wait(running, self.plan.timing.settle, lambda: running.finished and running.witnessed)

    async def _wait(self, running: Running, seconds: float, done: Callable[[], bool]) -> bool:
        """Wait until done() or the time is over; whether it was done."""
        end = monotonic() + seconds
        while not done() and (left := end - monotonic()) > 0:
            running.changed.clear()
            try:
                async with asyncio.timeout(left):
                    await running.changed.wait()
            except TimeoutError:
                break
        return done()

    async def _mind_strays(self) -> None:
        """Stay until no transaction that something was heard of is without an end."""
        end = max((running.sent_at for running in self._running.values()), default=0.0) + self.plan.timing.stray
        while (left := end - monotonic()) > 0 and any(map(_may_ring, self._running.values())):
            self._say("seeing that nothing is left ringing", left)
            await asyncio.sleep(min(left, 0.5))

    def _channel(self, endpoint: Endpoint) -> StreamChannel:
        return StreamChannel(endpoint.transport, endpoint.address, endpoint.port, self.plan.tester, self._take)

    def _check(self, address: str) -> None:
        if why := refusal(address, private_allowed=self.plan.private_allowed) or self.plan.opted_out(address):
            raise ChannelError(f"{address} {why}")

    def _take_datagram(self, data: bytes, source: tuple[str, int]) -> None:
        self._take(data)

    def _take(self, data: bytes) -> None:
        """What came back to the tester: an answer to a probe, or the probe itself from an echo."""
        message = parse_message(data)
        if isinstance(message, Unparsed):
            return
        running = self._running.get(_token_of(message))
        if running is None or message.cseq is None:
            return
        if isinstance(message, Response) and message.cseq.method == b"BYE":
            running.hung_up = running.hung_up or message.status_code >= 200
        elif message.cseq.method != running.probe.method.encode():
            return
        elif isinstance(message, Request):
            echo = WitnessedRequest(message, self.plan.tester, 0, running.probe.transport)
            _keep(running.arrivals, replace(arrival_of(echo, running), ours_alone=True))
        else:
            self._take_answer(running, message)
        running.changed.set()

    def _take_answer(self, running: Running, response: Response) -> None:
        """Note an answer, and acknowledge or end what it opened."""
        status = response.status_code
        _keep(
            running.answers,
            Answer(
                after_s=monotonic() - running.sent_at,
                status_code=status,
                reason_phrase=response.reason_phrase.decode("utf-8", "backslashreplace"),
                by_witness=(response.to_tag or b"").startswith(WITNESS_TAG) or response.user_agent == WITNESS_NAME,
                server=(response.user_agent or b"").decode("utf-8", "backslashreplace"),
            ),
        )
        if running.probe.method == "REGISTER" and response.cseq and response.cseq.number == UNDO_CSEQ:
            running.undone = running.undone or status >= 200
        if running.probe.method != "INVITE":
            return
        to = response.headers.get(b"to") or b""
        if status >= 300:
            running.send(build_follow_up(running.probe, "ACK", to))
        elif status >= 200:
            running.send(build_follow_up(running.probe, "ACK", to, accepted=response))
            if not running.accepted:
                running.accepted = True
                self._end(self._hang_up(running, response))
        elif running.probed and running.ringing and not running.cancelled:
            running.cancelled = True
            self._end(self._cancel(running))

    def _witnessed(self, seen: WitnessedRequest) -> bool:
        """Note what came to the witness; whether it belongs to a probe."""
        if _token_of(seen.request) == self._pinhole_token:  # an echo of the witness's own: it does lead back here
            self.witness_seen_as = self.witness_seen_as or self.witness_at
            return False
        running = next((self._running[token] for token in tokens_of(seen.request) if token in self._running), None)
        if running is None:
            return False
        if running.probe.method.encode() == seen.request.method:
            arrival = arrival_of(seen, running)
            own = (self.plan.tester, self._udp.port if self._udp else 0)
            if (seen.source, seen.source_port) == own:
                arrival = replace(arrival, ours_alone=True)
            _keep(running.arrivals, arrival)
            running.changed.set()
        return True

    def _say(self, doing: str, seconds_left: float) -> None:
        sent = sum(running.sent_at > 0 for running in self._running.values())
        self._on_progress(Progress(sent, self._settled, len(self._running), max(0.0, seconds_left), doing))


async def _listen(opening: Awaitable[T], address: str, port: int) -> T:
    try:
        return await opening
    except OSError as error:
        place = host_port(address, port)
        raise ListenError(
            f"cannot listen on {place} ({error.strerror}); choose another with --from or --witness"
        ) from None


def arrival_of(seen: WitnessedRequest, running: Running) -> Arrival:
    """What a witnessed request says of the way it came: it is our own (an echo) when only we put a Via on it."""
    request = seen.request
    ours = next((via for via in request.vias if via.branch == running.probe.branch.encode()), None)
    return Arrival(
        after_s=monotonic() - running.sent_at,
        source=seen.source,
        source_port=seen.source_port,
        transport=seen.transport,
        method=request.method.decode("latin-1"),
        vias=tuple(via.raw.decode("utf-8", "backslashreplace") for via in request.vias),
        max_forwards=request.max_forwards,
        raw=request.raw,
        ours_alone=ours is not None and len(request.vias) == 1,
        our_received=(ours.received or b"").decode("latin-1") if ours else "",
        our_rport=ours.rport if ours and isinstance(ours.rport, int) and not isinstance(ours.rport, bool) else None,
    )


def _seen_as(via: Via, here: tuple[str, int]) -> tuple[str, int] | None:
    """Our address and port as the server saw them, from `received` and `rport` (RFC 3581); None when they are none."""
    if via.received is None:
        return here
    port = here[1] if via.rport is None or isinstance(via.rport, bool) else via.rport
    try:
        address = ip_address(via.received.decode("latin-1").strip("[]"))
    except ValueError:
        return None
    return (str(address), port) if address.version == ip_address(here[0]).version and 0 < port < 65536 else None


def _token_of(message: Request | Response) -> bytes:
    return (message.call_id or b"").partition(b"@")[0]


def _keep(kept: list[T], one: T) -> None:
    """Append; the last gives way when there is no room, as a server may send as many as it likes."""
    del kept[KEPT_MAX - 1 :]
    kept.append(one)


def _may_ring(running: Running) -> bool:
    heard = bool(running.answers) or bool(running.arrivals)
    return heard and not running.finished
