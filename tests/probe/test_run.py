"""A test of a server that misbehaves, on loopback: what is left behind, and whom a probe names."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from relaytrap.probe.place import Place
from relaytrap.probe.plan import Plan, Progress, Timing
from relaytrap.probe.run import Run
from relaytrap.probe.target import Endpoint, Target
from relaytrap.probe.tricks import STANDARD
from relaytrap.probe.witness import LocalWatch

from .answering import reply

SERVER, TESTER, WITNESS = "127.0.43.1", "127.0.43.2", "127.0.43.3"
QUICK = Timing(resend=(0.2, 0.4), settle=0.2, cancelled=0.8, stray=1.5, pace=0.001, knocks=(0.0, 0.1))


async def watching(address: str, port: int = 0, *, public: Place | None = None) -> LocalWatch:
    """A watch on a witness of its own."""
    watch = LocalWatch()
    await watch.open(address, port, public=public)
    return watch


def witness_of(run: Run) -> Place:
    """Where a test's witness listens."""
    return run._watch.places[4]


class Server(asyncio.DatagramProtocol):
    """Answers with what `answer(request, how many like it came before)` gives; remembers every request."""

    def __init__(self, answer: Callable[[bytes, int], bytes]) -> None:
        self._answer = answer
        self.requests: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        before = len(self.of(data.partition(b" ")[0].decode()))
        self.requests.append(data)
        if answer := self._answer(data, before):
            self.transport.sendto(answer, addr)

    def of(self, method: str) -> list[bytes]:
        return [request for request in self.requests if request.startswith(method.encode() + b" ")]


def call_ids(requests: list[bytes]) -> set[bytes]:
    """The Call-IDs of some requests, of which each has one."""
    found = [re.findall(rb"Call-ID: (\S+)", request) for request in requests]
    assert all(len(each) == 1 for each in found)
    return {call_id for (call_id,) in found}


def run(
    answer: Callable[[bytes, int], bytes],
    method: str,
    *,
    tricks: tuple[str, ...] = ("plain",),
    during: Callable[[Run, Server, Awaitable[None]], Awaitable[None]] | None = None,
) -> tuple[Run, Server]:
    async def test() -> tuple[Run, Server]:
        loop = asyncio.get_running_loop()
        way, server = await loop.create_datagram_endpoint(lambda: Server(answer), local_addr=(SERVER, 0))
        port = way.get_extra_info("sockname")[1]
        target = Target("pbx.example", SERVER, (Endpoint("udp", SERVER, port),))
        watch = await watching(WITNESS)
        one = Run(Plan(target, TESTER, tricks=tricks, methods=(method,), timing=QUICK), watch)
        running = one.run()
        await (during(one, server, running) if during else running)
        await asyncio.sleep(0.05)
        way.close()
        return one, server

    return asyncio.run(test())


def test_time_that_is_left_only_shrinks_and_what_is_done_is_said_in_order() -> None:
    told: list[Progress] = []

    async def listen(one: Run, server: Server, running: Awaitable[None]) -> None:
        one._on_progress = told.append
        await running

    run(lambda request, before: reply(request, "403 No"), "OPTIONS", tricks=STANDARD[:3], during=listen)
    told = [each for each in told if each.doing in ("probing", "waiting for what comes late")]
    left = [each.seconds_left for each in told]
    assert left == sorted(left, reverse=True)
    doing = [each.doing for each in told]
    assert doing == sorted(doing)
    assert set(doing) == {"probing", "waiting for what comes late"}


def test_registration_that_a_server_took_is_taken_back() -> None:
    _, server = run(lambda request, before: reply(request, "200 OK"), "REGISTER")
    assert [b";expires=0\r\n" in request for request in server.of("REGISTER")] == [False, True]


def test_cancel_that_was_lost_is_sent_again() -> None:
    def answer(request: bytes, before: int) -> bytes:
        if request.startswith(b"INVITE"):
            return reply(request, "180 Ringing")
        if request.startswith(b"CANCEL"):
            return reply(request.replace(b" CANCEL\r", b" INVITE\r"), "487 Request Terminated") if before else b""
        return b""

    _, server = run(answer, "INVITE")
    assert len(server.of("CANCEL")) == 2
    assert len(server.of("ACK")) == 1


