"""HEP into a running hub: from a packet to a row, and to the Sensors page."""

import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.hub.hep.packets import hep
from tests.hub.traffic import request
from tests.web.conftest import Hub, start_hub


@pytest.fixture(scope="module")
def taker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hep")
    config = folder / "relaytrap.toml"
    config.write_text('[hub]\nhep_listen = ["udp:127.0.0.1:0"]\nhep_password = "secret"\n')
    running = start_hub(folder / "data", config)
    yield running
    running.stop()


def agents_of(hub: Hub) -> dict[str, dict[str, object]]:
    return {each["sensor"]: each for each in hub.get("/api/hep").json()["agents"]}


def send(hub: Hub, *packets: bytes) -> None:
    where = re.search(r"udp:127\.0\.0\.1:(\d+)", hub.get("/sensors").text)
    assert where
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for packet in packets:
            sock.sendto(packet, ("127.0.0.1", int(where[1])))


def test_message_from_an_agent_becomes_a_row_and_its_agent_a_sensor(taker: Hub) -> None:
    now_s = int(time.time())
    packets = [hep(request(n), at_s=now_s, node=b"edge-sydney", key=b"secret") for n in range(5)]
    send(taker, *packets, hep(node=b"stranger"), b"\x00 no HEP")
    end = time.monotonic() + 30
    while not (rows := taker.rows("messages", sensor="hep-edge-sydney")) and time.monotonic() < end:
        time.sleep(0.1)
    assert {row["call_id"] for row in rows} == {f"call-{n}" for n in range(5)}
    assert {row["source"] for row in rows} == {"203.0.113.9"}
    page = taker.get("/sensors").text
    assert "hep-edge-sydney" in page
    assert "5 a minute" in page
    assert "1 wrong password, or none" in page
    assert "1 no HEP packet" in page
    assert "stranger" not in page


def test_the_same_is_told_to_programs(taker: Hub) -> None:
    send(taker, hep(node=b"edge-perth", key=b"secret"))
    end = time.monotonic() + 30
    while "hep-edge-perth" not in (agents := agents_of(taker)) and time.monotonic() < end:
        time.sleep(0.05)
    assert agents["hep-edge-perth"]["messages"] == 1
    (place,) = taker.get("/api/hep").json()["places"]
    assert place["listening"].startswith("udp:127.0.0.1:")
    assert place["packets"] >= 1
