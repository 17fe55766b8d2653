"""The door for sensors of other machines: HTTPS with the hub's certificate, and nothing of the pages."""

import asyncio
import contextlib
import gc
import hashlib
import resource
import socket
import ssl
import struct
import subprocess
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn
from litestar import Litestar

from relaytrap.config import Config, HubConfig
from relaytrap.hub.certificate import load_certificate
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.hep import HepDoor
from relaytrap.hub.ingest import Ingest, Receipt
from relaytrap.hub.keys import Keys
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.parcel import INFLATED_MAX
from relaytrap.hub.sensor_wheel import sensor_wheel
from relaytrap.hub.vigil import Vigil
from relaytrap.store import Store
from relaytrap.web import uplink
from relaytrap.web.api import uplink as api_uplink
from relaytrap.web.api.uplink import HEARTBEAT_BYTES_MAX
from relaytrap.web.doors import HEARTBEATS_BYTES_MAX, SEGMENTS_BYTES_MAX, Doors
from relaytrap.web.room import Room
from relaytrap.web.security import Endpoint, public_url
from relaytrap.web.serve import server_config
from relaytrap.web.site import Site
from tests.cli.test_sensor_tokens import token_in
from tests.fleet.fleet import until
from tests.web.conftest import Hub, relaytrap, start_hub
from tests.web.test_uplink import message, segment

LARGEST = INFLATED_MAX


