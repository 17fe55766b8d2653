"""The door for sensors of other machines: HTTPS with the hub's certificate, and nothing of the pages."""

import asyncio
import contextlib
import hashlib
import socket
import ssl
import subprocess
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn

from relaytrap.config import Config, HubConfig
from relaytrap.hub.certificate import load_certificate
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.hep import HepDoor
from relaytrap.hub.ingest import Ingest, Receipt
from relaytrap.hub.keys import Keys
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.sensor_wheel import sensor_wheel
from relaytrap.hub.vigil import Vigil
from relaytrap.store import Store
from relaytrap.web import uplink
from relaytrap.web.doors import Doors
from relaytrap.web.security import Endpoint
from relaytrap.web.site import Site
from relaytrap.web.uplink import public_url
from tests.cli.test_sensor_tokens import token_in
from tests.web.conftest import Hub, relaytrap, start_hub
from tests.web.test_uplink import message, segment


@dataclass
class Door:
    """A running hub with a door, a sensor's token for it, and a client that trusts its certificate."""

    hub: Hub
    url: str
    token: str
    client: httpx.Client

    @property
    def place(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("https://").rpartition(":")
        return host, int(port)


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
        yield Door(hub, url, token_in(line), client)
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
ANSWERED_EARLY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"


async def asked(parts: list[bytes], apart_s: float = 0.1, drip_s: float = 0.0) -> bytes:
    """All that the door answers to these octets until it closes; an octet more is sent all the while if asked for."""
    server = uvicorn.Server(
        uvicorn.Config(answer_at_once, http=uplink.Impatient, lifespan="off", log_config=None, timeout_keep_alive=1)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())

    async def send() -> None:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(apart_s)
        while drip_s:
            writer.write(b"a")
            await asyncio.sleep(drip_s)

    sending, answered = asyncio.create_task(send()), b""
    try:
        async with asyncio.timeout(20):
            while octets := await reader.read(10_000):
                answered += octets
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        writer.close()
        server.should_exit = True
        await serving
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


def test_many_segments_wait_at_once_where_a_stream_takes_them(tmp_path: Path) -> None:
    together = 100
    all_there = threading.Barrier(together)

    class Waiting(Ingest):
        def __init__(self) -> None: ...

        def ingest_segment(self, sensor: str, number: int, data: bytes, *, spool: str = "") -> Receipt:
            all_there.wait(30)
            return Receipt(number, 0, "new")

    async def acknowledged(site: Site) -> int:
        app = uplink.create_uplink_app(site)
        transport = httpx.ASGITransport(cast(Any, app))
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            head = {"authorization": f"Bearer {token}"}
            asked = (
                client.post("/api/segments", content=b"", headers={**head, "x-relaytrap-segment": f"{number}"})
                for number in range(together)
            )
            return sum(answer.status_code == 200 for answer in await asyncio.gather(*asked))

    config = Config(data_dir=tmp_path, hub=HubConfig(nats_url="nats://127.0.0.1:1"))
    with contextlib.closing(HubDatabase(tmp_path)) as database:
        keys = Keys(database)
        token = keys.add("far")
        ledger = Ledger(database)
        doors = Doors(Waiting(), keys, ledger, Vigil(database, keys, ledger), cast(HepDoor, None))
        site = Site(cast(Store, None), config, doors=doors)
        assert asyncio.run(acknowledged(site)) == together


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
