"""Shipping: in order, until acknowledged, never faster than the hub wants."""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from relaytrap.errors import StoreLocked
from relaytrap.sensor import uplink as uplink_module
from relaytrap.sensor.link import HubAddress, Link
from relaytrap.sensor.spool import Spool, SpoolLimits
from relaytrap.sensor.uplink import Uplink, finish_shipping
from tests.sensor.test_spool import close, observation

Said = tuple[int, dict[str, str], bytes]


class Hub:
    """A hub that says what the test wants and remembers what it got."""

    def __init__(self) -> None:
        self.segments: list[int] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.script: list[Said] = []
        self.heartbeat_answer: dict[str, object] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = hub.take(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = HubAddress("http", "127.0.0.1", self.server.server_port)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Said:
        self.requests.append((path, headers, body))
        if path == "/api/heartbeat":
            return 200, {}, json.dumps(self.heartbeat_answer).encode()
        if self.script:
            return self.script.pop(0)
        number = int(headers["X-Relaytrap-Segment"])
        self.segments.append(number)
        return 200, {}, json.dumps({"acknowledged": number}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_module, "FIRST_WAIT_S", 0.02)


def spool_with(folder: Path, segments: int) -> Spool:
    for _ in range(segments):
        spool = Spool(folder, "s", SpoolLimits())
        spool.write(observation(), 0.0)
        close(spool)
    return Spool(folder, "s", SpoolLimits())


def until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def ship(spool: Spool, hub: Hub, done: Callable[[], Any]) -> Uplink:
    uplink = Uplink(spool, hub.address, "secret", status=lambda: {"version": "0"})
    uplink.start()
    until(done)
    uplink.stop()
    assert not uplink.is_alive()
    return uplink


def test_segments_go_in_order_and_are_removed_when_acknowledged(tmp_path: Path, hub: Hub) -> None:
    spool = spool_with(tmp_path, 3)
    contents = [path.read_bytes() for path in sorted(tmp_path.glob("*.pcapng"))]
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    assert hub.segments == [1, 2, 3]
    assert not list(tmp_path.glob("*.pcapng"))
    sent = [(headers, body) for path, headers, body in hub.requests if path == "/api/segments"]
    assert [zlib.decompress(body) for _, body in sent] == contents
    headers = sent[0][0]
    assert headers["Authorization"] == "Bearer secret"
    assert headers["X-Relaytrap-Sensor"] == "s"
    assert headers["X-Relaytrap-Spool"] == spool.state.spool_id
    assert headers["Content-Encoding"] == "deflate"


def test_heartbeat_tells_the_status_and_the_clock(tmp_path: Path, hub: Hub) -> None:
    ship(spool_with(tmp_path, 0), hub, lambda: hub.requests)
    path, _, body = hub.requests[0]
    said = json.loads(body)
    assert (path, said["version"], said["clock"][-1]) == ("/api/heartbeat", "0", "Z")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "failure",
    [
        (500, {}, b""),
        (503, {"Retry-After": "0"}, b""),
        (401, {}, b""),
        (200, {}, b'{"acknowledged": 7}'),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
    ],
)
def test_segment_is_sent_again_until_the_hub_really_acknowledges_it(tmp_path: Path, hub: Hub, failure: Said) -> None:
    spool = spool_with(tmp_path, 2)
    hub.script = [failure, failure]
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    tried = [headers["X-Relaytrap-Segment"] for path, headers, _ in hub.requests if path == "/api/segments"]
    assert tried == ["1", "1", "1", "2"]


def test_segment_that_the_hub_cannot_read_is_kept_aside_and_holds_up_nothing(tmp_path: Path, hub: Hub) -> None:
    spool = spool_with(tmp_path, 2)
    hub.script = [(422, {}, b"")]
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    assert hub.segments == [2]
    assert (tmp_path / "00000001.pcapng.refused").exists()