def test_call_that_rings_late_is_cancelled_all_the_same() -> None:
    servers: list[Server] = []

    def answer(request: bytes, before: int) -> bytes:
        if not request.startswith(b"INVITE"):
            return b""
        if b";tag=" not in request.partition(b"\r\nTo: ")[2].partition(b"\r\n")[0]:
            return reply(request, "180 Ringing")  # and never ends, so that the test minds strays
        port = int(request.partition(f"Via: SIP/2.0/UDP {TESTER}:".encode())[2].partition(b";")[0])
        late = reply(request, "180 Ringing")
        asyncio.get_running_loop().call_later(1.0, lambda: servers[0].transport.sendto(late, (TESTER, port)))
        return b""

    async def during(one: Run, server: Server, running: Awaitable[None]) -> None:
        servers.append(server)
        await running

    _, server = run(answer, "INVITE", during=during, tricks=("plain", "to-tag"))
    called = call_ids(server.of("INVITE"))
    ended = call_ids(server.of("CANCEL"))
    assert len(called) == 2
    assert ended == called


def test_bye_is_sent_until_it_is_answered() -> None:
    def answer(request: bytes, before: int) -> bytes:
        if request.startswith(b"INVITE"):
            return reply(request, "200 OK", "Contact: <sip:callee@192.0.2.1>")
        return reply(request, "200 OK") if request.startswith(b"BYE") and before else b""

    _, server = run(answer, "INVITE")
    byes = server.of("BYE")
    assert len(byes) == 2
    assert byes[0].startswith(b"BYE sip:callee@192.0.2.1 SIP/2.0\r\n")


def test_test_that_is_broken_off_leaves_no_call_ringing() -> None:
    async def during(one: Run, server: Server, running: Awaitable[None]) -> None:
        task = asyncio.ensure_future(running)
        while not any(outcome.answers for outcome in one.outcomes):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def ring(request: bytes, before: int) -> bytes:
        return reply(request, "180 Ringing") if request.startswith(b"INVITE") else b""

    _, server = run(ring, "INVITE", during=during)
    assert len(server.of("CANCEL")) == 1


@pytest.mark.parametrize("received", ["192.0.2.66", "x;y", "[::1]"])
def test_answer_of_somebody_else_at_the_witness_changes_no_probe(received: str) -> None:
    async def during(one: Run, server: Server, running: Awaitable[None]) -> None:
        task = asyncio.ensure_future(running)
        via = f"Via: SIP/2.0/UDP a;rport=9;received={received}".encode()
        server.transport.sendto(b"SIP/2.0 200 OK\r\n" + via + b"\r\nCall-ID: other\r\n\r\n", witness_of(one))
        await task

    one, server = run(lambda request, before: reply(request, "404 Not Found"), "REGISTER", during=during)
    assert f"@{WITNESS}:{witness_of(one)[1]} ".encode() in server.of("REGISTER")[0]


def test_pinhole_answer_with_a_received_that_is_no_address_is_not_believed() -> None:
    def answer(request: bytes, before: int) -> bytes:
        return reply(request.replace(b";rport", b";rport=5060;received=evil\x1b[2J"), "404 Not Found")

    one, _ = run(answer, "REGISTER")
    assert one.witness_seen_as == {}


def test_witness_answers_nobody_but_the_test() -> None:
    heard: list[bytes] = []

    async def during(one: Run, server: Server, running: Awaitable[None]) -> None:
        task = asyncio.ensure_future(running)
        stranger = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nCall-ID: x\r\n"
        server.transport.sendto(stranger + b"CSeq: 1 OPTIONS\r\n\r\n", witness_of(one))
        await task
        heard.extend(data for data in server.requests if b"CSeq: 1 OPTIONS" in data and data.startswith(b"SIP/2.0"))

    def answer(request: bytes, before: int) -> bytes:
        return b"" if request.startswith(b"SIP") else reply(request, "404 Not Found")

    run(answer, "REGISTER", during=during)
    assert heard == []


