"""A witness on another machine: what a tester is told, and what nobody else may do. Real TLS, on loopback."""

import asyncio
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.errors import DiskError, InputError
from relaytrap.probe.certificate import pinning_peer, server_context, server_fingerprint
from relaytrap.probe.outpost import Outpost
from relaytrap.probe.place import Place
from relaytrap.probe.plan import Plan
from relaytrap.probe.remote import JoinToken, RemoteWatch, read_outpost, read_tester
from relaytrap.probe.run import Run
from relaytrap.probe.target import Endpoint, Target
from relaytrap.probe.witness import Knock, Witness
from relaytrap.sip.uri import host_port

from ..loopback import free_port, loopback
from .answering import reply
from .test_run import QUICK, Server
from .test_witness import OTHER, TOKEN, Seen, deliver, request, statuses, until

DOOR, WITNESS, SERVER, TESTER = "127.0.46.1", "127.0.46.2", "127.0.46.3", "127.0.46.4"
SECRET = "a-secret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("witness")
    server_context(path)
    return path


@asynccontextmanager
async def standing_by(
    folder: Path,
    witness_address: str = WITNESS,
    public: dict[int, Place] | None = None,
    read_secret: Callable[[], str] = lambda: SECRET,
) -> AsyncIterator[tuple[Outpost, int, JoinToken]]:
    """An outpost with one witness, the port to join it at, and its token."""
    witness = Witness()
    await witness.open(witness_address, 0)
    outpost = Outpost([witness], public or {}, read_secret)
    port = await outpost.open(DOOR, 0, server_context(folder))
    try:
        yield outpost, port, JoinToken(SECRET, server_fingerprint(folder))
    finally:
        outpost.close()
        witness.close()
        await asyncio.sleep(0)


async def joined(seen: Seen, port: int, token: JoinToken) -> RemoteWatch:
    watch = RemoteWatch()
    await watch.open(DOOR, port, token)
    watch.report_to(seen)
    return watch


