"""Real tools against a running sensor: they get what the persona promises, and each of their requests is recorded.

What the tools sent is told by tcpdump on the loopback interface, not by us.
"""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relaytrap.sensor import personas
from relaytrap.sensor.persona import Persona
from relaytrap.sensor.personas import load_persona
from tests.loopback import free_port
from tests.sensor.live import SensorProcess, recorded

pytestmark = pytest.mark.peer
Peer = Callable[[str], str]
SEED = "a seed with weak extensions"


@contextmanager
def wire(peer: Peer, port: str, into: Path) -> Iterator[Callable[[], Counter[bytes]]]:
    """Watch a UDP port (or `port or udp dst port …`) on loopback; asked what was sent there, the watching ends."""
    tcpdump, tshark = peer("tcpdump"), peer("tshark")
    if os.geteuid() != 0:
        pytest.skip("tcpdump needs root")
    watcher = subprocess.Popen(
        [tcpdump, "-i", "lo", "-U", "--immediate-mode", "-w", str(into), f"udp dst port {port}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watcher.stderr is not None
    while "listening on" not in (line := watcher.stderr.readline()):
        assert line, "tcpdump does not start"

    def sent() -> Counter[bytes]:
        time.sleep(0.5)
        watcher.send_signal(signal.SIGINT)
        watcher.wait(10)
        shown = subprocess.run(
            [tshark, "-r", str(into), "-T", "fields", "-e", "udp.payload"], capture_output=True, text=True, check=True
        )
        return Counter(bytes.fromhex(line) for line in shown.stdout.splitlines())

    try:
        yield sent
    finally:
        if watcher.poll() is None:
            watcher.kill()
            watcher.wait()
        watcher.stderr.close()


def run(command: list[str], home: Path, seconds: float = 60) -> str:
    """A tool's whole output. SIPVicious keeps files in its home."""
    environ = os.environ | {"HOME": str(home), "COLUMNS": "200", "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environ, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SensorProcess]]:
    """Starts sensors whose installation is known to the test, each with its own data folder."""
    started: list[SensorProcess] = []

    def begin(persona: str, *, seed: str = SEED, **more: tuple[str, ...]) -> SensorProcess:
        monkeypatch.setenv("RELAYTRAP_SENSOR_SEED", seed)
        folder = tmp_path / f"data{len(started)}"
        started.append(SensorProcess(folder, "--flush", "0.1", "--persona", persona, **more))
        return started[-1]

    yield begin
    for sensor in started:
        with sensor:
            pass


@pytest.fixture
def quick_gateway(tmp_path: Path) -> str:
    """The Cisco gateway, but somebody picks up within half a second."""
    text = Path(personas.__file__).with_name("cisco.toml").read_text(encoding="utf-8")
    path = tmp_path / "quick.toml"
    path.write_text(text.replace("[4.0, 12.0]", "[0.2, 0.3]").replace("[0.4, 2.5]", "[0.1, 0.2]"), encoding="utf-8")
    return str(path)


def users(persona: Persona, numbers: range) -> dict[str, str]:
    """Which of these users exist, with their passwords ("" when nobody can guess it)."""
    known = {str(number): persona.password(str(number).encode()) for number in numbers}
    return {user: password for user, password in known.items() if password is not None}


def test_svmap_sees_each_product_and_is_recorded_byte_for_byte(start, peer: Peer, tmp_path: Path) -> None:
    svmap, sensors = peer("svmap"), {name: start(name) for name in personas.persona_names()}
    ports = ",".join(str(sensor.ports["udp"]) for sensor in sensors.values())
    with wire(peer, ports.replace(",", " or udp dst port "), tmp_path / "wire.pcap") as sent:
        shown = run([svmap, "-P", str(free_port()), "-p", ports, "127.0.0.1"], tmp_path)
        requests = sent()
    for name, sensor in sensors.items():
        assert f"127.0.0.1:{sensor.ports['udp']} | {load_persona(name, seed=SEED).headers['Server']}" in shown
    taken = [each.raw for sensor in sensors.values() for each in sensor.wait_until_recorded(1)]
    assert Counter(taken) == requests
    assert len(taken) == len(sensors)


def test_svwar_finds_exactly_the_extensions_that_exist(start, peer: Peer, tmp_path: Path) -> None:
    svwar, sensor = peer("svwar"), start("asterisk")
    with wire(peer, str(sensor.ports["udp"]), tmp_path / "wire.pcap") as sent:
        options = ["-P", str(free_port()), "-p", str(sensor.ports["udp"]), "-e", "100-140"]
        shown = run([svwar, *options, "127.0.0.1"], tmp_path)
        requests = sent()
    found = re.findall(r"^\| (\d+) +\| reqauth", shown, re.MULTILINE)
    assert sorted(found) == sorted(users(load_persona("asterisk", seed=SEED), range(100, 141)))
    assert Counter(each.raw for each in sensor.wait_until_recorded(requests.total())) == requests
    assert requests.total() >= 42


@pytest.mark.parametrize("name", ["freepbx", "kamailio", "cisco"])
def test_svwar_learns_nothing_from_a_product_that_challenges_everybody(
    start, peer: Peer, tmp_path: Path, name: str
) -> None:
    svwar, sensor = peer("svwar"), start(name)
    shown = run([svwar, "-P", str(free_port()), "-p", str(sensor.ports["udp"]), "-e", "100-110", "127.0.0.1"], tmp_path)
    assert "authentication request for an unknown extension" in shown


def weak_extension(name: str) -> tuple[str, str, str]:
    """(seed, extension, password) of an installation of this persona that has a password of few digits."""
    for number in range(1000):
        seed = f"installation {number}"
        for user, password in users(load_persona(name, seed=seed), range(100, 200)).items():
            if password.isdigit() and len(password) < 5:
                return seed, user, password
    raise AssertionError(f"{name} has no weak extension")


@pytest.mark.parametrize("name", ["asterisk", "freepbx", "kamailio", "cisco"])
def test_svcrack_finds_a_weak_password(start, peer: Peer, tmp_path: Path, name: str) -> None:
    svcrack, (seed, user, password) = peer("svcrack"), weak_extension(name)
    sensor = start(name, seed=seed)
    with wire(peer, str(sensor.ports["udp"]), tmp_path / "wire.pcap") as sent:
        options = ["-P", str(free_port()), "-p", str(sensor.ports["udp"]), "-u", user]
        shown = run([svcrack, *options, "-r", f"{int(password) - 2}-{int(password) + 2}", "127.0.0.1"], tmp_path)
        requests = sent()
    assert re.search(rf"\| {user} +\| {password} ", shown), shown
    assert Counter(each.raw for each in sensor.wait_until_recorded(requests.total())) == requests
    assert any(b"Authorization: Digest" in data for data in requests)


def test_sipsak_is_content_with_the_answer(start, peer: Peer, tmp_path: Path) -> None:
    sipsak, sensor = peer("sipsak"), start("asterisk")
    shown = run([sipsak, "-vv", "-s", f"sip:100@127.0.0.1:{sensor.ports['udp']}"], tmp_path)
    assert "SIP/2.0 200 OK" in shown
    assert "final received" in shown


def test_sipp_places_a_call_that_rings_is_answered_and_hung_up(
    start, peer: Peer, tmp_path: Path, quick_gateway: str
) -> None:
    sipp, sensor = peer("sipp"), start(quick_gateway)
    options = ["-sn", "uac", "-t", "t1", "-m", "3", "-r", "3", "-s", "900442012345678", "-i", "127.0.0.1", "-nostdin"]
    shown = run([sipp, f"127.0.0.1:{sensor.ports['tcp']}", *options, "-timeout", "30"], tmp_path)
    assert re.search(r"Successful call +\| +\d+ +\| +3 ", shown), shown[-3000:]
    methods = Counter(each.raw.split(b" ", 1)[0] for each in sensor.wait_until_recorded(9))
    assert methods == {b"INVITE": 3, b"ACK": 3, b"BYE": 3}


def test_sipp_over_udp_hears_it_ring_and_gets_no_more_than_it_sent(
    start, peer: Peer, tmp_path: Path, quick_gateway: str
) -> None:
    sipp, sensor = peer("sipp"), start(quick_gateway)
    options = ["-sn", "uac", "-m", "1", "-s", "900442012345678", "-i", "127.0.0.1", "-nostdin"]
    options += ["-recv_timeout", "1500", "-timeout", "5", "-timeout_error"]
    shown = run([sipp, f"127.0.0.1:{sensor.ports['udp']}", *options], tmp_path)
    assert re.search(r"180 <-+ +1 ", shown), shown[-3000:]
    sensor.stop()
    octets = Counter({each.direction: 0 for each in recorded(sensor.folder)})
    for each in recorded(sensor.folder):
        octets[each.direction] += len(each.raw)
    assert octets["out"] <= octets["in"]


def test_nmap_names_the_product(start, peer: Peer, tmp_path: Path) -> None:
    """On port 5060, where nmap asks in SIP first, at an address of this test's own."""
    nmap, address = peer("nmap"), f"127.77.{os.getpid() % 250}.{os.getpid() // 250 % 250 + 1}"
    start("asterisk", listen=(f"tcp:{address}:5060",))
    shown = run([nmap, "-Pn", "-n", "-sV", "-p", "5060", address], tmp_path, 100)
    version = load_persona("asterisk", seed=SEED).facts["version"]
    assert re.search(rf"^5060/tcp +open +sip.*{re.escape(version)}", shown, re.MULTILINE), shown