@pytest.mark.usefixtures("quick")
def test_hub_that_is_away_is_found_again(tmp_path: Path, hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    spool = spool_with(tmp_path, 1)
    port = hub.server.server_port
    hub.close()
    uplink = Uplink(spool, HubAddress("http", "127.0.0.1", port), "secret", status=dict)
    uplink.start()
    until(lambda: "stay in the spool" in caplog.text)
    assert spool.backlog.oldest() is not None
    back = Hub()
    uplink._link.hub = back.address
    until(lambda: back.segments == [1])
    uplink.stop()
    back.close()
    assert caplog.text.count("stay in the spool") == 1


def test_connection_that_the_hub_closed_while_idle_is_replaced_without_a_word(tmp_path: Path, hub: Hub) -> None:
    hub.server.RequestHandlerClass.timeout = 0.1  # type: ignore[attr-defined]  # of StreamRequestHandler
    link = Link(hub.address, "secret")
    for _ in range(2):
        assert link.post("/api/heartbeat", b"{}", {}).status == 200
        time.sleep(0.4)
    assert len(hub.requests) == 2


def test_retry_after_is_obeyed(tmp_path: Path, hub: Hub) -> None:
    spool = spool_with(tmp_path, 1)
    hub.script = [(429, {"Retry-After": "3600"}, b"")]
    uplink = Uplink(spool, hub.address, "secret", status=dict)
    uplink.start()
    until(lambda: uplink._wait_s)
    assert uplink._wait_s == 3600
    uplink.wake()
    uplink.stop()
    assert hub.segments == []


def test_what_the_hub_lost_is_shipped_before_anything_new(tmp_path: Path, hub: Hub) -> None:
    spool = spool_with(tmp_path, 3)
    spool.reconcile("hub", 0)
    for _ in range(2):
        segment = spool.backlog.oldest()
        assert segment is not None
        spool.acknowledge(segment)
    hub.heartbeat_answer = {"sensor": "s", "hub": "hub", "highest_segment": 0}
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    assert hub.segments == [1, 2, 3]


def test_hub_that_says_it_is_behind_is_told_and_heard_at_once(tmp_path: Path, hub: Hub) -> None:
    spool = spool_with(tmp_path, 2)
    spool.reconcile("hub", 0)
    first = spool.backlog.oldest()
    assert first is not None
    spool.acknowledge(first)
    uplink = Uplink(spool, hub.address, "secret", status=dict)
    uplink._next_heartbeat = time.monotonic() + 3600  # as right after a heartbeat
    hub.script = [(409, {}, b"{}")]
    hub.heartbeat_answer = {"sensor": "s", "hub": "hub", "highest_segment": 0}
    uplink.start()
    until(lambda: spool.backlog.oldest() is None)
    uplink.stop()
    assert [path for path, _, _ in hub.requests[:2]] == ["/api/segments", "/api/heartbeat"]
    assert hub.segments == [1, 2]


def test_hub_that_knows_the_token_under_another_name_changes_nothing(tmp_path: Path, hub: Hub) -> None:
    spool = spool_with(tmp_path, 1)
    hub.heartbeat_answer = {"sensor": "other", "hub": "hub", "highest_segment": 500}
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    assert spool.state.next_segment == 2


@pytest.mark.parametrize("said", [{"hub": "a\nb"}, {"hub": "a/b"}, {"hub": "ü"}, {"hub": ""}, {"highest_segment": -1}])
def test_hub_that_says_what_no_hub_says_of_itself_still_gets_segments(
    tmp_path: Path, hub: Hub, said: dict[str, object]
) -> None:
    spool = spool_with(tmp_path, 1)
    hub.heartbeat_answer = {"sensor": "s", "hub": "hub", "highest_segment": 0, **said}
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    assert hub.segments == [1]
    assert spool.state.hub_id == ""


@pytest.mark.usefixtures("quick")
def test_mistake_of_ours_does_not_end_shipping(tmp_path: Path, hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    spool, calls = spool_with(tmp_path, 2), iter(range(100))

    def status() -> dict[str, Any]:
        if next(calls) < 2:
            raise ValueError("a bug")
        return {}

    uplink = Uplink(spool, hub.address, "secret", status=status)
    uplink._next_heartbeat = 0.0
    uplink.start()
    until(lambda: spool.backlog.oldest() is None)
    uplink.stop()
    assert hub.segments == [1, 2]
    assert "a bug" in caplog.text


@pytest.mark.usefixtures("quick")
def test_segment_that_a_hub_is_too_old_for_waits(tmp_path: Path, hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    spool = spool_with(tmp_path, 1)
    hub.script = [(426, {"Retry-After": "0"}, b'{"error": "update the hub"}')] * 4
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    assert hub.segments == [1]
    assert "update the hub" in caplog.text


def test_segment_that_somebody_took_away_is_lost_and_not_acknowledged(tmp_path: Path, hub: Hub) -> None:
    spool = spool_with(tmp_path, 2)
    (tmp_path / "00000001.pcapng").unlink()
    ship(spool, hub, lambda: spool.backlog.oldest() is None)
    assert hub.segments == [2]
    assert (spool.lost()["dropped_segments"], spool.shelf.numbers) == (1, (2, 2))


class LastMoment(Hub):
    """A hub that holds back its receipts until told, and says when it has got a segment."""

    def __init__(self) -> None:
        self.has_got = threading.Event()
        self.may_answer = threading.Event()
        super().__init__()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Said:
        if path == "/api/segments":
            self.has_got.set()
            assert self.may_answer.wait(20)
        return super().take(path, headers, body)


@pytest.fixture
def last_moment() -> Iterator[LastMoment]:
    made = LastMoment()
    yield made
    made.may_answer.set()
    made.close()


def shipping(folder: Path, hub: Hub) -> tuple[Spool, Uplink]:
    """An uplink that runs, and a spool with an observation in its open segment."""
    spool = spool_with(folder, 0)
    uplink = Uplink(spool, hub.address, "secret", status=lambda: {"version": "0"})
    uplink.start()
    until(lambda: hub.requests)
    spool.write(observation(), 0.0)
    return spool, uplink


def test_spool_is_let_go_only_after_its_last_receipt(tmp_path: Path, last_moment: LastMoment) -> None:
    spool, uplink = shipping(tmp_path, last_moment)
    closing = threading.Thread(target=finish_shipping, args=(spool, uplink))
    closing.start()
    assert last_moment.has_got.wait(20)
    with pytest.raises(StoreLocked):
        Spool(tmp_path, "s", SpoolLimits())
    last_moment.may_answer.set()
    closing.join(20)
    again = Spool(tmp_path, "s", SpoolLimits())
    assert (again.state.acknowledged, len(again.backlog)) == (1, 0)
    close(again)


def test_spool_is_not_let_go_while_the_uplink_does_not_end(
    tmp_path: Path, last_moment: LastMoment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink_module, "STOP_GRACE_S", 0.05)
    spool, uplink = shipping(tmp_path, last_moment)
    finish_shipping(spool, uplink)
    with pytest.raises(StoreLocked):
        Spool(tmp_path, "s", SpoolLimits())
    last_moment.may_answer.set()
    uplink.join(20)
    spool.release()
