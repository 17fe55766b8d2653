"""Worker processes: one sensor, one spool, one order, whoever answers."""

import os
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from relaytrap.errors import ConfigError
from relaytrap.sensor.run import Sensor
from relaytrap.sensor.worker import LENGTH, _receive, _send
from tests.sensor.live import SensorProcess, received, recorded, settings
from tests.sensor.talk import request


def asked(port: int, count: int) -> Counter[bytes]:
    """Ask from so many addresses, each once; what was sent."""
    sent: Counter[bytes] = Counter()
    for number in range(count):
        data = request(branch=f"z9hG4bK-{number}", call_id=f"call-{number}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"127.2.{number}.1", 0))
            sock.settimeout(20)
            sock.sendto(data, ("127.0.0.1", port))
            assert sock.recv(65535).startswith(b"SIP/2.0 200")
        sent[data] += 1
    return sent


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.fixture
def sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SensorProcess:
    monkeypatch.setenv("RELAYTRAP_SENSOR_WORKERS", "2")
    return SensorProcess(tmp_path, "--flush", "0.1")


def test_what_workers_hear_and_say_stands_in_one_spool(sensor: SensorProcess, tmp_path: Path) -> None:
    with sensor:
        assert len(children(sensor.process.pid)) == 2
        sent = asked(sensor.ports["udp"], 40)
        with socket.create_connection(("127.0.0.1", sensor.ports["tcp"]), 10) as sock:
            sock.sendall(request())
            assert sock.recv(65535).startswith(b"SIP/2.0 200")
        assert sensor.stop() == 0
    assert Counter(each.raw for each in received(tmp_path)) == sent + Counter([request()])
    assert Counter(each.direction for each in recorded(tmp_path)) == {"in": 41, "out": 41}
    assert {each.sensor for each in recorded(tmp_path)} == {"t"}


def test_worker_that_dies_ends_the_sensor_and_nothing_handed_over_is_lost(
    sensor: SensorProcess, tmp_path: Path
) -> None:
    with sensor:
        sent = asked(sensor.ports["udp"], 10)
        sensor.wait_until_recorded(10)
        os.kill(children(sensor.process.pid)[0], signal.SIGKILL)
        assert sensor.process.wait(20) == 13
        assert "a worker process of the sensor ended" in sensor.process.communicate()[1]
    assert Counter(each.raw for each in received(tmp_path)) == sent


def test_workers_end_with_a_sensor_that_was_killed(sensor: SensorProcess) -> None:
    with sensor:
        workers = children(sensor.process.pid)
        sensor.process.kill()
        sensor.process.wait(20)
        end = time.monotonic() + 20
        while any(Path(f"/proc/{worker}/cmdline").exists() and is_running(worker) for worker in workers):
            assert time.monotonic() < end
            time.sleep(0.05)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [0, 65])
def test_number_of_workers_that_makes_no_sense_is_said(tmp_path: Path, workers: int) -> None:
    with pytest.raises(ConfigError, match="none of 1 to 64"):
        Sensor(settings(workers=workers), tmp_path)


def test_report_arrives_whole_over_a_socket_that_a_loop_made_one_that_never_waits() -> None:
    ours, theirs = socket.socketpair()
    report, got = bytes(range(256)) * 8192, bytearray()
    reading = threading.Thread(target=lambda: got.extend(_receive(theirs, LENGTH.size + len(report))))
    with ours, theirs:
        ours.setblocking(False)
        reading.start()
        _send(ours, report)
        reading.join()
    assert bytes(got) == LENGTH.pack(len(report)) + report
