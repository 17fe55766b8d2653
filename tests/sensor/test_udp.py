"""Datagrams over real sockets."""

import re
import socket
import time
from pathlib import Path

import pytest

from relaytrap.sensor.run import Running
from relaytrap.sip import parse_message
from tests.sensor.live import SensorProcess, port_of, received, recorded, udp_client, with_sensor
from tests.sensor.talk import invite, request

ANY_V4 = ("udp:0.0.0.0:0",)
ANY_V6 = ("udp:[::]:0",)


def ask(address: str, port: int, data: bytes, source: str = "127.0.0.1") -> tuple[bytes, str]:
    """The answer to a datagram, and the address that it came from."""
    with udp_client(source) as sock:
        sock.sendto(data, (address, port))
        answer, where = sock.recvfrom(65535)
        return answer, where[0]


def test_request_is_answered_and_both_are_recorded_byte_for_byte(tmp_path: Path) -> None:
    answer, _ = with_sensor(tmp_path, lambda running: ask("127.0.0.1", port_of(running, "udp"), request()))
    asked, answered = recorded(tmp_path)
    assert (asked.raw, answered.raw) == (request(), answer)
    assert (asked.direction, answered.direction) == ("in", "out")
    assert asked.source == answered.source == "127.0.0.1"
    assert asked.source_port == answered.source_port
    assert asked.received_at_ns < answered.received_at_ns
    assert parse_message(answer).status_code == 200


def test_wildcard_socket_answers_from_the_address_that_was_asked_and_records_it(tmp_path: Path) -> None:
    def client(running: Running) -> list[str]:
        port = port_of(running, "udp")
        return [ask(address, port, request(branch=address))[1] for address in ("127.0.0.1", "127.0.0.77", "127.1.2.3")]

    assert with_sensor(tmp_path, client, listen=ANY_V4) == ["127.0.0.1", "127.0.0.77", "127.1.2.3"]
    assert [each.local for each in received(tmp_path)] == ["127.0.0.1", "127.0.0.77", "127.1.2.3"]


def test_ipv6_wildcard_socket_likewise(tmp_path: Path) -> None:
    answer, came_from = with_sensor(
        tmp_path, lambda running: ask("::1", port_of(running, "udp"), request(), "::1"), listen=ANY_V6
    )
    assert came_from == "::1"
    assert b"received=::1" in answer
    assert [(each.source, each.local) for each in received(tmp_path)] == [("::1", "::1")]


@pytest.mark.parametrize("data", [b"", b"\x00", b"\r\n\r\n", b"x" * 60_000, bytes(range(256))])
def test_anything_that_comes_is_recorded(tmp_path: Path, data: bytes) -> None:
    def client(running: Running) -> None:
        with udp_client() as sock:
            sock.sendto(data, ("127.0.0.1", port_of(running, "udp")))
            ask("127.0.0.1", port_of(running, "udp"), request())

    with_sensor(tmp_path, client)
    assert [each.raw for each in received(tmp_path)] == [data, request()]


def test_late_answers_leave_by_the_socket_and_address_that_was_asked(tmp_path: Path) -> None:
    def client(running: Running) -> str:
        return ask("127.0.0.9", port_of(running, "udp"), request(extra=("Subject: " + "x" * 300,)))[1]

    assert with_sensor(tmp_path, client, listen=ANY_V4, persona="cisco") == "127.0.0.9"


def test_thousands_in_a_burst_are_all_recorded_and_answered(tmp_path: Path) -> None:
    count = 3000

    def client(running: Running) -> int:
        with udp_client() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            for number in range(count):
                sock.sendto(request(branch=f"z9hG4bK-{number}"), ("127.0.0.1", port_of(running, "udp")))
                if number % 100 == 99:
                    time.sleep(0.01)
            return sum(bool(sock.recv(65535)) for _ in range(count))

    budgets = {"source_bytes_per_s": 10_000_000, "total_bytes_per_s": 10_000_000}
    assert with_sensor(tmp_path, client, **budgets) == count
    assert len(received(tmp_path)) == count


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here to tell the memory of a process")
def test_messages_that_are_kept_do_not_keep_the_room_of_the_largest_datagram(tmp_path: Path) -> None:
    large = request(extra=("X: " + "y" * 60_000,))

    def memory(sensor: SensorProcess) -> int:
        status = Path(f"/proc/{sensor.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) >> 10

    with SensorProcess(tmp_path, "--persona", "cisco", listen=("udp:127.0.0.1:0",)) as sensor:
        before = memory(sensor)
        for number in range(1000):
            with udp_client(f"127.1.{number >> 8}.{number & 255 or 1}") as sock:
                for data in (invite(branch=f"z9hG4bK-{number}", call_id=f"{number}"), large):
                    sock.sendto(data, ("127.0.0.1", sensor.ports["udp"]))
            if number % 10 == 9:
                time.sleep(0.01)
        assert memory(sensor) - before < 28  # 17 for the calls that ring; 42 where each holds what a datagram may take
