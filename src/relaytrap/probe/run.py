"""One test of one server: sends the probes, minds their transactions, is told what came to the witness.

Every INVITE is brought to an end: a final answer is acknowledged, an accepted call is ended at once, one that only
rings is cancelled; and the sockets stay open for strays until nothing can ring any more, or 32 seconds (64*T1, RFC
3261 section 17.1.1.2).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace

from relaytrap.clock import monotonic
from relaytrap.errors import ListenError
from relaytrap.probe.channel import ChannelError, StreamChannel, UdpSocket
from relaytrap.probe.plan import Plan, Progress, Way, make_ends, new_token, plan_probes
from relaytrap.probe.reach import Outside, Pinholes, find_offered
from relaytrap.probe.request import Probe, build_follow_up, build_probe
from relaytrap.probe.running import Running
from relaytrap.probe.target import Endpoint, refusal, version_of
from relaytrap.probe.tricks import host_port
from relaytrap.probe.verdict import LOSABLE, Outcome
from relaytrap.probe.witness import Place, Watch, WitnessedRequest, tokens_of
from relaytrap.sip import Request, Response, Unparsed, parse_message

__all__ = ["Run"]

# So many probes at most that nothing came of are tried a second time: more than that is no loss but the server's way.
REPEATED_MAX = 12
# How often what ends a call is sent while nothing answers it.
SENT_AGAIN = 4


class Run:
    """A test while it runs. `outcomes`, `not_offered` and `witness_reachable` may be read at any time."""

    def __init__(
        self, plan: Plan, watch: Watch, on_progress: Callable[[Progress], None] = lambda progress: None
    ) -> None:
        """watch: is closed with the test."""
        self.plan = plan
        self.offered: list[Endpoint] = []
        self.not_offered: list[str] = list(plan.target.left_out)
        self._watch = watch
        self._on_progress = on_progress
        self._running: dict[bytes, Running] = {}
        self._pinholes = Pinholes(watch, plan, ())
        self._outside = Outside(watch, plan)
        self._udp: dict[int, UdpSocket] = {}
        self._settled = 0
        self._connections: dict[str, asyncio.Semaphore] = {}
        self._channels: list[tuple[Running, StreamChannel]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._replaced: set[bytes] = set()

    @property
    def outcomes(self) -> list[Outcome]:
        """What came of every probe so far; of one that was repeated, its second time when its first came to nothing."""
        told = ((token, running.outcome) for token, running in self._running.items())
        return [outcome for token, outcome in told if token not in self._replaced or outcome.result not in LOSABLE]

    @property
    def witness_seen_as(self) -> dict[str, Place]:
        """By server address, as whom that server saw the witness when it knocked there."""
        return self._pinholes.seen_as

    @property
    def witness_places(self) -> list[Place]:
        """Where the probes led."""
        servers = (endpoint.address for endpoint in self.offered if version_of(endpoint.address) in self._watch.places)
        return list(dict.fromkeys(map(self._place_for, servers))) or list(self._watch.places.values())

    @property
    def witness_reachable(self) -> bool:
        """Whether every server that was heard of was seen to reach the witness, or we did from another machine."""
        if any(running.witnessed for running in self._running.values()):
            return True
        if self._watch.trouble:
            return False
        heard = {each.probe.ends.server for each in self._running.values() if each.answers or each.arrivals}
        return all(
            address in self.witness_seen_as or self._outside.reached.get(version_of(address)) for address in heard
        )

    async def run(self) -> None:
        """Run the test to its end; `outcomes` holds what came of it. Raises ListenError."""
        keeping: asyncio.Task[None] | None = None
        try:
            self._watch.report_to(self)
            for version, address in self.plan.testers.items():
                self._udp[version] = await _open_udp(address, self._take_datagram)
            self._say("looking for transports", self.plan.timing.settle)
            self.offered, sentences = await find_offered(self.plan, self._check)
            self.not_offered += sentences
            await self._try_witness()
            keeping = asyncio.create_task(self._pinholes.keep(self._check))
            await self._probe_all()
            if self.plan.register and self.offered:
                await self._try_registrar(self.offered[0])
            await self._mind_strays()
            await asyncio.gather(*self._ending)
        finally:
            if keeping is not None:
                keeping.cancel()
            self._abandon()
            self._close()

    def _close(self) -> None:
        if self._watch.trouble:
            self._note(self._watch.trouble)
        for running, channel in self._channels:
            if channel.trouble and not running.answers:
                self._note(channel.trouble)
            channel.close()
        for udp in self._udp.values():
            udp.close()
        self._watch.close()

    def _note(self, sentence: str) -> None:
        if sentence not in self.not_offered:
            self.not_offered.append(sentence)

    def _abandon(self) -> None:
        """End what a test that was broken off has left open, as far as one message each can."""
        for task in self._ending:
            task.cancel()
        for running in self._running.values():
            if running.ringing:
                running.send(build_follow_up(running.probe, "CANCEL", b""))
            if running.registered:
                running.send(build_probe(running.probe, undo=True))

    # The witness

    async def _try_witness(self) -> None:
        """See whether the servers can reach it, and as whom they see it."""
        self._say("trying the way to the witness", self.plan.timing.settle)
        self._pinholes = Pinholes(self._watch, self.plan, self.offered)
        await self._watch.announce([*self._pinholes.tokens, *self._outside.tokens])
        await asyncio.gather(self._pinholes.open(self._check), self._outside.try_it(self._udp))
        self.not_offered += self._outside.sentences()
        for address, seen in self.witness_seen_as.items():
            if seen != self._watch.places[version_of(address)] and version_of(address) not in self._watch.named:
                self._note(
                    f"The witness is behind a NAT as {host_port(*seen)}: what {address} forwards by another transport"
                    " than UDP, or from another address, cannot arrive"
                )

    def _place_for(self, server: str) -> Place:
        """The witness's place as probes to a server name it."""
        version = version_of(server)
        place = self._watch.places[version]
        return place if version in self._watch.named else self.witness_seen_as.get(server, place)

    def _way(self, endpoint: Endpoint) -> Way:
        version = version_of(endpoint.address)
        place = self._place_for(endpoint.address)
        tester, port = self.plan.testers[version], self._udp[version].port
        return Way(endpoint, tester, port, place, self._watch.places.get(10 - version))

    def take_request(self, seen: WitnessedRequest) -> bool:
        """What came to the witness; whether it belongs to this test and is to be answered."""
        for token in tokens_of(seen.request):
            if self._pinholes.take_echo(token):
                return False
            if self._outside.take_request(token, seen):
                return True
            if running := self._running.get(token):
                break
        else:
            return False
        if running.probe.method.encode() == seen.request.method:
            ends = running.probe.ends
            running.note_arrival(seen, echoed=(seen.source, seen.source_port) == (ends.tester, ends.tester_port))
            running.changed.set()
        return True

    def take_response(self, response: Response, source: str) -> None:
        """What was answered to the witness."""
        self._pinholes.take_response(response, source)

    # The probes

    async def _probe_all(self) -> None:
        ways = []
        for endpoint in self.offered:
            if version_of(endpoint.address) in self._watch.places:
                ways.append(self._way(endpoint))
            else:
                self._note(f"{endpoint.address}: there is no witness with an IPv{version_of(endpoint.address)} address")
        await self._send_all(await self._begin(plan_probes(self.plan, ways)))
        await self._repeat_lost()

    async def _repeat_lost(self) -> None:
        """Try again the few probes that nothing came of beside many that something came of."""
        lost = [running for running in self._running.values() if running.outcome.result in LOSABLE]
        if not 0 < len(lost) <= min(REPEATED_MAX, len(self._running) // 2):
            return
        again = [replace(each.probe, ends=replace(each.probe.ends, token=new_token())) for each in lost]
        repeated = await self._begin(again)
        await self._send_all(repeated)
        for first, second in zip(lost, repeated, strict=True):
            if second.outcome.result not in LOSABLE:
                self._replaced.add(first.probe.ends.token.encode())
            else:
                self._replaced.add(second.probe.ends.token.encode())

    async def _begin(self, probes: Iterable[Probe]) -> list[Running]:
        """Make probes known, here and at the witness, before they are sent."""
        fresh = {probe.ends.token.encode(): Running(probe) for probe in probes}
        self._running.update(fresh)
        await self._watch.announce(fresh)
        return list(fresh.values())

    async def _send_all(self, probes: Iterable[Running]) -> None:
        """Each server's probes one after the other, the servers side by side."""
        servers: dict[str, list[Running]] = {}
        for running in probes:
            servers.setdefault(running.probe.ends.server, []).append(running)
        await asyncio.gather(*map(self._probe_server, servers.values()))

    async def _probe_server(self, probes: Iterable[Running]) -> None:
        tasks = []
        for running in probes:
            tasks.append(asyncio.create_task(self._probe(running)))
            await asyncio.sleep(self.plan.timing.pace)
            self._say("probing", self._time_left())
        await asyncio.gather(*tasks)

    def _time_left(self) -> float:
        timing = self.plan.timing
        unsent = Counter(each.probe.ends.server for each in self._running.values() if not each.sent_at)
        to_send = max(unsent.values(), default=0) * timing.pace
        return to_send + timing.resend[-1] + timing.settle + timing.cancelled

    async def _try_registrar(self, endpoint: Endpoint) -> None:
        """Register a random user whose contact is the witness, call it, and take the registration back."""
        self._say("trying the registrar", self.plan.timing.settle)
        ends = make_ends(self.plan, self._way(endpoint), "register")
        register = Probe("REGISTER", endpoint.transport, "register", ends)
        call = Probe("OPTIONS", endpoint.transport, "registered", replace(ends, token=new_token()))
        (running,) = await self._begin((register,))
        await self._probe(running)
        if running.registered:
            await self._send_all(await self._begin((call,)))
            await self._unregister(running)

    async def _unregister(self, register: Running) -> None:
        """Take a registration back, until the server has said that it did."""
        for _ in range(SENT_AGAIN):
            register.send(build_probe(register.probe, undo=True))
            if await self._wait(register, 1.0, lambda: register.undone):
                return

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

    async def _probe_udp(self, running: Running) -> None:
        ends = running.probe.ends
        data = build_probe(running.probe)
        udp = self._udp[version_of(ends.server)]
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
        limit = self._connections.setdefault(ends.server, asyncio.Semaphore(self.plan.timing.connections))
        async with limit:
            channel = StreamChannel(running.probe.transport, ends.server, ends.server_port, ends.tester, self._take)
            self._check(ends.server)
            await channel.open()
            self._channels.append((running, channel))
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

    def _check(self, address: str) -> None:
        if why := refusal(address, private_allowed=self.plan.private_allowed) or self.plan.opted_out(address):
            raise ChannelError(address, why)

    # What ends a call

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

    async def _mind_strays(self) -> None:
        """Stay until no transaction that something was heard of is without an end."""
        end = max((running.sent_at for running in self._running.values()), default=0.0) + self.plan.timing.stray
        while (left := end - monotonic()) > 0 and any(running.may_ring for running in self._running.values()):
            self._say("seeing that nothing is left ringing", left)
            await asyncio.sleep(min(left, 0.5))

    # What comes back

    def _take_datagram(self, data: bytes, source: Place) -> None:
        if not self._take(data) and data.strip(b"\r\n\0"):
            place = next((each for each in self.offered if (each.address, each.port) == source), None)
            if place and place.transport == "udp":
                self._note(f"UDP {host_port(*source)} sent something that is not SIP")

    def _take(self, data: bytes) -> bool:
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
                self._end(self._hang_up(running, response))
        elif running.probed and running.ringing and not running.cancelled:
            running.cancelled = True
            self._end(self._cancel(running))

    def _say(self, doing: str, seconds_left: float) -> None:
        sent = sum(running.sent_at > 0 for running in self._running.values())
        self._on_progress(Progress(sent, self._settled, len(self._running), max(0.0, seconds_left), doing))


async def _open_udp(address: str, receive: Callable[[bytes, Place], None]) -> UdpSocket:
    try:
        return await UdpSocket.open(address, 0, receive)
    except OSError as error:
        raise ListenError(f"cannot send from {address} ({error.strerror}); choose another with --from") from None
