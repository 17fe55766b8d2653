"""Answers that are sent while they are made: what goes wrong in the middle is seen at both ends."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any, cast

import httpx
import pytest

from relaytrap.cli.session import HubSession, RunningHub
from relaytrap.config import Config
from relaytrap.errors import StoreError
from relaytrap.store import Store
from relaytrap.web.api import catalogue, download
from relaytrap.web.security import Endpoint
from relaytrap.web.serve import bind, serve
from relaytrap.web.site import Site

ROWS = 20_000


def rows(error: Exception) -> Iterator[dict[str, Any]]:
    """More than one piece, and then what should not be."""
    yield from ({"number": number} for number in range(ROWS))
    raise error


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server without a store, whose rows the tests make up."""
    config = Config(data_dir=tmp_path)
    site = Site(cast(Store, None), config)
    ready = Queue[str]()
    listener = bind(Endpoint("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(site, listener, lambda _, where: ready.put(where)))
    thread.start()
    yield ready.get(timeout=30)
    site.on_stop()
    thread.join(30)


@pytest.mark.parametrize("error", [ValueError("day is out of range"), KeyError("raw"), StoreError("no such part")])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_answer_that_breaks_off_does_not_look_whole(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, encoding: str
) -> None:
    monkeypatch.setattr(catalogue, "run_query", lambda *_: rows(error))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url}/api/messages?format=lines", headers={"accept-encoding": encoding})
    assert str(error) in caplog.text


def test_a_download_that_breaks_off_does_not_look_whole(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces(_: object) -> Iterator[bytes]:
        yield b"a" * 100_000
        raise ValueError("a row that cannot be written")

    monkeypatch.setattr(download, "export_messages", lambda *_, **__: iter(()))
    monkeypatch.setattr(download, "_segment", pieces)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url}/messages.pcapng")


@pytest.fixture
def _no_search_for_cycles() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_search_for_cycles")
def test_what_is_kept_for_a_reader_who_goes_away_is_let_go_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def pieces(_: object) -> Iterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            let_go.set()

    monkeypatch.setattr(download, "export_messages", lambda *_, **__: iter(()))
    monkeypatch.setattr(download, "_segment", pieces)
    with httpx.stream("GET", f"{url}/messages.pcapng") as answer:
        next(answer.iter_raw())
    assert let_go.wait(10)


def test_the_command_line_says_that_an_answer_broke_off(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "run_query", lambda *_: rows(ValueError("day is out of range")))
    session = HubSession(RunningHub(1, url, "", ""))
    read: list[dict[str, Any]] = []
    with pytest.raises(StoreError, match="broke off its answer"):
        read.extend(session.query("messages", {}))
    assert len(read) > ROWS // 2
