"""What the command line asks of a running hub's store, and what becomes of it when nobody waits for the answer."""

import json
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from relaytrap.errors import StoreError
from relaytrap.hub.backup import PREFIX
from relaytrap.web.api import maintenance
from tests.web.conftest import Hub

FREE_AGAIN_S = 20


def ask(hub: Hub, path: str) -> httpx.Response:
    return hub.client.post(path, headers={"authorization": f"Bearer {hub.token}"})


def ask_and_go_away(hub: Hub, path: str, after_s: float) -> None:
    host, _, port = hub.url.removeprefix("http://").rpartition(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {hub.token}\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection((host, int(port)), 10) as way:
        way.sendall(head.encode())
        time.sleep(after_s)


def within(seconds: float, what: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("path", ["/api/backup", "/api/reanalyse"])
def test_store_is_free_again_after_a_reader_that_went_away(taker: Hub, path: str, after_s: float) -> None:
    ask_and_go_away(taker, path, after_s)
    assert within(FREE_AGAIN_S, lambda: ask(taker, "/api/reanalyse").status_code == 200)
    assert ask(taker, "/api/backup").status_code == 200
    assert within(FREE_AGAIN_S, lambda: not list(taker.data_dir.glob(f"{PREFIX}*")))


@pytest.mark.parametrize("path", ["/api/backup", "/api/reanalyse"])
def test_next_may_follow_as_soon_as_one_has_ended(taker: Hub, path: str) -> None:
    assert [ask(taker, path).status_code for _ in range(5)] == [200] * 5


def test_who_waits_for_findings_is_told_at_the_end(taker: Hub) -> None:
    assert [json.loads(line) for line in ask(taker, "/api/analyse").text.splitlines()] == [{"done": True}]


def test_who_waits_for_long_work_hears_now_and_then_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "BEAT_S", 0.02)
    goes_on = threading.Event()
    told = map(json.loads, maintenance.told_while(goes_on.wait))
    assert [next(told) for _ in range(3)] == [{"done": False}] * 3
    goes_on.set()
    assert list(told)[-1] == {"done": True}


def test_work_that_fails_ends_no_answer_as_if_it_were_done() -> None:
    def fail() -> None:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError):
        list(maintenance.told_while(fail))