@dataclass
class Door:
    """A running hub with a door, a sensor's token for it, and a client that trusts its certificate."""

    hub: Hub
    url: str
    token: str
    client: httpx.Client
    context: ssl.SSLContext

    @property
    def place(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("https://").rpartition(":")
        return host, int(port)

    def ship(self, token: str, number: int, spool: str = "s") -> httpx.Response:
        """A small segment that this sensor sends."""
        headers = {"authorization": f"Bearer {token}", "x-relaytrap-segment": str(number), "x-relaytrap-spool": spool}
        return self.client.post("/api/segments", content=segment(message(b"far-%d" % number)), headers=headers)

    @contextlib.contextmanager
    def half_sent(
        self, token: str, spool: str, octets: int, *, path: str = "/api/segments", announced: int = LARGEST
    ) -> Iterator[ssl.SSLSocket]:
        """A connection over which a body is announced, and no more of it sent than some octets."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nX-Relaytrap-Segment: 9\r\n"
            f"X-Relaytrap-Spool: {spool}\r\nContent-Length: {announced}\r\n\r\n"
        )
        with (
            socket.create_connection(self.place, 10) as plain,
            self.context.wrap_socket(plain, server_hostname="x") as way,
        ):
            way.sendall(head.encode() + bytes(octets))
            yield way


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    data = tmp_path_factory.mktemp("door")
    (data / "relaytrap.toml").write_text('[hub]\nuplink_listen = "127.0.0.1:0"\n')
    hub = start_hub(data, data / "relaytrap.toml")
    line = subprocess.run(
        relaytrap("sensor", "add", "far", data=data), capture_output=True, text=True, check=True
    ).stdout
    url = line.partition("sensor join ")[2].split()[0]
    context = ssl.create_default_context(cafile=str(load_certificate(HubConfig(), data).path))
    context.check_hostname = False
    with httpx.Client(base_url=url, verify=context, timeout=30) as client:
        yield Door(hub, url, token_in(line), client, context)
    hub.stop()


def test_segment_is_taken_and_shown(door: Door) -> None:
    headers = {"authorization": f"Bearer {door.token}", "x-relaytrap-segment": "1", "content-encoding": "deflate"}
    body = zlib.compress(segment(message(b"far-1")))
    answer = door.client.post("/api/segments", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"acknowledged": 1})
    assert door.hub.rows("messages", call_id="far-1")[0]["sensor"] == "far"


def test_stranger_is_refused_before_the_body_is_looked_at(door: Door) -> None:
    headers = {"authorization": "Bearer guess", "x-relaytrap-segment": "1"}
    answer = door.client.post("/api/segments", content=b"x", headers=headers)
    assert answer.status_code == 401


def test_sensor_has_one_segment_on_its_way_whatever_spools_it_names(door: Door) -> None:
    with door.half_sent(door.token, "first", 1 << 20) as first:
        assert is_waited_for(first)
        assert door.ship(door.token, 31).status_code == 429
        before = memory_bytes(door.hub)
        for number in range(8):
            # Nobody waits for the rest of these: they are answered, and what still comes is thrown away.
            with door.half_sent(door.token, f"other-{number}", 8 << 20) as way:
                assert b" 429 " in (answer := way.recv(10_000)), answer
                assert b"retry-after" in answer.lower()
        assert memory_bytes(door.hub) - before < 16 << 20
    until(lambda: door.ship(door.token, 31).status_code == 200)


def test_a_sensor_has_one_heartbeat_on_its_way_and_keeps_no_others_away(door: Door) -> None:
    with contextlib.closing(HubDatabase(door.hub.data_dir)) as database:
        other = Keys(database).add("beating")
    with contextlib.ExitStack() as stack:
        for number in range(HEARTBEATS_BYTES_MAX // HEARTBEAT_BYTES_MAX + 1):
            way = door.half_sent(door.token, "s", 1, path="/api/heartbeat", announced=HEARTBEAT_BYTES_MAX)
            waits = is_waited_for(stack.enter_context(way))
            assert waits == (number == 0)
        headers = {"authorization": f"Bearer {other}"}
        assert door.client.post("/api/heartbeat", json={}, headers=headers).status_code == 200
    headers = {"authorization": f"Bearer {door.token}"}
    until(lambda: door.client.post("/api/heartbeat", json={}, headers=headers).status_code == 200)


def test_segments_of_all_sensors_have_so_much_memory_and_heartbeats_their_own(door: Door) -> None:
    with contextlib.closing(HubDatabase(door.hub.data_dir)) as database:
        tokens = [Keys(database).add(f"crowd-{number}") for number in range(SEGMENTS_BYTES_MAX // LARGEST + 1)]
    late = {"authorization": f"Bearer {tokens[-1]}"}
    with contextlib.ExitStack() as stack:
        for token in tokens[:-1]:
            assert is_waited_for(stack.enter_context(door.half_sent(token, "s", 0)))
        refused = door.ship(tokens[-1], 41)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert door.client.post("/api/heartbeat", json={}, headers=late).status_code == 200
    until(lambda: door.ship(tokens[-1], 41).status_code == 200)


@pytest.mark.parametrize("path", ["/", "/sensors", "/api/messages", "/static/app.css", "/messages.pcapng", "/api"])
def test_nothing_of_the_pages_is_answered(door: Door, path: str) -> None:
    assert door.client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/api/import", "/api/backup", "/api/reanalyse", "/api/analyse"])
def test_nothing_that_rules_the_hub_is_answered(door: Door, path: str) -> None:
    headers = {"authorization": f"Bearer {door.hub.token}"}
    assert door.client.post(path, headers=headers).status_code == 404


def test_sensor_can_be_fetched_and_is_what_the_line_says(door: Door) -> None:
    data = door.client.get(f"/join/{sensor_wheel().name}").content
    assert hashlib.sha256(data).hexdigest() == sensor_wheel().digest
    assert door.client.get("/join/relaytrap-0-py3-none-any.whl").status_code == 404


def test_page_is_not_there_without_encryption(door: Door) -> None:
    with socket.create_connection(door.place, 10) as way:
        way.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in way.recv(100)


def test_sensors_page_names_door_and_certificate(door: Door) -> None:
    page = door.hub.get("/sensors").text
    assert door.url in page
    assert load_certificate(HubConfig(), door.hub.data_dir).fingerprint in page.replace("<wbr>", "")


WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"POST /api/segments HTTP/1.1\r\nX: "
UPGRADE = WHOLE.replace(b"\r\n\r\n", b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
ANSWERED_EARLY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"


@contextlib.asynccontextmanager
async def connected(config: uvicorn.Config) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a door."""
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def asked(parts: list[bytes], apart_s: float = 0.1, drip_s: float = 0.0) -> bytes:
    """All that the door answers to these octets until it closes; an octet more is sent all the while if asked for."""

    async def send(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(apart_s)
        while drip_s:
            writer.write(b"a")
            await asyncio.sleep(drip_s)

    config = uvicorn.Config(
        answer_at_once, http=uplink.Impatient, lifespan="off", log_config=None, timeout_keep_alive=1
    )
    async with connected(config) as (reader, writer):
        sending, answered = asyncio.create_task(send(writer)), b""
        try:
            async with asyncio.timeout(20):
                while octets := await reader.read(10_000):
                    answered += octets
        except ConnectionError:
            pass
        finally:
            sending.cancel()
    return answered


async def answer_at_once(scope: Any, receive: Any, send: Any) -> None:
    """An application that waits for no body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("head", [b"", HALF])
def test_connection_that_does_not_ask_soon_is_closed(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "REQUEST_HEAD_S", 0.2)
    assert asyncio.run(asked([head])) == b""


@pytest.mark.parametrize("beginning", [[WHOLE, HALF], [WHOLE, WHOLE, HALF], [WHOLE + HALF], [ANSWERED_EARLY]])
def test_connection_that_was_answered_and_never_ends_what_follows_is_closed(
    beginning: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "REQUEST_HEAD_S", 0.2)
    assert asyncio.run(asked(beginning, drip_s=0.1)).count(b"200 OK") == b"".join(beginning).count(b"\r\n\r\n")


def test_connection_that_asks_again_and_again_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "REQUEST_HEAD_S", 0.2)
    assert asyncio.run(asked([WHOLE] * 10 + [WHOLE * 3], apart_s=0.3)).count(b"200 OK") == 13


def usual() -> uvicorn.Config:
    """As the door is served."""
    return server_config(answer_at_once, http=uplink.Impatient, lifespan="off")


@pytest.mark.parametrize("sent", [b"\0\r\n\r\n", UPGRADE, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"])
def test_what_strangers_send_is_no_line_in_the_log(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def send() -> bytes:
        async with connected(usual()) as (reader, writer):
            writer.write(sent)
            return await reader.readline()

    assert asyncio.run(send()) == (b"HTTP/1.1 200 OK\r\n" if sent == UPGRADE else b"HTTP/1.1 400 Bad Request\r\n")
    assert caplog.records == []


def test_connection_that_breaks_off_after_its_answer_leaves_nothing_in_memory() -> None:
    def connections() -> int:
        return sum(isinstance(each, uplink.Impatient) for each in gc.get_objects())

    async def break_off() -> int:
        async with connected(usual()) as (reader, writer):
            writer.write(WHOLE)
            await reader.readuntil(b"ok")
            assert connections() == 1
            reset = struct.pack("ii", 1, 0)  # no time to linger: closed, it is reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.close()
            await asyncio.sleep(0.2)
            gc.collect()
            return connections()

    gc.collect()
    assert asyncio.run(break_off()) == 0


@contextlib.contextmanager
def door_of_our_own(folder: Path, ingest: Ingest, **rooms: Room) -> Iterator[tuple[Litestar, str]]:
    """The application of the door in this process, and a sensor's token."""
    config = Config(data_dir=folder, hub=HubConfig(nats_url="nats://127.0.0.1:1"))
    with contextlib.closing(HubDatabase(folder)) as database:
        keys, ledger = Keys(database), Ledger(database)
        doors = Doors(ingest, keys, ledger, Vigil(database, keys, ledger), cast(HepDoor, None), **rooms)
        yield uplink.create_uplink_app(Site(cast(Store, None), config, doors=doors)), keys.add("far")


@contextlib.asynccontextmanager
async def client_of(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cast(Any, app))
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        yield client


@pytest.mark.parametrize("path", ["/api/segments", "/api/heartbeat"])
def test_body_that_does_not_go_on_is_given_up(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stalling() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"{"
            await asyncio.sleep(0.1)
        await asyncio.sleep(30)

    async def answer(app: Litestar, token: str) -> httpx.Response:
        head = {"authorization": f"Bearer {token}", "x-relaytrap-segment": "1"}
        async with client_of(app) as client:
            return await client.post(path, content=stalling(), headers=head)

    monkeypatch.setattr(api_uplink, "BODY_PAUSE_S", 0.3)
    with door_of_our_own(tmp_path, PatientIngest()) as own:
        assert asyncio.run(answer(*own)).status_code == 408


class PatientIngest(Ingest):
    """What takes any number of segments of one sensor at once, without a store."""

    def __init__(self) -> None: ...

    @contextlib.contextmanager
    def turn(self, sensor: str) -> Iterator[None]:
        yield


def test_many_segments_wait_at_once_where_a_stream_takes_them(tmp_path: Path) -> None:
    together = 100
    all_there = threading.Barrier(together)

    class Waiting(PatientIngest):
        def ingest_segment(self, sensor: str, number: int, data: bytes, *, spool: str = "") -> Receipt:
            all_there.wait(30)
            return Receipt(number, 0, "new")

    async def acknowledged(app: Litestar, token: str) -> int:
        head = {"authorization": f"Bearer {token}"}
        async with client_of(app) as client:
            asked = (
                client.post("/api/segments", content=b"", headers={**head, "x-relaytrap-segment": f"{number}"})
                for number in range(together)
            )
            return sum(answer.status_code == 200 for answer in await asyncio.gather(*asked))

    with door_of_our_own(tmp_path, Waiting()) as own:
        assert asyncio.run(acknowledged(*own)) == together


@pytest.mark.parametrize("short_of", ["body", "inflated"])
def test_segment_waits_a_while_for_memory_that_another_one_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_of: str
) -> None:
    data = bytes(100_000)
    body = zlib.compress(data)

    class Storing(PatientIngest):
        def ingest_segment(self, sensor: str, number: int, data: bytes, *, spool: str = "") -> Receipt:
            return Receipt(number, 0, "new")

    async def answers(app: Litestar, token: str, room: Room) -> list[int]:
        head = {"authorization": f"Bearer {token}", "x-relaytrap-segment": "1", "content-encoding": "deflate"}
        head["x-relaytrap-octets"] = str(len(data))
        said = []
        async with client_of(app) as client, asyncio.TaskGroup() as group:
            with room.kept(len(data) if short_of == "inflated" else len(data) + 1):
                waiting = group.create_task(client.post("/api/segments", content=body, headers=head))
                await asyncio.sleep(0.3)
                assert not waiting.done()
            said.append((await waiting).status_code)
            monkeypatch.setattr(api_uplink, "ROOM_WAIT_S", 0.1)
            with room.kept(len(data)):
                said.append((await client.post("/api/segments", content=body, headers=head)).status_code)
        return said

    room = Room(len(data) + len(body))
    with door_of_our_own(tmp_path, Storing(), segments_room=room) as own:
        assert asyncio.run(answers(*own, room)) == [200, 503]


def is_waited_for(way: ssl.SSLSocket) -> bool:
    """Whether the hub wants the rest of what was sent here: it answers at once what it does not want."""
    way.settimeout(1)
    with contextlib.suppress(TimeoutError):
        way.recv(1)
        return False
    return True


def memory_bytes(hub: Hub) -> int:
    """What the hub's process has in memory."""
    pages = int(Path(f"/proc/{hub.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (Endpoint("192.0.2.1", 8061), "https://192.0.2.1:8061"),
        (Endpoint("2001:db8::1", 8061), "https://[2001:db8::1]:8061"),
    ],
)
def test_door_at_one_address_is_named_by_it(endpoint: Endpoint, url: str) -> None:
    assert public_url(endpoint) == url


def test_door_at_every_address_is_named_by_ours() -> None:
    assert "0.0.0.0" not in public_url(Endpoint("0.0.0.0", 8061))