def test_flood_of_answers_is_not_kept() -> None:
    def answer(request: bytes, before: int) -> bytes:
        return reply(request, "404 Not Found")

    async def during(one: Run, server: Server, running: Awaitable[None]) -> None:
        task = asyncio.ensure_future(running)
        while not server.of("REGISTER"):
            await asyncio.sleep(0.001)
        for _ in range(500):
            tester = (TESTER, one.outcomes[0].probe.ends.tester_port)
            server.transport.sendto(reply(server.of("REGISTER")[0], "100 Trying"), tester)
        await task

    one, _ = run(answer, "REGISTER", during=during)
    assert max(len(outcome.answers) for outcome in one.outcomes) <= 32


def test_address_whose_operator_objects_is_sent_nothing() -> None:
    async def test() -> tuple[Run, Server]:
        loop = asyncio.get_running_loop()
        way, server = await loop.create_datagram_endpoint(
            lambda: Server(lambda data, _: reply(data, "200 OK")), local_addr=(SERVER, 0)
        )
        target = Target("pbx.example", SERVER, (Endpoint("udp", SERVER, way.get_extra_info("sockname")[1]),))
        plan = Plan(target, TESTER, timing=QUICK, opted_out=lambda address: "is not to be tested")
        one = Run(plan, await watching(WITNESS))
        await one.run()
        await asyncio.sleep(0.05)
        way.close()
        return one, server

    one, server = asyncio.run(test())
    assert server.requests == []
    assert one.not_offered == [f"{SERVER} is not to be tested"]


def test_probe_that_nothing_came_of_is_tried_again_beside_others_that_were_answered() -> None:
    silent: set[bytes] = set()

    def answer(request: bytes, before: int) -> bytes:
        """The third REGISTER, and every repetition of it, is lost."""
        call_id = re.search(rb"Call-ID: (\S+)", request)
        assert call_id
        if before == 2:
            silent.add(call_id[1])
        return b"" if call_id[1] in silent else reply(request, "403 Forbidden")

    one, server = run(answer, "REGISTER", tricks=("plain", "from-address", "to-tag", "to-tag-route"))
    assert [outcome.result for outcome in one.outcomes] == ["refused"] * 4
    assert len(call_ids(server.of("REGISTER"))) == 5


def test_probe_that_is_silent_twice_is_told_once() -> None:
    def answer(request: bytes, before: int) -> bytes:
        return b"" if b"To: <sip:" in request and b">;tag=" in request.split(b"To:")[1] else reply(request, "404 No")

    one, _ = run(answer, "REGISTER", tricks=("plain", "from-address", "route", "to-tag"))
    assert sorted(outcome.result for outcome in one.outcomes) == ["refused"] * 3 + ["unanswered"]


@pytest.mark.parametrize(("as_said", "reachable"), [(True, True), (False, False)])
def test_place_that_the_user_gave_counts_as_reachable_only_when_a_server_sees_the_witness_there(
    as_said: bool, reachable: bool
) -> None:
    public = ("192.0.2.7", 5099)

    def answer(request: bytes, before: int) -> bytes:
        seen = b";rport=5099;received=192.0.2.7" if as_said else b";rport=9;received=192.0.2.7"
        knocked = b"Via: SIP/2.0/UDP 192.0.2.7" in request
        return reply(request.replace(b";rport", seen) if knocked else request, "403 Forbidden")

    async def test() -> Run:
        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(lambda: Server(answer), local_addr=(SERVER, 0))
        target = Target("x", "x", (Endpoint("udp", SERVER, way.get_extra_info("sockname")[1]),))
        plan = Plan(target, TESTER, tricks=("plain",), methods=("OPTIONS",), timing=QUICK)
        one = Run(plan, await watching(WITNESS, public=public))
        await one.run()
        way.close()
        return one

    one = asyncio.run(test())
    assert {(each.probe.ends.witness, each.probe.ends.witness_port) for each in one.outcomes} == {public}
    assert one.witness_reachable is reachable
