"""Messages as they come in: as JSON for the terminal, as rows for the page."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from unittest.mock import patch

import httpx

from relaytrap.cli import session
from relaytrap.cli.session import HubSession, running_hub
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from tests.web.conftest import Hub, start_hub
from tests.web.scene import request, seen
from tests.web.test_uplink import segment, send

Listener = Callable[[Hub, str, str, threading.Event], str]


def first_event(hub: Hub, path: str, kind: str, begun: threading.Event) -> str:
    """Data of the first event of a kind."""
    with httpx.stream("GET", hub.url + path, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event, data = "", list[str]()
        for line in answer.iter_lines():
            begun.set()
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                data.append(line.removeprefix("data:").removeprefix(" "))
            elif not line and event == kind:
                return "\n".join(data)
            elif not line:
                event, data = "", []
    raise AssertionError("the stream ended")


def first_followed(hub: Hub, path: str, kind: str, begun: threading.Event) -> str:
    """The first message that `relaytrap tail` would print."""
    running = running_hub(hub.data_dir)
    assert running is not None

    lines_of = session._lines

    def followed(answer: HTTPResponse) -> Iterator[bytes]:
        for line in lines_of(answer):
            begun.set()
            yield line

    with patch.object(session, "_lines", followed):
        return json.dumps(next(HubSession(running).events(path.removeprefix("/api/"), {})))


def received(
    hub: Hub, path: str, kind: str, number: int, method: str = "OPTIONS", listen: Listener = first_event
) -> str:
    """The event that one message causes."""
    with contextlib.closing(HubDatabase(hub.data_dir)) as database:
        token = Keys(database).add(f"live-{number}")
    begun, found = threading.Event(), list[str]()
    listener = threading.Thread(target=lambda: found.append(listen(hub, path, kind, begun)))
    listener.start()
    assert begun.wait(10)
    raw = request(method, b"sip:<b>@198.51.100.7", "192.0.2.9", call_id=b"live-%d" % number)
    send(hub, token, number, segment(seen(raw, "192.0.2.9", time.time_ns())))
    listener.join(20)
    assert found
    return found[0]


def test_message_reaches_a_listener_as_json(taker: Hub) -> None:
    row = json.loads(received(taker, "/api/live", "message", 1))
    assert (row["call_id"], row["sensor"]) == ("live-1", "live-1")


def test_message_reaches_the_terminal_that_follows_and_no_sign_of_life_passes_for_one(taker: Hub) -> None:
    row = json.loads(received(taker, "/api/live", "message", 3, listen=first_followed))
    assert (row["call_id"], row["sensor"]) == ("live-3", "live-3")


def test_message_reaches_the_page_as_an_escaped_row(taker: Hub) -> None:
    html = received(taker, "/live?direction=in", "rows", 2)
    assert html.lstrip().startswith("<tr")
    assert "&lt;b&gt;" in html


def test_page_hears_what_came_in_while_it_was_made(taker: Hub) -> None:
    received(taker, "/live?method=SUBSCRIBE", "rows", 4, "SUBSCRIBE")
    html = first_event(taker, "/live?method=SUBSCRIBE", "rows", threading.Event())
    assert html.count("<tr") == 1


def test_flood_reaches_the_page_as_its_newest_rows_which_are_not_all(taker: Hub) -> None:
    with contextlib.closing(HubDatabase(taker.data_dir)) as database:
        token = Keys(database).add("live-flood")
    now_ns = time.time_ns()
    raws = [request("PRACK", b"sip:1@198.51.100.7", "192.0.2.9", call_id=b"flood-%d" % each) for each in range(70)]
    send(taker, token, 1, segment(*(seen(raw, "192.0.2.9", now_ns + each) for each, raw in enumerate(raws))))
    html = first_event(taker, "/live?method=PRACK", "only", threading.Event())
    shown = [row["id"] for row in taker.rows("messages", method="PRACK", limit=60)]
    assert re.findall(r'<td class="nowrap when"><a href="/messages/(\w+)"', html) == shown


def test_wrong_filter_is_refused(taker: Hub) -> None:
    assert taker.get("/api/live", params={"source": "x"}).status_code == 400


def test_open_stream_does_not_keep_the_hub_from_ending(tmp_path: Path) -> None:
    hub = start_hub(tmp_path / "data")
    with httpx.stream("GET", hub.url + "/api/live", timeout=20) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert hub.stop() == 0
