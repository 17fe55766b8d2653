"""Which endpoints take probes: servers that are something else are one sentence each. Real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relaytrap.probe.channel import READ_MAX_BYTES
from relaytrap.probe.plan import Plan
from relaytrap.probe.run import Run
from relaytrap.probe.target import Endpoint, Target
from relaytrap.probe.verdict import judge_server

from .answering import reply
from .test_run import QUICK, Server, watching

SERVER, TESTER, WITNESS = "127.0.49.1", "127.0.49.2", "127.0.49.3"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def refusing_server() -> Server:
    """Answers everything with 403."""
    return Server(lambda data, _: reply(data, "403 Forbidden"))


@asynccontextmanager
async def refusing() -> AsyncIterator[int]:
    """A UDP server that refuses; its port."""
    way, _ = await asyncio.get_running_loop().create_datagram_endpoint(refusing_server, local_addr=(SERVER, 0))
    yield way.get_extra_info("sockname")[1]
    way.close()


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[int]:
    """A TCP server; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, SERVER, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def closed_port(kind: socket.SocketKind) -> int:
    """A port that nobody listens at."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind((SERVER, 0))
        return int(one.getsockname()[1])


async def run_against(*endpoints: Endpoint, other_tester: str = "") -> Run:
    plan = Plan(Target("x", "x", endpoints), TESTER, other_tester=other_tester, tricks=("plain",), timing=QUICK)
    one = Run(plan, await watching(WITNESS))
    await one.run()
    return one


def run_beside_a_refusing_server(transport: str, talk: Talk | None) -> tuple[Run, int]:
    """A test of a UDP server that refuses, and of something else by a transport; None: nothing listens there."""

    async def test() -> tuple[Run, int]:
        async with AsyncExitStack() as stack:
            udp = await stack.enter_async_context(refusing())
            kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
            port = await stack.enter_async_context(talking(talk)) if talk else closed_port(kind)
            return await run_against(Endpoint("udp", SERVER, udp), Endpoint(transport, SERVER, port)), port

    return asyncio.run(test())


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)


async def say_rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\nrubbish \x00\xff\r\n")
    await reader.read()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    while not writer.is_closing():
        writer.write(b"SIP/2.0 100 Trying\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60000)
        await writer.drain()


async def serve_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")


@pytest.mark.parametrize(
    ("transport", "talk", "sentence"),
    [
        ("udp", None, "UDP {} is closed"),
        ("tcp", None, "TCP {} is closed"),
        ("tls", None, "TLS {} is closed"),
        ("ws", None, "WS {} is closed"),
        ("tcp", say_rubbish, "TCP {} sent something that is not SIP"),
        ("tcp", flood, f"TCP {{}} sent more than {READ_MAX_BYTES} bytes, of which no more were read"),
        ("tls", say_rubbish, "TLS {} speaks no TLS with us (WRONG_VERSION_NUMBER)"),
        ("tls", hang_up, "TLS {} cannot be reached"),
        ("ws", serve_http, "WS {} speaks no WebSocket (HTTP 404)"),
        ("ws", hang_up, "WS {} closed the connection instead of a WebSocket"),
        ("wss", say_rubbish, "WSS {} speaks no TLS with us (WRONG_VERSION_NUMBER)"),
    ],
)
def test_what_is_no_server_is_one_sentence_and_the_other_transport_is_tested(
    transport: str, talk: Talk | None, sentence: str
) -> None:
    run, port = run_beside_a_refusing_server(transport, talk)
    assert [each for each in run.not_offered if each.startswith(sentence.format(f"{SERVER}:{port}"))], run.not_offered
    assert len(run.not_offered) == 1
    found = judge_server(run.outcomes, witness_reachable=run.witness_reachable)
    assert [each.name for each, _ in found] == ["refused"]


def test_udp_server_that_answers_rubbish_is_one_sentence() -> None:
    async def test() -> Run:
        way, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Server(lambda data, _: b"\x00\x01rubbish"), local_addr=(SERVER, 0)
        )
        run = await run_against(Endpoint("udp", SERVER, way.get_extra_info("sockname")[1]))
        way.close()
        return run

    run = asyncio.run(test())
    assert [each.partition(" ")[0] for each in run.not_offered] == ["UDP"]
    assert "sent something that is not SIP" in run.not_offered[0]


def test_first_open_port_that_nobody_named_is_taken_and_the_other_one_named() -> None:
    async def test() -> tuple[Run, int, int]:
        async with talking(hang_up) as one, talking(hang_up) as two:
            shut = closed_port(socket.SOCK_STREAM)
            places = [Endpoint("tcp", SERVER, port, guessed=True) for port in (shut, one, two)]
            return await run_against(*places), one, two

    run, one, two = asyncio.run(test())
    assert [each.port for each in run.offered] == [one]
    assert f"TCP {SERVER}:{two} is open too; name that port to test it" in run.not_offered


def test_ports_that_nobody_named_and_that_are_closed_are_one_sentence() -> None:
    ports = [closed_port(socket.SOCK_STREAM) for _ in range(3)]
    run = asyncio.run(run_against(*(Endpoint("ws", SERVER, port, guessed=True) for port in ports)))
    assert run.not_offered == [f"WS {SERVER} at port {', '.join(map(str, ports))} is closed"]


def test_address_of_a_version_that_we_do_not_have_is_named_and_the_other_is_tested() -> None:
    async def test() -> Run:
        async with refusing() as port:
            return await run_against(Endpoint("udp", SERVER, port), Endpoint("udp", "2001:db8::1", 5060))

    run = asyncio.run(test())
    assert run.not_offered == ["UDP [2001:db8::1]:5060 cannot be reached (no IPv6 from here)"]
    assert {each.probe.ends.server for each in run.outcomes} == {SERVER}


def test_address_of_a_version_that_the_witness_does_not_have_is_named_and_the_other_is_tested() -> None:
    async def test() -> Run:
        loop = asyncio.get_running_loop()
        six, _ = await loop.create_datagram_endpoint(refusing_server, local_addr=("::1", 0))
        async with refusing() as port:
            places = Endpoint("udp", *six.get_extra_info("sockname")[:2]), Endpoint("udp", SERVER, port)
            plan = Plan(
                Target("x", "x", places), TESTER, other_tester="::1", tricks=("plain",), register=True, timing=QUICK
            )
            one = Run(plan, await watching(WITNESS))
            await one.run()
        six.close()
        return one

    run = asyncio.run(test())
    assert run.not_offered == ["::1: there is no witness with an IPv6 address"]
    assert {each.probe.ends.server for each in run.outcomes} == {SERVER}


def test_server_on_both_versions_is_tested_on_both() -> None:
    async def test() -> Run:
        loop = asyncio.get_running_loop()
        four, _ = await loop.create_datagram_endpoint(refusing_server, local_addr=(SERVER, 0))
        six, _ = await loop.create_datagram_endpoint(refusing_server, local_addr=("::1", 0))
        places = [Endpoint("udp", *way.get_extra_info("sockname")[:2]) for way in (four, six)]
        watch = await watching(WITNESS)
        await watch.open("::1", 0)
        plan = Plan(Target("x", "x", tuple(places)), TESTER, other_tester="::1", tricks=("plain",), timing=QUICK)
        one = Run(plan, watch)
        await one.run()
        four.close()
        six.close()
        return one

    run = asyncio.run(test())
    assert {each.probe.ends.server: each.probe.ends.witness for each in run.outcomes} == {SERVER: WITNESS, "::1": "::1"}
    assert run.witness_reachable
    assert run.not_offered == []


def test_server_without_udp_cannot_be_called_closed_by_a_witness_here() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.readuntil(b"\r\n\r\n"):
            writer.write(reply(data, "403 Forbidden"))

    async def test() -> Run:
        async with talking(refuse) as port:
            return await run_against(Endpoint("tcp", SERVER, port))

    run = asyncio.run(test())
    assert {outcome.result for outcome in run.outcomes} == {"refused"}
    assert not run.witness_reachable
    assert run.not_offered == [f"{SERVER} answered nothing that the witness sent: nothing shows that it can reach it"]