async def speaking(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the door by somebody who makes words of their own."""
    return await asyncio.open_connection(DOOR, port, ssl=pinning_peer())


def test_tester_is_told_what_arrived_with_its_tokens_and_nothing_else(folder: Path) -> None:
    async def test() -> None:
        seen = Seen()
        async with standing_by(folder) as (_, port, token):
            watch = await joined(seen, port, token)
            await watch.announce([TOKEN.encode()])
            place = watch.places[4]
            assert place[0] == WITNESS
            assert statuses(await deliver("tcp", place, [request("INVITE", "tcp", place)])) == [486]
            assert await deliver("udp", place, [request("INVITE", "udp", place, OTHER)], wait_s=0.2) == []
            await until(lambda: seen.requests)
            watch.close()
        assert [(each.transport, each.source) for each in seen.requests] == [("tcp", WITNESS)]
        assert seen.requests[0].request.raw == request("INVITE", "tcp", place)

    asyncio.run(test())


def test_two_testers_are_each_told_their_own(folder: Path) -> None:
    async def test() -> None:
        first, second = Seen(), Seen()
        async with standing_by(folder) as (_, port, token):
            one, two = await joined(first, port, token), await joined(second, port, token)
            await one.announce([TOKEN.encode()])
            await two.announce([OTHER.encode()])
            place = one.places[4]
            await deliver("udp", place, [request("INVITE", "udp", place), request("OPTIONS", "udp", place, OTHER)])
            await until(lambda: first.requests and second.requests)
            one.close()
            two.close()
        assert [each.request.method for each in first.requests] == [b"INVITE"]
        assert [each.request.method for each in second.requests] == [b"OPTIONS"]

    asyncio.run(test())


def test_outpost_that_listens_everywhere_is_named_by_the_address_it_was_reached_at(folder: Path) -> None:
    async def test() -> None:
        async with standing_by(folder, "0.0.0.0") as (_, port, token):
            watch = await joined(Seen(), port, token)
            assert watch.places[4][0] == DOOR
            watch.close()

    asyncio.run(test())


def test_place_that_the_outposts_user_gave_is_the_one_that_probes_name(folder: Path) -> None:
    async def test() -> None:
        async with standing_by(folder, public={4: ("192.0.2.7", 5099)}) as (_, port, token):
            watch = await joined(Seen(), port, token)
            assert watch.places == {4: ("192.0.2.7", 5099)}
            assert watch.named == {4}
            watch.close()

    asyncio.run(test())


def test_knock_is_sent_from_the_outpost_and_its_answer_told(folder: Path) -> None:
    async def test() -> None:
        loop, seen = asyncio.get_running_loop(), Seen()
        way, server = await loop.create_datagram_endpoint(
            lambda: Server(lambda data, _: reply(data, "200 OK")), local_addr=(SERVER, 0)
        )
        async with standing_by(folder) as (_, port, token):
            watch = await joined(seen, port, token)
            await watch.announce([TOKEN.encode()])
            watch.knock(Knock(SERVER, way.get_extra_info("sockname")[1], TOKEN))
            await until(lambda: seen.responses)
            watch.close()
        way.close()
        assert f"Via: SIP/2.0/UDP {WITNESS}:".encode() in server.requests[0]
        assert seen.responses[0][1] == SERVER

    asyncio.run(test())


@pytest.mark.parametrize(
    ("secret", "pin", "sentence"),
    [("wrong", "", "does not know this token"), (SECRET, "0" * 64, "another certificate than the token says")],
)
def test_who_lacks_the_token_does_not_join(folder: Path, secret: str, pin: str, sentence: str) -> None:
    async def test() -> None:
        async with standing_by(folder) as (outpost, port, token):
            with pytest.raises(InputError, match=sentence):
                await joined(Seen(), port, JoinToken(secret, pin or token.pin))
            assert outpost.watches == 0

    asyncio.run(test())


def test_old_token_is_worth_nothing_to_a_running_outpost_once_there_is_a_new_one(folder: Path) -> None:
    async def test() -> None:
        secrets = [SECRET]
        async with standing_by(folder, read_secret=lambda: secrets[-1]) as (_, port, token):
            (await joined(Seen(), port, token)).close()
            secrets.append("a-new-secret")
            with pytest.raises(InputError, match="does not know this token"):
                await joined(Seen(), port, token)
            (await joined(Seen(), port, JoinToken("a-new-secret", token.pin))).close()

    asyncio.run(test())


@pytest.mark.parametrize(("kept", "sentence"), [("", "does not know this token"), (None, "cannot read its own token")])
def test_outpost_whose_token_is_lost_lets_nobody_join(folder: Path, kept: str | None, sentence: str) -> None:
    def read() -> str:
        if kept is None:
            raise DiskError("secret: the token cannot be kept; give access")
        return kept

    async def test() -> None:
        async with standing_by(folder, read_secret=read) as (_, port, _):
            reader, writer = await speaking(port)
            writer.write(json.dumps({"type": "Join", "secret": ""}).encode() + b"\n")
            assert sentence.encode() in await reader.read()
            writer.close()

    asyncio.run(test())


def test_witness_that_is_not_there_is_one_sentence() -> None:
    async def test() -> None:
        with pytest.raises(
            InputError, match=r"127\.0\.46\.9:5059 cannot be joined \(Connection refused\).*relaytrap witness"
        ):
            await RemoteWatch().open("127.0.46.9", 5059, JoinToken(SECRET, "0" * 64))

    asyncio.run(test())


@pytest.mark.parametrize("text", ["", "abc", "abc.def", ".".join(["x", "G" * 64]), "." + "0" * 64])
def test_text_that_is_no_token_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match="no witness token"):
        JoinToken.parse(text)


def test_token_reads_back_what_it_was_written_from() -> None:
    token = JoinToken("a.b-c_d", "0" * 64)
    assert JoinToken.parse(str(token)) == token


@pytest.mark.parametrize(
    "words",
    [
        b"rubbish\n",
        b"x" * 300_000 + b"\n",
        json.dumps({"type": "Announce", "number": 1, "tokens": [TOKEN]}).encode() + b"\n",
        json.dumps({"type": "Join", "secret": SECRET, "protocol": 99}).encode() + b"\n",
        b"\xff\xfe\n",
        b"",
    ],
)
def test_words_out_of_place_end_the_connection_and_nothing_is_watched(folder: Path, words: bytes) -> None:
    async def test() -> None:
        async with standing_by(folder) as (outpost, port, _):
            reader, writer = await speaking(port)
            writer.write(words)
            if not words:
                writer.close()
            said = await reader.read()
            assert said == b"" or b"Refused" in said
            assert outpost.watches == 0
            writer.close()

    asyncio.run(test())


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda data: b'{"type":"Join","secret":"' + data))
def test_words_that_are_none_raise_nothing_but_value_error(line: bytes) -> None:
    for read in (read_tester, read_outpost):
        with suppress(ValueError):
            read(line)


@pytest.mark.parametrize("word", ["Join", "Came"])
def test_brackets_without_end_raise_nothing_but_value_error(word: str) -> None:
    line = f'{{"type":"{word}","x":'.encode() + b"[" * 200_000
    for read in (read_tester, read_outpost):
        with pytest.raises(ValueError):
            read(line)


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "Announce", "number": 1, "tokens": ["NOT-A-TOKEN!"]},
        {"type": "Announce", "number": 1, "tokens": [f"a{number:011d}" for number in range(5000)]},
        {"type": "Send", "server": "224.0.0.1", "server_port": 5060, "token": TOKEN},
        {"type": "Send", "server": "name.example", "server_port": 5060, "token": TOKEN},
        {"type": "Send", "server": "127.0.46.3", "server_port": 0, "token": TOKEN},
    ],
)
def test_tester_who_asks_too_much_is_shown_out(folder: Path, asked: object) -> None:
    async def test() -> None:
        async with standing_by(folder) as (outpost, port, _):
            reader, writer = await speaking(port)
            writer.write(json.dumps({"type": "Join", "secret": SECRET}).encode() + b"\n")
            assert b"Joined" in await reader.readline()
            writer.write(json.dumps(asked).encode() + b"\n")
            assert await reader.read() == b""
            await until(lambda: outpost.watches == 0)
            writer.close()

    asyncio.run(test())


def test_knocks_are_counted(folder: Path) -> None:
    async def test() -> None:
        async with standing_by(folder) as (_, port, _):
            reader, writer = await speaking(port)
            writer.write(json.dumps({"type": "Join", "secret": SECRET}).encode() + b"\n")
            await reader.readline()
            for number in range(1, 10):
                knock = {"type": "Send", "server": f"127.0.47.{number}", "server_port": 5060, "token": TOKEN}
                writer.write(json.dumps(knock).encode() + b"\n")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(test())


def test_older_tls_is_not_spoken_at_the_door(folder: Path) -> None:
    async def test() -> None:
        context = pinning_peer()
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with standing_by(folder) as (_, port, _):
            with pytest.raises(OSError):  # told by an alert or by a reset
                await asyncio.open_connection(DOOR, port, ssl=context)

    asyncio.run(test())


def run_with(folder: Path, answer: str, *, lose: bool = False) -> Run:
    """A whole test with a remote witness, of a server that answers everything with one status."""

    async def test() -> Run:
        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(
            lambda: Server(lambda data, _: reply(data, answer)), local_addr=(SERVER, 0)
        )
        target = Target("x", "x", (Endpoint("udp", SERVER, way.get_extra_info("sockname")[1]),))
        async with standing_by(folder) as (outpost, port, token):
            watch = RemoteWatch()
            await watch.open(DOOR, port, token)
            one = Run(Plan(target, TESTER, tricks=("plain",), timing=QUICK), watch)
            running = asyncio.ensure_future(one.run())
            if lose:
                await until(lambda: one.outcomes)
                outpost.close()
            await running
        way.close()
        return one

    return asyncio.run(test())


def test_remote_witness_that_was_reached_from_here_counts_as_reachable(folder: Path) -> None:
    one = run_with(folder, "403 Forbidden")
    assert one.witness_reachable
    assert one.not_offered == []


def test_server_without_udp_can_be_called_closed_by_a_witness_that_was_reached_from_here(folder: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while data := await reader.readuntil(b"\r\n\r\n"):
                writer.write(reply(data, "403 Forbidden"))
        writer.close()

    async def test() -> Run:
        server = await asyncio.start_server(refuse, SERVER, 0)
        target = Target("x", "x", (Endpoint("tcp", SERVER, server.sockets[0].getsockname()[1]),))
        async with standing_by(folder) as (_, port, token):
            watch = RemoteWatch()
            await watch.open(DOOR, port, token)
            one = Run(Plan(target, TESTER, tricks=("plain",), timing=QUICK), watch)
            await one.run()
        server.close()
        return one

    one = asyncio.run(test())
    assert {outcome.result for outcome in one.outcomes} == {"refused"}
    assert one.witness_reachable


def test_remote_witness_that_is_lost_on_the_way_never_makes_a_server_closed(folder: Path) -> None:
    one = run_with(folder, "403 Forbidden", lose=True)
    assert not one.witness_reachable
    assert any("what arrived there later is not known" in each for each in one.not_offered)


def test_remote_witness_that_falls_silent_on_the_way_never_makes_a_server_closed(tmp_path: Path) -> None:
    relaytrap = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "witness"]
    place, door = (loopback(51, 1), free_port(loopback(51, 1))), (loopback(51, 1), free_port(loopback(51, 1)))

    async def test(token: JoinToken, process: subprocess.Popen[str]) -> Run:
        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(
            lambda: Server(lambda data, _: reply(data, "403 Forbidden")), local_addr=(SERVER, 0)
        )
        watch = RemoteWatch(answer_s=0.5)
        await watch.open(*door, token)
        target = Target("x", "x", (Endpoint("udp", SERVER, way.get_extra_info("sockname")[1]),))
        one = Run(Plan(target, TESTER, tricks=("plain",), timing=QUICK), watch)
        running = asyncio.ensure_future(one.run())
        await until(lambda: one.outcomes and all(outcome.answers for outcome in one.outcomes))
        process.send_signal(signal.SIGSTOP)
        await running
        way.close()
        return one

    token = subprocess.run([*relaytrap, "--token"], capture_output=True, text=True, check=True).stdout
    command = [*relaytrap, "--listen", host_port(*place), "--join", host_port(*door)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            one = asyncio.run(test(JoinToken.parse(token), process))
        finally:
            process.kill()
    assert not one.witness_reachable
    assert one.not_offered == ["The witness did not answer: what arrived there later is not known"]


def test_place_of_the_witness_is_what_the_probes_name(folder: Path) -> None:
    one = run_with(folder, "403 Forbidden")
    places: set[Place] = {(each.probe.ends.witness, each.probe.ends.witness_port) for each in one.outcomes}
    assert {address for address, _ in places} == {WITNESS}
