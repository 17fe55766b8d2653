"""Connections over real sockets."""

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from relaytrap.observation import Observation
from relaytrap.sensor import front
from relaytrap.sensor import tcp as tcp_module
from relaytrap.sensor.run import Running
from relaytrap.sensor.station import Station
from relaytrap.sensor.tcp import Connections, TcpConnection
from relaytrap.sip import parse_message
from tests.sensor.live import port_of, received, recorded, with_sensor
from tests.sensor.talk import Talk, invite, request
from tests.sensor.test_web import HANDSHAKE


def connect(running: Running) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port_of(running, "tcp")), 10)
    sock.settimeout(10)
    return sock


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side ended it (waits for that)."""
    try:
        return sock.recv(65535) == b""
    except ConnectionResetError:
        return True


def test_messages_of_one_segment_are_told_apart_recorded_and_answered(tmp_path: Path) -> None:
    first, second = request(branch="z9hG4bK-1"), request("REGISTER", branch="z9hG4bK-2", user="90001")

    def client(running: Running) -> bytes:
        with connect(running) as sock:
            sock.sendall(first + second)
            data = b""
            while data.count(b"\r\n\r\n") < 2:
                data += sock.recv(65535)
            return data

    answers = with_sensor(tmp_path, client)
    assert [each.raw for each in received(tmp_path)] == [first, second]
    assert b"".join(each.raw for each in recorded(tmp_path) if each.direction == "out") == answers
    assert parse_message(answers).status_code == 200


def test_message_cut_into_octets_is_one_message(tmp_path: Path) -> None:
    def client(running: Running) -> None:
        with connect(running) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in request():
                sock.sendall(bytes([octet]))
            sock.recv(65535)

    with_sensor(tmp_path, client)
    assert [each.raw for each in received(tmp_path)] == [request()]


def test_call_rings_and_is_answered_over_a_connection(tmp_path: Path) -> None:
    def client(running: Running) -> list[int]:
        with connect(running) as sock:
            sock.sendall(invite())
            sock.settimeout(20)
            data = b""
            while b"m=audio" not in data:
                data += sock.recv(65535)
            return [int(part[:3]) for part in data.split(b"SIP/2.0 ")[1:] if part[:3].isdigit()]

    persona = tmp_path / "quick.toml"
    text = Path(tcp_module.__file__).with_name("personas").joinpath("cisco.toml").read_text(encoding="utf-8")
    persona.write_text(text.replace("[4.0, 12.0]", "[0.2, 0.3]").replace("[0.4, 2.5]", "[0.1, 0.2]"), encoding="utf-8")
    assert with_sensor(tmp_path, client, persona=str(persona)) == [100, 180, 200]


def test_junk_is_recorded_with_a_note_and_not_answered(tmp_path: Path) -> None:
    def client(running: Running) -> None:
        with connect(running) as sock:
            sock.sendall(b"HELO there\r\n\r\n" + request())
            assert sock.recv(65535).startswith(b"SIP/2.0 200")

    with_sensor(tmp_path, client)
    found = received(tmp_path)
    assert b"".join(each.raw for each in found) == b"HELO there\r\n\r\n" + request()
    assert any("no SIP message" in each.notes for each in found)


def test_message_that_was_never_finished_is_recorded_with_a_note(tmp_path: Path) -> None:
    def client(running: Running) -> None:
        with connect(running) as sock:
            sock.sendall(request()[:200])
        with connect(running) as sock:
            sock.sendall(request())
            sock.recv(65535)

    with_sensor(tmp_path, client)
    cut = next(each for each in received(tmp_path) if each.raw == request()[:200])
    assert "cut" in cut.notes


def test_kamailio_answers_a_keepalive_and_asterisk_does_not(tmp_path: Path) -> None:
    def client(running: Running) -> bytes:
        with connect(running) as sock:
            sock.sendall(b"\r\n\r\n")
            sock.sendall(request())
            return sock.recv(65535)[:2]

    assert with_sensor(tmp_path / "k", client, persona="kamailio") == b"\r\n"
    assert with_sensor(tmp_path / "a", client, persona="asterisk") == b"SI"
    assert b"\r\n\r\n" in [each.raw for each in received(tmp_path / "a")]


def test_longest_idle_connection_makes_room(tmp_path: Path) -> None:
    def client(running: Running) -> tuple[bool, bytes]:
        with connect(running) as first, connect(running) as second:
            for sock in (second, first):  # first is now the one heard last
                sock.sendall(request())
                sock.recv(65535)
            with connect(running) as third:
                closed = is_closed(second)
                third.sendall(request())
                third.recv(65535)
                first.sendall(request(branch="z9hG4bK-2"))
                return closed, first.recv(65535)[:7]

    assert with_sensor(tmp_path, client, tcp_connections_max=2) == (True, b"SIP/2.0")


def test_connections_leave_the_process_files_to_write(tmp_path: Path, monkeypatch) -> None:
    """Else strangers who connect often enough keep the spool from opening its next segment."""
    monkeypatch.setattr(front, "allow_open_files", lambda _wanted: 20)

    def client(running: Running) -> bool:
        socks = [connect(running) for _ in range(11)]
        closed = is_closed(socks[0])
        for sock in socks:
            sock.close()
        return closed

    assert with_sensor(tmp_path, client)


def test_connection_that_says_nothing_is_closed(tmp_path: Path) -> None:
    def client(running: Running) -> bool:
        with connect(running) as sock:
            return is_closed(sock)

    assert with_sensor(tmp_path, client, tcp_idle_s=0.2)


def test_message_that_trickles_is_cut_off_and_kept(tmp_path: Path) -> None:
    """Slow loris: each octet is fresh, the message never ends."""

    def client(running: Running) -> bool:
        with connect(running) as sock:
            for _ in range(200):
                try:
                    sock.sendall(b"OPTIONS sip:a SIP/2.0\r\n"[:1])
                except OSError:
                    return True
                time.sleep(0.05)
            return False

    assert with_sensor(tmp_path, client, tcp_idle_s=0.3)
    assert received(tmp_path)[0].raw.startswith(b"OOO")


def test_peer_that_fetches_nothing_is_let_go(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tcp_module, "UNFETCHED_MAX_BYTES", 20_000)

    def client(running: Running) -> bool:
        with connect(running) as sock:
            number = 0
            try:
                while number < 100_000:
                    number += 1
                    sock.sendall(request(branch=f"z9hG4bK-{number}"))
            except ConnectionError:  # and no timeout: then the sensor only waited, too
                return True
            return False

    assert with_sensor(tmp_path, client, source_bytes_per_s=10**9, total_bytes_per_s=10**9)


def test_unfinished_messages_together_are_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tcp_module, "PENDING_MAX_BYTES", 50_000)
    head = request().replace(b"Content-Length: 0", b"Content-Length: 60000")

    def client(running: Running) -> list[bool]:
        socks = [connect(running) for _ in range(3)]
        for sock in socks:
            sock.sendall(head + b"x" * 20_000)
        first_closed = _any(socks, lambda sock: is_closed(sock))
        for sock in socks:
            sock.close()
        return first_closed

    assert any(with_sensor(tmp_path, client))


def _any(socks: list[socket.socket], check: Callable[[socket.socket], bool]) -> list[bool]:
    results = []
    for sock in socks:
        sock.settimeout(1)
        try:
            results.append(check(sock))
        except TimeoutError:
            results.append(False)
    return results


class DeafPeer(asyncio.Transport):
    """A peer's end that reads nothing."""

    def __init__(self) -> None:
        super().__init__({"peername": ("198.51.100.7", 5060), "sockname": ("203.0.113.9", 5060)})
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


