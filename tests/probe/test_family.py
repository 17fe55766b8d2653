"""The test against a family of real servers on loopback: every one gets its class, none a false "open" or "closed"."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from relaytrap.probe.plan import Plan, Timing
from relaytrap.probe.request import METHODS
from relaytrap.probe.run import Run
from relaytrap.probe.target import resolve_target
from relaytrap.probe.verdict import judge_server

from ..loopback import loopback
from .family import BY_WEBSOCKET, DEBIAN_AUTH, DEBIAN_DEFAULT, DELAYED, ECHO, ROUTES, SIX, TOPOLOGY_HIDING, family
from .test_run import watching

TESTER = loopback(30, 1)
# None of these servers bans who asks often or calls half a minute later; all other waits are those of any test.
UNGUARDED = Timing(pace=0.1, stray=8.0)

# Server → the classes that reading its configuration demands.
EXPECTED = {
    "open stateful": ["open"],
    "open stateless": ["open"],
    "closed": ["refused"],
    "challenge": ["challenges"],
    "options only": ["open for a method"],
    "tcp only": ["open on a transport"],
    "tls only": ["open on a transport"],
    "ws only": ["open on a transport"],
    "from hole": ["open by From"],
    "route hole": ["open by Route", "open in-dialog"],
    "to hole": ["open"],
    "asserted hole": ["open by From"],
    "alias hole": ["open for a method"],  # it answers OPTIONS to itself
    "silent": ["unanswered"],
    "answers itself": ["answers itself"],
    "redirects": ["refused"],
    "trying only": ["undecided"],
    "server error": ["undecided"],
    "open on IPv6": ["open"],
}
ELSEWHERE = {
    "topology hiding": (TOPOLOGY_HIDING, ["open"]),
    "Debian default": (DEBIAN_DEFAULT, ["open in-dialog"]),
    "Debian default with auth": (DEBIAN_AUTH, ["open in-dialog"]),
    "echo": (ECHO, ["answers itself"]),
    "delayed 4 s": (DELAYED, ["open"]),
    "relays by WebSocket": (BY_WEBSOCKET, ["open"]),
}
SERVERS = {name: (ROUTES[name][0], classes) for name, classes in EXPECTED.items()} | ELSEWHERE


@pytest.fixture(scope="module")
def runs(peer: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Every server of the family, tested at the same time, each with a witness of its own."""

    async def test(number: int, name: str, host: str) -> tuple[str, Run]:
        target = await resolve_target(host, domain="family.example")
        watch = await watching(SIX if target.address == SIX else loopback(31, number), 5060 if ":" not in host else 0)
        run = Run(Plan(target, SIX if target.address == SIX else TESTER, timing=UNGUARDED), watch)
        await run.run()
        return name, run

    async def test_all(six_port: int) -> dict[str, Run]:
        hosts = {name: f"[{SIX}]:{six_port}" if address == SIX else address for name, (address, _) in SERVERS.items()}
        return dict(await asyncio.gather(*(test(number, *each) for number, each in enumerate(hosts.items(), 1))))

    with family(peer("kamailio"), tmp_path_factory.mktemp("family")) as six_port:
        yield asyncio.run(test_all(six_port))


@pytest.mark.peer
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SERVERS)
def test_every_server_gets_its_class(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    found = [each.name for each, _ in judge_server(run.outcomes, witness_reachable=run.witness_reachable)]
    assert found == SERVERS[name][1]


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "trick", "transport"),
    [
        ("open stateful", "plain", "udp"),
        ("open stateful", "same-transport", "tcp"),
        ("tls only", "same-transport", "tls"),
        ("relays by WebSocket", "plain", "ws"),
        ("open on IPv6", "same-transport", "tcp"),
    ],
)
def test_relayed_probe_arrives_by_the_transport_that_the_relay_took(
    runs: dict[str, Run], name: str, trick: str, transport: str
) -> None:
    seen = [outcome for outcome in runs[name].outcomes if outcome.probe.trick == trick and outcome.result == "relayed"]
    assert {arrival.transport for outcome in seen for arrival in outcome.arrivals} == {transport}
    assert {outcome.probe.method for outcome in seen} == set(METHODS)
    assert all(outcome.two_way for outcome in seen)
    assert all(len(arrival.vias) == 2 for outcome in seen for arrival in outcome.arrivals)


@pytest.mark.peer
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("runs")
def test_relay_from_one_ip_version_to_the_other_is_seen() -> None:
    async def test() -> Run:
        target = await resolve_target(ROUTES["open stateful"][0], transports=("udp",))
        watch = await watching(loopback(31, 91), 5060)
        await watch.open(SIX, 0)
        run = Run(Plan(target, TESTER, tricks=("other-version",)), watch)
        await run.run()
        return run

    seen = [arrival for outcome in asyncio.run(test()).outcomes for arrival in outcome.arrivals]
    assert {(arrival.method, arrival.source) for arrival in seen} == {(method, SIX) for method in METHODS}


@pytest.mark.peer
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("runs")
def test_open_registrar_is_found_and_nothing_stays_registered() -> None:
    async def test() -> Run:
        target = await resolve_target(DEBIAN_DEFAULT, transports=("udp",))
        run = Run(Plan(target, TESTER, tricks=(), register=True), await watching(loopback(31, 90), 5060))
        await run.run()
        return run

    run = asyncio.run(test())
    found = [each.name for each, _ in judge_server(run.outcomes, witness_reachable=run.witness_reachable)]
    assert found == ["open registrar"]
    undone = next(outcome for outcome in run.outcomes if outcome.probe.trick == "register")
    assert [answer.status_code for answer in undone.answers] == [200, 200]
    user = undone.probe.ends.number
    assert answer_to_options(f"sip:{user}@{DEBIAN_DEFAULT}", DEBIAN_DEFAULT) == 404


def answer_to_options(uri: str, address: str) -> int:
    """The status that a server answers OPTIONS for a URI with."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.bind((TESTER, 0))
        way.settimeout(5)
        way.sendto(
            f"OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {TESTER}:{way.getsockname()[1]};rport;branch=z9hG4bKx\r\n"
            f"From: <sip:a@b>;tag=1\r\nTo: <{uri}>\r\nCall-ID: after\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n".encode(),
            (address, 5060),
        )
        return int(way.recv(65535).split()[1])
