"""One test of one name's servers: sends the probes, is told what came to the witness.

The sockets stay open for strays until nothing can ring any more, or 32 seconds (64*T1, RFC 3261 section 17.1.1.2).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from relaytrap.clock import monotonic
from relaytrap.errors import ListenError
from relaytrap.probe.channel import ChannelError, StreamChannel, UdpSocket
from relaytrap.probe.ending import Ending
from relaytrap.probe.place import Place
from relaytrap.probe.plan import Plan, Progress, Way, make_ends, new_token, plan_probes
from relaytrap.probe.reach import Outside, Pinholes, find_offered
from relaytrap.probe.request import Probe, build_probe
from relaytrap.probe.running import Running
from relaytrap.probe.target import Endpoint, refusal, version_of
from relaytrap.probe.verdict import LOSABLE, Outcome
from relaytrap.probe.witness import Watch, WitnessedRequest, tokens_of
from relaytrap.sip import Response
from relaytrap.sip.uri import host_port

__all__ = ["Run"]

# So many probes at most that nothing came of are tried a second time: more than that is no loss but the server's way.
REPEATED_MAX = 12


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
        self._ending = Ending(self._running, plan.timing)
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
        servers = (endpoint.address for endpoint in self._probed)
        return list(dict.fromkeys(map(self._place_for, servers))) or list(self._watch.places.values())

    @property
    def _probed(self) -> list[Endpoint]:
        """Endpoints that take probes and whose IP version the witness has."""
        return [endpoint for endpoint in self.offered if version_of(endpoint.address) in self._watch.places]

    @property
    def witness_reachable(self) -> bool:
        """Whether every server that was heard of was seen to reach the witness, or we did from another machine."""
        if any(running.witnessed for running in self._running.values()):
            return True
        return not self._watch.trouble and all(map(self._is_reached_by, self._heard))

    @property
    def _heard(self) -> set[str]:
        """Servers that said something."""
        return {each.probe.ends.server for each in self._running.values() if each.answers or each.arrivals}

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
            if self.plan.register and self._probed:
                await self._try_registrar(self._probed[0])
            await self._ending.mind_strays(self._say)
            await self._watch.announce(())  # one on another machine that is gone by now does not answer
        finally:
            if keeping is not None:
                keeping.cancel()
            self._ending.abandon()
            self._close()

    def _close(self) -> None:
        if self._watch.trouble:
            self._note(self._watch.trouble)
        elif not self.witness_reachable:
            for server in sorted(self._heard):
                if server not in self.witness_seen_as:
                    self._note(f"{server} answered nothing that the witness sent: nothing shows that it can reach it")
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

    # The witness

    async def _try_witness(self) -> None:
        """See whether the servers can reach it, and as whom they see it."""
        self._say("trying the way to the witness", self.plan.timing.settle)
        self._pinholes = Pinholes(self._watch, self.plan, self.offered)
        await self._watch.announce([*self._pinholes.tokens, *self._outside.tokens])
        await asyncio.gather(self._pinholes.open(self._check), self._outside.try_it(self._udp))
        self.not_offered += self._outside.sentences()
        for address, seen in self.witness_seen_as.items():
            place = self._watch.places[version_of(address)]
            if seen != place and version_of(address) in self._watch.named:
                self._note(f"{address} sees the witness as {host_port(*seen)}, not as {host_port(*place)} as was said")
            elif seen != place:
                self._note(
                    f"The witness is behind a NAT as {host_port(*seen)}: what {address} forwards by another transport"
                    " than UDP, or from another address, cannot arrive"
                )

    def _is_reached_by(self, server: str) -> bool:
        """Whether something shows that a server reaches the witness at the place that its probes name."""
        version = version_of(server)
        seen = self.witness_seen_as.get(server)
        shown = seen is not None and (version not in self._watch.named or seen == self._watch.places[version])
        return shown or bool(self._outside.reached.get(version))

    def _place_for(self, server: str) -> Place:
        """The witness's place as probes to a server name it."""
        version = version_of(server)
        place = self._watch.places[version]
        return place if version in self._watch.named else self.witness_seen_as.get(server, place)

    def _way(self, endpoint: Endpoint) -> Way:
        version = version_of(endpoint.address)
        place = self._place_for(endpoint.address)
        tester, port = self.plan.testers[version], self._udp[version].port
        return Way(endpoint, tester, port, place, self._watch.places.get(4 if version == 6 else 6))

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
        for endpoint in self.offered:
            if endpoint not in self._probed:
                self._note(f"{endpoint.address}: there is no witness with an IPv{version_of(endpoint.address)} address")
        await self._send_all(await self._begin(plan_probes(self.plan, map(self._way, self._probed))))
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
            self._say_how_far()
        await asyncio.gather(*tasks)

    def _say_how_far(self) -> None:
        timing = self.plan.timing
        unsent = [each for each in self._running.values() if not each.sent_at and not each.probed]
        to_send = max(Counter(each.probe.ends.server for each in unsent).values(), default=0) * timing.pace
        left = to_send + timing.resend[-1] + timing.settle + timing.cancelled
        self._say("probing" if unsent else "waiting for what comes late", left)

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
            await self._ending.unregister(running)

    async def _probe(self, running: Running) -> None:
        try:
            if running.probe.transport == "udp":
                await self._probe_udp(running)
            else:
                await self._probe_stream(running)
            await self._ending.end(running)
        except ChannelError as error:
            running.error = str(error)
        finally:
            running.probed = True
            self._settled += 1
            self._say_how_far()

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
            if await running.wait(wait, lambda: running.finished or bool(quiet and running.answers)):
                break
            running.send(data)
        await self._settle(running)

    async def _probe_stream(self, running: Running) -> None:
        ends = running.probe.ends
        limit = self._connections.setdefault(ends.server, asyncio.Semaphore(self.plan.timing.connections))
        async with limit:
            channel = StreamChannel(
                running.probe.transport, ends.server, ends.server_port, ends.tester, self._ending.take
            )
            self._check(ends.server)
            await channel.open()
            self._channels.append((running, channel))
            running.send = channel.send
            running.sent_at = monotonic()
            channel.send(build_probe(running.probe))
            await running.wait(self.plan.timing.resend[-1], lambda: running.finished)
        await self._settle(running)

    async def _settle(self, running: Running) -> None:
        """Watch the witness; done early once the probe has arrived and its transaction has ended."""
        await running.wait(self.plan.timing.settle, lambda: running.finished and running.witnessed)

    def _check(self, address: str) -> None:
        if why := refusal(address, private_allowed=self.plan.private_allowed) or self.plan.opted_out(address):
            raise ChannelError(address, why)

    def _take_datagram(self, data: bytes, source: Place) -> None:
        if not self._ending.take(data) and data.strip(b"\r\n\0"):
            place = next((each for each in self.offered if (each.address, each.port) == source), None)
            if place and place.transport == "udp":
                self._note(f"UDP {host_port(*source)} sent something that is not SIP")

    def _say(self, doing: str, seconds_left: float) -> None:
        sent = sum(running.sent_at > 0 for running in self._running.values())
        self._on_progress(Progress(sent, self._settled, len(self._running), max(0.0, seconds_left), doing))


async def _open_udp(address: str, receive: Callable[[bytes, Place], None]) -> UdpSocket:
    try:
        return await UdpSocket.open(address, 0, receive)
    except OSError as error:
        raise ListenError(f"cannot send from {address} ({error.strerror}); choose another with --from") from None
