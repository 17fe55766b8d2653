"""The process: starts, says where it listens, dies and leaves a readable record."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from relaytrap.errors import ConfigError, DiskError, ListenError
from relaytrap.sensor.run import Sensor
from tests.sensor.live import SensorProcess, received, recorded, settings, udp_client
from tests.sensor.talk import request


def send(port: int, count: int, start: int = 0) -> list[bytes]:
    sent = [request(branch=f"z9hG4bK-{number}") for number in range(start, start + count)]
    with udp_client() as sock:
        for data in sent:
            sock.sendto(data, ("127.0.0.1", port))
    return sent


def test_a_password_in_the_hubs_address_is_not_said(tmp_path: Path) -> None:
    with SensorProcess(tmp_path, "--hub", "http://me:secret@127.0.0.1:9/traps", "--token", "t") as sensor:
        assert sensor.line.endswith(", ships to http://127.0.0.1:9/traps\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_it_with_everything_flushed_and_closed(tmp_path: Path, number: int) -> None:
    with SensorProcess(tmp_path, "--flush", "3600") as sensor:
        assert re.match(
            r"sensor t plays asterisk, listens on udp:\S+:\d+, tcp:\S+:\d+, records in \S+, ships to no hub$",
            sensor.line,
        )
        sent = send(sensor.ports["udp"], 20)
        with udp_client() as sock:  # answered: so everything before it was taken in
            sock.sendto(request(branch="z9hG4bK-last"), ("127.0.0.1", sensor.ports["udp"]))
            sock.recv(65535)
        assert sensor.stop(number) == 0
    assert [each.raw for each in received(tmp_path)][:20] == sent
    assert not list(tmp_path.rglob("*.open"))


def test_kill_leaves_everything_older_than_the_flush_interval_readable(tmp_path: Path, peer) -> None:
    tshark = peer("tshark")
    with SensorProcess(tmp_path, "--flush", "0.1") as sensor:
        sent = send(sensor.ports["udp"], 50)
        sensor.wait_until_recorded(50)
        send(sensor.ports["udp"], 50, start=50)
        sensor.stop(signal.SIGKILL)
    found = received(tmp_path)
    assert [each.raw for each in found][:50] == sent
    with SensorProcess(tmp_path) as again:
        send(again.ports["udp"], 1, start=1000)
        again.wait_until_recorded(len(found) + 1)
    files = sorted(tmp_path.rglob("*.pcapng"))
    assert len(files) >= 2
    assert not list(tmp_path.rglob("*.open"))
    decoded = 0
    for path in files:
        shown = subprocess.run(
            [tshark, "-r", path, "-Y", "sip.CSeq && !_ws.malformed", "-T", "fields", "-e", "sip.Call-ID"],
            capture_output=True,
            text=True,
            check=True,
        )
        decoded += len(shown.stdout.split())
    assert decoded == len(recorded(tmp_path))


def test_every_message_is_on_disk_before_its_answer_when_asked_for(tmp_path: Path) -> None:
    with SensorProcess(tmp_path, "--flush", "0") as sensor, udp_client() as sock:
        for number in range(20):
            sock.sendto(request(branch=f"z9hG4bK-{number}"), ("127.0.0.1", sensor.ports["udp"]))
            sock.recv(65535)
            assert len(received(tmp_path)) == number + 1
        sensor.stop(signal.SIGKILL)
    assert len(received(tmp_path)) == 20


def test_port_that_is_taken_ends_in_one_sentence(tmp_path: Path) -> None:
    with SensorProcess(tmp_path / "a") as sensor:
        taken = f"udp:127.0.0.1:{sensor.ports['udp']}"
        with pytest.raises(
            AssertionError, match=r"relaytrap: udp:127.0.0.1:\d+: the port is taken by .* \(process \d+\)"
        ):
            SensorProcess(tmp_path / "b", listen=(taken,))


def test_spool_of_another_process_ends_in_one_sentence(tmp_path: Path) -> None:
    with SensorProcess(tmp_path), pytest.raises(AssertionError, match="another sensor process writes this spool"):
        SensorProcess(tmp_path)


def test_listening_fails_before_anything_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(ListenError):
        Sensor(settings(listen=("udp:127.0.0.1:0", "udp:192.0.2.1:0")), tmp_path)
    with pytest.raises(ConfigError, match=r"sensor.name: '\.\./x' will not do"):
        Sensor(settings(name="../x"), tmp_path)
    with pytest.raises(ConfigError, match="would show the token"):
        Sensor(settings(hub_url="http://hub.example"), tmp_path)


def test_seed_is_made_once_and_kept_private(tmp_path: Path) -> None:
    for _ in range(2):
        Sensor(settings(seed=""), tmp_path).close()
    path = tmp_path / "sensor.seed"
    seed = path.read_text(encoding="ascii")
    assert re.fullmatch(r"[0-9a-f]{32}\n", seed)
    assert path.stat().st_mode & 0o777 == 0o600
    Sensor(settings(seed=""), tmp_path).close()
    assert path.read_text(encoding="ascii") == seed


def test_data_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DiskError, match="cannot be"):
        Sensor(settings(seed=""), tmp_path / "file")


def test_status_tells_what_happened_as_json(tmp_path: Path) -> None:
    sensor = Sensor(settings(), tmp_path)
    said = json.loads(json.dumps(sensor.status()))
    sensor.close()
    assert (said["sensor"], said["persona"], said["last_message"]) == ("t", "asterisk", None)
    assert said["spool"]["lost_observations"] == 0
    assert len(said["listen"]) == 2


def test_idle_sensor_is_small_and_quiet(tmp_path: Path) -> None:
    with SensorProcess(tmp_path) as sensor:
        pid = sensor.process.pid
        time.sleep(0.5)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        before = _cpu_ticks(pid)
        time.sleep(2)
        used = (_cpu_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
        assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 60 * 1024
        assert used < 0.2


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
