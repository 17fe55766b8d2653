"""The doors through which messages come in: tokens, receipts, refusals."""

import contextlib
import io
import json
import re
import zlib
from collections.abc import Iterator

import httpx
import pytest

from relaytrap.capture.pcapng import SegmentWriter
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from relaytrap.observation import Observation
from tests.web.conftest import Hub
from tests.web.scene import request, seen

AT_NS = 1_767_225_600_000_000_000


@pytest.fixture(scope="module")
def token(taker: Hub) -> Iterator[str]:
    with contextlib.closing(HubDatabase(taker.data_dir)) as database:
        yield Keys(database).add("field")


def segment(*observations: Observation) -> bytes:
    sink = io.BytesIO()
    writer = SegmentWriter(sink, sensor="whatever", segment=1)
    for observation in observations:
        writer.write(observation)
    return sink.getvalue()


def send(taker: Hub, token: str, number: int, data: bytes, *, packed: bool = True) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "x-relaytrap-segment": str(number), "x-relaytrap-spool": "s1"}
    if packed:
        headers["content-encoding"] = "deflate"
    return taker.client.post("/api/segments", content=zlib.compress(data) if packed else data, headers=headers)


def message(call_id: bytes) -> Observation:
    return seen(request("OPTIONS", b"sip:1@198.51.100.7", "192.0.2.9", call_id=call_id), "192.0.2.9", AT_NS)


def test_segment_is_acknowledged_and_its_messages_are_there(taker: Hub, token: str) -> None:
    answer = send(taker, token, 1, segment(message(b"seg-1")))
    assert (answer.status_code, answer.json()) == (200, {"acknowledged": 1})
    (row,) = taker.rows("messages", call_id="seg-1")
    assert row["sensor"] == "field"


def test_segment_sent_again_is_acknowledged_and_not_stored_again(taker: Hub, token: str) -> None:
    data = segment(message(b"seg-2"))
    assert [send(taker, token, 2, data).status_code for _ in range(3)] == [200, 200, 200]
    assert len(taker.rows("messages", call_id="seg-2")) == 1


def test_segment_may_come_uncompressed(taker: Hub, token: str) -> None:
    assert send(taker, token, 3, segment(message(b"seg-3")), packed=False).status_code == 200


@pytest.mark.parametrize("wrong", ["nonsense", "ä"])
def test_segment_without_a_known_token_is_refused(taker: Hub, wrong: str) -> None:
    headers = [(b"authorization", f"Bearer {wrong}".encode()), (b"x-relaytrap-segment", b"1")]
    answer = taker.client.post("/api/segments", content=b"x", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_bytes_that_are_no_segment_are_called_unreadable(taker: Hub, token: str) -> None:
    answer = send(taker, token, 4, b"not a pcapng")
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_body_that_is_not_deflated_is_called_unreadable(taker: Hub, token: str) -> None:
    headers = {"authorization": f"Bearer {token}", "x-relaytrap-segment": "5", "content-encoding": "deflate"}
    assert taker.client.post("/api/segments", content=b"plain", headers=headers).status_code == 422


def test_hub_that_has_less_than_it_acknowledged_says_so(taker: Hub, token: str) -> None:
    hub = taker.client.post("/api/heartbeat", json={}, headers={"authorization": f"Bearer {token}"}).json()["hub"]
    headers = {"authorization": f"Bearer {token}", "x-relaytrap-segment": "8", "x-relaytrap-spool": "s9"}
    for believed, status in ((f"{hub}/7", 409), ("another/7", 200), (f"{hub}/x", 200)):
        data = segment(message(b"seg-" + believed.encode()))
        told = headers | {"x-relaytrap-acknowledged": believed}
        assert taker.client.post("/api/segments", content=data, headers=told).status_code == status


def test_segment_of_a_newer_format_is_asked_for_again_later(taker: Hub, token: str) -> None:
    data = segment(message(b"seg-newer")).replace(b'"format":1', b'"format":2')
    answer = send(taker, token, 90, data)
    assert (answer.status_code, "update the hub" in answer.json()["error"]) == (426, True)
    assert int(answer.headers["retry-after"]) > 0
    assert "update the hub" in taker.get("/sensors").text


def test_segment_without_a_number_is_refused(taker: Hub, token: str) -> None:
    answer = taker.client.post("/api/segments", content=b"", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 400


def test_heartbeat_shows_on_the_sensors_page(taker: Hub, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    body = {"clock": "2026-01-01T00:00:00.000000000Z", "spool_bytes": 10}
    assert taker.client.post("/api/heartbeat", json=body, headers=headers).status_code == 200
    page = taker.get("/sensors").text
    assert '<span class="live on">' in page
    assert re.search(r">-[0-9.]+ s<", page)


NESTED = [b'{"x":' + b"[" * depth + b"]" * depth + b"}" for depth in (*range(850, 1_000, 10), 30_000)]


@pytest.mark.parametrize("body", [b"", b"[1]", b"nonsense", b"\xff"])
def test_heartbeat_that_is_no_object_is_refused(taker: Hub, token: str, body: bytes) -> None:
    headers = {"authorization": f"Bearer {token}"}
    assert taker.client.post("/api/heartbeat", content=body, headers=headers).status_code == 400


def test_heartbeat_with_brackets_in_brackets_is_taken_or_refused(taker: Hub, token: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    statuses = [taker.client.post("/api/heartbeat", content=body, headers=headers).status_code for body in NESTED]
    assert set(statuses) <= {200, 400}
    assert statuses[-1] == 400


def test_import_needs_the_local_token(taker: Hub, token: str) -> None:
    for given in (token, "nonsense"):
        answer = taker.client.post("/api/import", content=b"", headers={"authorization": f"Bearer {given}"})
        assert answer.status_code == 401


def test_import_says_what_became_of_the_capture(taker: Hub) -> None:
    answer = taker.client.post(
        "/api/import",
        params={"name": "../../some dir/night.pcapng", "sensor": "night"},
        content=iter([segment(message(b"imported-1"))]),
        headers={"authorization": f"Bearer {taker.token}"},
    )
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.text)
    assert (told["file"], told["stored"]) == ("night.pcapng", 1)
    assert not list(taker.data_dir.glob("import-*"))


@pytest.mark.parametrize("name", ["x", "..", "a/..\0", "/"])
def test_import_of_what_is_no_capture_is_explained(taker: Hub, name: str) -> None:
    answer = taker.client.post(
        "/api/import", params={"name": name}, content=b"nonsense", headers={"authorization": f"Bearer {taker.token}"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]
