"""The witness on every transport, and whose each request is."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.probe.channel import StreamChannel, UdpSocket
from relaytrap.probe.place import Place
from relaytrap.probe.request import METHODS, Probe, build_probe
from relaytrap.probe.tricks import Ends
from relaytrap.probe.witness import Knock, LocalWatch, Witness, WitnessedRequest, Witnesses
from relaytrap.sip import Response, parse_message

ADDRESSES = ["127.0.44.1", "::1"]
TOKEN, OTHER = "k3yabcdefgh1", "k3yabcdefgh2"


class Seen:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.requests: list[WitnessedRequest] = []
        self.responses: list[tuple[Response, str]] = []

    def take_request(self, seen: WitnessedRequest) -> bool:
        self.requests.append(seen)
        return True

    def take_response(self, response: Response, source: str) -> None:
        self.responses.append((response, source))


async def watching(
    seen: Seen, address: str, *, pool: Witnesses | None = None, port: int = 0, token: str = TOKEN
) -> LocalWatch:
    watch = LocalWatch(pool)
    await watch.open(address, port)
    watch.report_to(seen)
    await watch.announce([token.encode()])
    return watch


def request(method: str, transport: str, witness: Place, token: str = TOKEN) -> bytes:
    """A request as a relay would bring it."""
    ends = Ends("192.0.2.5", 5060, "pbx.example", *witness, "192.0.2.10", 5060, token, "")
    return build_probe(Probe(method, transport, "plain", ends))


async def deliver(transport: str, witness: Place, messages: list[bytes], *, wait_s: float = 5.0) -> list[bytes]:
    """Bring messages to a witness; what it answered, as many answers at most."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    found: list[bytes] = []
    send: Callable[[bytes], None]
    if transport == "udp":
        udp = await UdpSocket.open(witness[0], 0, lambda data, source: answers.put_nowait(data))
        send, close = partial(send_datagram, udp, witness), udp.close
    else:
        channel = StreamChannel(transport, *witness, witness[0], answers.put_nowait)
        await channel.open()
        send, close = channel.send, channel.close
    for message in messages:
        send(message)
    try:
        async with asyncio.timeout(wait_s):
            while len(found) < len(messages):
                found.append(await answers.get())
    except TimeoutError:
        pass
    close()
    return found


def send_datagram(udp: UdpSocket, place: Place, data: bytes) -> None:
    udp.send(data, *place)


def statuses(answers: list[bytes]) -> list[int]:
    return [each.status_code for each in map(parse_message, answers) if isinstance(each, Response)]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws", "wss"])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_request_is_seen_and_refused_on_every_transport_at_one_port(
    transport: str, address: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def test() -> None:
        seen = Seen()
        watch = await watching(seen, address)
        place = next(iter(watch.places.values()))
        answers = await deliver(transport, place, [request(method, transport, place) for method in METHODS])
        assert sorted(statuses(answers)) == [200, 403, 486]
        assert [(each.transport, each.source) for each in seen.requests] == [(transport, address)] * 3
        watch.close()

    with asyncio.Runner(loop_factory=loop) as runner:  # a hub has uvloop
        runner.run(test())


def test_two_tests_share_the_witness_at_a_place_and_each_is_told_its_own() -> None:
    async def test() -> None:
        pool, first, second = Witnesses(), Seen(), Seen()
        one = await watching(first, ADDRESSES[0], pool=pool)
        place = one.places[4]
        two = await watching(second, ADDRESSES[0], pool=pool, port=place[1], token=OTHER)
        assert two.places == one.places
        await deliver("udp", place, [request("INVITE", "udp", place), request("OPTIONS", "udp", place, OTHER)])
        assert [each.request.method for each in first.requests] == [b"INVITE"]
        assert [each.request.method for each in second.requests] == [b"OPTIONS"]
        one.close()
        assert statuses(await deliver("udp", place, [request("INVITE", "udp", place, OTHER)])) == [486]
        two.close()
        pool.close()

    asyncio.run(test())


def test_stray_of_a_test_that_is_over_is_still_refused_and_reported_to_nobody() -> None:
    async def test() -> None:
        pool, seen = Witnesses(), Seen()
        watch = await watching(seen, ADDRESSES[0], pool=pool)
        place = watch.places[4]
        watch.close()
        assert statuses(await deliver("tcp", place, [request("INVITE", "tcp", place)])) == [486]
        assert seen.requests == []
        pool.close()

    asyncio.run(test())


def test_witness_of_one_test_alone_gives_its_port_back_at_once() -> None:
    async def test() -> None:
        watch = await watching(Seen(), ADDRESSES[0])
        place = watch.places[4]
        watch.close()
        await asyncio.sleep(0.05)
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(place)

    asyncio.run(test())


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws"])
def test_stranger_gets_no_answer(transport: str) -> None:
    async def test() -> None:
        seen = Seen()
        watch = await watching(seen, ADDRESSES[0])
        place = watch.places[4]
        stranger = request("OPTIONS", transport, place, OTHER)
        assert await deliver(transport, place, [stranger], wait_s=0.2) == []
        assert seen.requests == []
        watch.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00\x05junk!",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET \x00\xff" * 3000,
        b"INVITE sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 300_000,
        b"\x00",
        b"",
    ],
)
def test_rubbish_ends_its_own_connection_at_most(data: bytes) -> None:
    async def test() -> None:
        watch = await watching(Seen(), ADDRESSES[0])
        place = watch.places[4]
        _, writer = await asyncio.open_connection(*place)
        writer.write(data)
        writer.write_eof()
        assert statuses(await deliver("tls", place, [request("OPTIONS", "tls", place)])) == [200]
        writer.close()
        watch.close()

    asyncio.run(test())


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 20))
def test_bytes_of_any_kind_get_an_answer_or_none(noise: bytes, start: int, cut: int) -> None:
    witness = Witness()
    witness.watch([TOKEN.encode()], Seen())
    data = request("INVITE", "udp", ("192.0.2.1", 5060))
    for hostile in (noise, data[:start] + noise + data[start + cut :]):
        answer = witness._take(hostile, ("192.0.2.5", 5060), "udp")
        assert answer == b"" or isinstance(parse_message(answer), Response)


def test_knock_leaves_from_the_witnesss_port_and_its_answer_is_reported() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        came: asyncio.Future[Place] = loop.create_future()
        seen = Seen()
        watch = await watching(seen, ADDRESSES[0])

        def answer(data: bytes, source: Place) -> None:
            came.set_result(source)
            server.send(data.replace(data.split(b"\r\n")[0], b"SIP/2.0 200 OK"), *source)

        server: UdpSocket = await UdpSocket.open("127.0.44.2", 0, answer)
        watch.knock(Knock("127.0.44.2", server.port, TOKEN))
        assert await came == watch.places[4]
        await until(lambda: seen.responses)
        assert seen.responses[0][1] == "127.0.44.2"
        server.close()
        watch.close()

    asyncio.run(test())


async def until(done: Callable[[], object]) -> None:
    """Wait until something is so; ten seconds at most."""
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.01)