class Notebook:
    """A recorder that keeps what it is given."""

    def __init__(self) -> None:
        self.kept: list[Observation] = []

    def write(self, observation: Observation, now: float) -> bool:
        self.kept.append(observation)
        return True


def made_connections(persona: str = "kamailio") -> tuple[Connections, Notebook]:
    notebook = Notebook()
    station = Station("t", Talk(persona).engine, notebook)
    more = {"connections_max": 100, "idle_s": 60.0, "tls": None, "web_ports": (), "on_received": lambda: None}
    return Connections(station, **more), notebook


def connected(connections: Connections) -> tuple[TcpConnection, DeafPeer]:
    connection, peer = connections.make(), DeafPeer()
    connection.connection_made(peer)
    return connection, peer


def client_frame(opcode: int, data: bytes) -> bytes:
    """A whole WebSocket frame, masked with zeros."""
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + data


@pytest.mark.parametrize("ping", [b"\r\n\r\n", client_frame(9, b"x" * 100)], ids=["keep-alive", "WebSocket ping"])
def test_peer_that_pings_and_fetches_nothing_is_let_go(monkeypatch, ping: bytes) -> None:
    monkeypatch.setattr(tcp_module, "UNFETCHED_MAX_BYTES", 2000)
    connections, _ = made_connections()
    connection, peer = connected(connections)
    if ping[:1] != b"\r":
        connection.data_received(HANDSHAKE)
    for _ in range(2000):
        connection.data_received(ping)
    assert peer.is_closed
    assert peer.get_write_buffer_size() < 2500


def test_what_all_peers_leave_unfetched_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(tcp_module, "UNFETCHED_TOTAL_BYTES", 5000)
    connections, _ = made_connections()
    peers = []
    for size in (1000, 2000, 3000, 500):
        connection, peer = connections.make(), DeafPeer()
        peer._extra["peername"] = ("198.51.100.7", size)
        connection.connection_made(peer)
        peer.write(b"x" * size)
        peers.append(peer)
    connections.sweep(0.0)
    assert [peer.is_closed for peer in peers] == [False, False, True, False]


def test_answer_that_never_left_is_not_recorded_as_sent() -> None:
    connections, notebook = made_connections()
    connection, peer = connected(connections)
    connection.data_received(HANDSHAKE)
    connection.data_received(client_frame(1, request()) + client_frame(8, b"\x03\xe8"))
    assert not any(b"SIP/2.0 200" in data for data in peer.written)
    assert [each.raw for each in notebook.kept if each.direction == "out" and each.raw[:3] == b"SIP"] == []
    assert request() in [each.raw for each in notebook.kept]


def test_fault_in_reading_costs_one_connection_and_no_octet(monkeypatch, caplog) -> None:
    connections, notebook = made_connections()
    connection, peer = connected(connections)
    monkeypatch.setattr(connection._layers, "receive", lambda _data: [][0])
    connection.data_received(b"what nobody thought of")
    assert peer.is_closed
    assert len(connections) == 0
    assert notebook.kept[0].raw == b"what nobody thought of"
    assert "fault" in caplog.text
