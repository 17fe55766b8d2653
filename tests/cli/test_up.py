"""`relaytrap up`: where it may listen, and what it says of that."""

import shlex
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from relaytrap.cli.up import first_request, free_places, tell
from relaytrap.config import SensorConfig
from relaytrap.errors import ConfigError
from relaytrap.sip import Request, parse_message

from .conftest import Run


@pytest.mark.parametrize("place", ["udp:127.0.0.1", "foo", "udp:[::1]:x", "tcp:nonsense", "udp::5060"])
def test_place_that_is_none_is_one_sentence(place: str) -> None:
    with pytest.raises(ConfigError, match="no place to listen"):
        free_places((place,))


def test_port_that_is_taken_is_replaced_for_every_transport_of_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.44.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        places = free_places((f"udp:127.0.44.1:{port}", f"tcp:127.0.44.1:{port}"))
    ports = {int(place.rpartition(":")[2]) for place in places}
    assert len(ports) == 1
    assert min(ports) > port


def told(capsys: pytest.CaptureFixture[str], places: tuple[str, ...], doors: object = None) -> dict[str, str]:
    """What it says: first word of a line → the rest."""
    config = SimpleNamespace(sensor=SensorConfig(listen_only="" if places else "eth0", listen_only_ports=(5060, 5061)))
    tell(SimpleNamespace(config=config, doors=doors), "http://127.0.0.1:8060", places)
    return {line.split()[0]: line[12:] for line in capsys.readouterr().out.splitlines() if line}


def test_it_says_what_to_open_and_what_to_try(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, ("udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"))
    assert list(said) == ["Open", "Sensor", "Try", "Stop"]
    assert said["Open"] == "http://127.0.0.1:8060"
    assert said["Sensor"] == "udp:127.0.0.1:5070, tcp:127.0.0.1:5070"
    assert "5070" in said["Try"]


def test_a_sensor_that_reads_along_is_not_said_to_listen(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, ())
    assert said["Sensor"] == "reads eth0 (ports 5060, 5061), answers nobody"
    assert "Try" not in said


def test_it_says_where_other_sensors_and_capture_agents_reach_it(capsys: pytest.CaptureFixture[str]) -> None:
    listening = [SimpleNamespace(listening=place) for place in ("udp:127.0.0.1:9060", "tls:127.0.0.1:9061")]
    hep = SimpleNamespace(status=lambda: SimpleNamespace(places=listening))
    said = told(capsys, ("udp:127.0.0.1:5060",), SimpleNamespace(uplink_url="https://192.0.2.1:8061", hep=hep))
    assert said["Sensors"] == "https://192.0.2.1:8061"
    assert said["HEP"] == "udp:127.0.0.1:9060, tls:127.0.0.1:9061"


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.44.2"), (socket.AF_INET6, "::1")])
def test_a_first_request_without_any_tool_is_one_datagram_and_shows_the_answer(
    monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, host: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with socket.socket(family, socket.SOCK_DGRAM) as sensor:
        sensor.bind((host, 0))
        sensor.settimeout(10)
        where = f"[{host}]" if ":" in host else host
        line = first_request(f"{where}:{sensor.getsockname()[1]}")
        with subprocess.Popen(shlex.split(line), stdout=subprocess.PIPE) as asking:
            data, client = sensor.recvfrom(65535)
            sensor.sendto(b"SIP/2.0 200 OK", client)
            shown, _ = asking.communicate(timeout=10)
    message = parse_message(data)
    assert isinstance(message, Request)
    assert message.anomalies == ()
    assert shown.strip() == b"SIP/2.0 200 OK"


@pytest.mark.parametrize("page", ["foo", "0.0.0.0:8060", "192.0.2.1:80"])
def test_page_that_cannot_be_is_one_sentence_before_anything_starts(page: str, tmp_path: Path, run: Run) -> None:
    shown = run("--data", tmp_path / "data", "up", "--page", page)
    assert (shown.status, shown.out) == (3, "")
    assert shown.err.startswith("relaytrap: web.listen: ")
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("page", ["::1:0", "[::1]:0", "localhost:0"])
def test_page_is_taken_as_the_hub_takes_it(page: str, tmp_path: Path, run: Run) -> None:
    shown = run("--data", tmp_path / "data", "up", "--page", page, "--listen", "foo")
    assert shown.err.startswith("relaytrap: sensor.listen: ")  # which is looked at next
