"""The open-relay test as a page: ownership first, then a real test of a real server, then a result behind a secret."""

import html
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest
from litestar import Request
from litestar.types import HTTPScope

from relaytrap.clock import now_ns
from relaytrap.probe.register import Register
from relaytrap.web.pages.probe import client_of
from relaytrap.web.site import Ask

from ..loopback import free_port, loopback
from ..probe.answering import answering_server, reply
from ..probe.family import ROUTES, SIX, main_configuration, make_certificate, running, start_kamailio
from .conftest import Hub, start_hub

NOBODY = "198.51.100.7"
OPEN, CLOSED = ROUTES["open stateful"][0], ROUTES["closed"][0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probe-page")


@pytest.fixture(scope="module")
def page(peer: Callable[[str], str], folder: Path) -> Iterator[str]:
    """A hub that may test loopback addresses, beside real servers to test; gives its URL."""
    make_certificate(folder)
    (folder / "main.cfg").write_text(main_configuration(folder, free_port(SIX)))
    (folder / "hub.toml").write_text(f'[probe]\nprivate_targets = true\nwitness = "{loopback(32, 1)}:5060"\n')
    kamailio = start_kamailio(peer("kamailio"), folder, "main", ["-f", str(folder / "main.cfg")], memory="64")
    command = [sys.executable, "-m", "relaytrap.cli.main", "--config", str(folder / "hub.toml")]
    command += ["--data", str(folder / "data"), "hub", "--listen", "127.0.0.1:0"]
    with running([kamailio], folder, CLOSED):
        hub = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert hub.stdout is not None
        url = hub.stdout.readline().split()[-1]
        try:
            yield url
        finally:
            hub.send_signal(signal.SIGTERM)
            hub.wait(20)


def browser(url: str, address: str = "127.0.0.1") -> httpx.Client:
    """A client that comes from an address."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=url, transport=transport, headers={"Origin": url}, timeout=30)


def wait_for_result(client: httpx.Client, place: str) -> dict[str, object]:
    for _ in range(120):
        report: dict[str, object] = client.get(f"/api{place}").json()
        if report["verdict"]:
            return report
        time.sleep(0.5)
    raise AssertionError("the test never ended")


@pytest.fixture(scope="module")
def results(page: str) -> dict[str, str]:
    """Where the results of an open and a closed server are, each asked for from its own address."""
    places = {}
    for name, address in (("open", OPEN), ("closed", CLOSED)):
        with browser(page, address) as owner:
            form = {"host": address, "domain": "family.example", "transport": ["udp", "tcp"]}
            places[name] = owner.post("/probe", data=form).headers["location"]
    with browser(page) as anybody:
        for place in places.values():
            wait_for_result(anybody, place)
    return places


@pytest.mark.peer
@pytest.mark.timeout(150)
@pytest.mark.parametrize(("name", "verdict"), [("open", "open"), ("closed", "refused")])
def test_owner_gets_a_result_under_a_secret_link(page: str, results: dict[str, str], name: str, verdict: str) -> None:
    address = {"open": OPEN, "closed": CLOSED}[name]
    assert re.fullmatch(r"/probe/[A-Za-z0-9_-]{32}", results[name])
    with browser(page) as reader:
        report = reader.get(f"/api{results[name]}").json()
        shown = reader.get(results[name]).text
    assert report["verdict"] == verdict
    assert f"{address}</bdi>: {verdict}" in shown
    assert "own address" in str(report["ownership"])


@pytest.mark.peer
@pytest.mark.timeout(150)
@pytest.mark.parametrize(("suffix", "start"), [("html", b"<!doctype html>"), ("pdf", b"%PDF-")])
def test_result_is_a_file_to_take_away(page: str, results: dict[str, str], suffix: str, start: bytes) -> None:
    with browser(page) as reader:
        answer = reader.get(f"{results['open']}/report.{suffix}")
    assert answer.content.startswith(start)
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="open-relay-test-{OPEN}-')
    assert answer.headers["content-disposition"].endswith(f'.{suffix}"')


@pytest.mark.peer
@pytest.mark.timeout(150)
@pytest.mark.parametrize("every", ["", "1d"])
def test_who_was_only_given_the_link_cannot_test_again(page: str, results: dict[str, str], every: str) -> None:
    with browser(page) as stranger:
        refused = stranger.post(f"{results['closed']}/again", data={"every": every})
    assert refused.status_code == 403
    assert "First show that" in refused.text


@pytest.mark.peer
@pytest.mark.timeout(150)
@pytest.mark.parametrize("named", [SIX, f"[{SIX}]", f"[{SIX}]:5060"])
def test_file_that_proves_ownership_is_named_by_the_address_alone(page: str, named: str) -> None:
    with browser(page) as stranger:
        refused = stranger.post("/probe", data={"host": named, "transport": ["udp"]})
    assert refused.status_code == 403
    assert f">http://[{SIX}]/.well-known/relaytrap.txt<" in html.unescape(refused.text).replace("<bdi>", "").replace(
        "</bdi>", ""
    )


@pytest.mark.peer
@pytest.mark.timeout(150)
def test_owner_has_the_server_tested_every_week_and_stops_it(page: str, results: dict[str, str]) -> None:
    with browser(page, CLOSED) as owner:
        made = owner.post(f"{results['closed']}/again", data={"every": "1w"})
        place = made.headers["location"]
        assert re.fullmatch(r"/probe/schedule/[A-Za-z0-9_-]{32}", place)
        shown = owner.get(f"/api{place}").json()
        assert shown["every"] == "7 days"
        assert [each["verdict"] for each in shown["history"]] == ["refused"]
        assert f'href="{results["closed"]}"' in owner.get(place).text
        assert place not in owner.get(results["closed"]).text  # a result may be shared without the schedule
        assert owner.post(f"{place}/stop").status_code == 303
        assert owner.get(place).status_code == 404
        assert owner.get(results["closed"]).status_code == 200


@pytest.mark.peer
@pytest.mark.timeout(150)
def test_address_that_opted_out_is_not_tested(page: str, folder: Path, results: dict[str, str]) -> None:
    opt_outs = Register(folder / "data").opt_outs
    opt_outs.add(OPEN, "by mail", now_ns())
    with browser(page, OPEN) as owner:
        refused = owner.post("/probe", data={"host": OPEN})
    opt_outs.remove(OPEN)
    assert refused.status_code == 400
    assert "operator asked" in refused.text


@pytest.mark.peer
def test_stranger_gets_a_token_and_nothing_is_sent(page: str) -> None:
    with browser(page) as stranger:
        refused = stranger.post("/probe", data={"host": CLOSED})
    assert refused.status_code == 403
    assert re.search(r"relaytrap-[0-9a-f]{32}", refused.text)
    assert "_relaytrap." not in refused.text  # no DNS record proves an address


@pytest.mark.peer
def test_named_server_may_be_proved_by_dns(page: str) -> None:
    with browser(page, loopback(32, 9)) as stranger:
        refused = stranger.post("/probe", data={"host": "localhost", "transport": "tcp"})
    assert refused.status_code == 403
    assert "_relaytrap.localhost" in refused.text


@pytest.mark.peer
def test_host_that_does_not_resolve_is_one_sentence(page: str) -> None:
    with browser(page) as client:
        refused = client.post("/probe", data={"host": "no-such-host.invalid"})
    assert refused.status_code == 400
    assert "does not resolve" in refused.text


@pytest.mark.peer
def test_hostile_host_is_shown_escaped(page: str) -> None:
    with browser(page) as client:
        shown = client.post("/probe", data={"host": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in shown


@pytest.mark.peer
def test_guessed_secret_finds_nothing(page: str) -> None:
    with browser(page) as client:
        assert client.get("/probe/" + "A" * 32).status_code == 404
        assert client.get("/api/probe/" + "A" * 32).status_code == 404
        assert client.get("/probe/schedule/" + "A" * 32).status_code == 404
        assert client.get("/api/probe/schedule/" + "A" * 32).status_code == 404
        assert client.get("/probe/" + "A" * 32 + "/report.pdf").status_code == 404


@pytest.mark.peer
@pytest.mark.timeout(120)
def test_progress_is_told_until_the_end(page: str) -> None:
    address = ROUTES["challenge"][0]
    with browser(page, address) as owner:
        place = owner.post("/probe", data={"host": address, "transport": "udp"}).headers["location"]
        with owner.stream("GET", place + "/progress", timeout=60) as events:
            lines = [line for line in events.iter_lines() if line]
    steps = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith('data: {"sent')]
    settled = [step["settled"] for step in steps]
    assert settled == sorted(settled)
    assert settled[-1] > 0
    assert "event: done" in lines


def test_who_comes_from_loopback_is_told_who_enters_an_opt_out_and_gets_no_button(empty_hub: Hub) -> None:
    with browser(empty_hub.url) as client:
        shown = client.get("/probe/opt-out").text
        refused = client.post("/probe/opt-out", data={"change": "add"})
    assert 'action="/probe/opt-out"' not in shown
    assert "cannot tell which address is yours" in shown
    assert "relaytrap probe opt-out add" in shown
    assert refused.status_code == 404
    assert Register(empty_hub.data_dir).opt_outs.list_entries() == []


@pytest.mark.peer
def test_proof_by_address_is_not_offered_to_who_comes_from_loopback(page: str) -> None:
    with browser(page) as client:
        shown = client.post("/probe", data={"host": CLOSED}).text
    assert "proves nothing here" in shown
    assert "open this page from the server" not in shown


def test_who_comes_from_an_address_of_their_own_has_it_left_alone_and_takes_that_back(empty_hub: Hub) -> None:
    address = address_beyond_loopback()
    opt_outs = Register(empty_hub.data_dir).opt_outs
    with browser(empty_hub.url, address) as owner:
        assert f"Never test {address}</button>" in owner.get("/probe/opt-out").text
        assert owner.post("/probe/opt-out", data={"change": "add"}).status_code == 303
        assert "operator asked" in opt_outs.objection(address)
        assert "Let its owner test it again" in owner.get("/probe/opt-out").text
        owner.post("/probe/opt-out", data={"change": "remove"})
    assert opt_outs.objection(address) == ""


def address_beyond_loopback() -> str:
    """An address of this machine from which it may come to itself; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect((NOBODY, 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(way.getsockname()[0])


@pytest.mark.parametrize(
    ("came_from", "client"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:127.0.0.1", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("fe80::7%eth0", "fe80::7"),
    ],
)
def test_client_of_a_listener_for_both_ip_versions_has_its_ipv4_address(came_from: str, client: str) -> None:
    scope = cast(HTTPScope, {"type": "http", "client": (came_from, 5000)})  # all that is read of it
    request: Ask = Request(scope)
    assert client_of(request) == client


def test_hub_that_is_stopped_leaves_no_call_of_a_test_ringing(tmp_path: Path) -> None:
    server_at = loopback(46, 1)
    (tmp_path / "hub.toml").write_text("[probe]\nprivate_targets = true\n")
    with answering_server(server_at, ringing) as server:
        hub = start_hub(tmp_path / "data", tmp_path / "hub.toml")
        with browser(hub.url, server_at) as owner:
            form = {"host": f"{server_at}:{server.port}", "transport": "udp"}
            place = owner.post("/probe", data=form).headers["location"]
        for _ in range(600):
            if len(server.calls("INVITE")) >= 2:
                break
            time.sleep(0.05)
        invited_before = server.calls("INVITE")
        assert hub.stop() == 0
        assert invited_before
        assert server.calls("CANCEL") == server.calls("INVITE")
    entry = Register(tmp_path / "data").find(place.removeprefix("/probe/"))
    assert entry is not None
    assert entry.verdict == "not run"


def ringing(request: bytes) -> bytes:
    if request.startswith(b"INVITE"):
        return reply(request, "180 Ringing")
    return b"" if request.startswith(b"ACK") else reply(request, "200 OK")
