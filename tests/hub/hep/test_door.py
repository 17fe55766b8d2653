"""The door with real sockets: UDP, TCP, TLS, and what strangers send."""

import gc
import socket
import ssl
import struct
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from relaytrap.config import Config, HubConfig
from relaytrap.errors import ConfigError, ListenError
from relaytrap.hub.certificate import CERTIFICATE
from relaytrap.hub.hep import HepDoor, streams
from relaytrap.hub.hep.places import parse_places
from relaytrap.hub.hep.reception import NOT_HEP
from relaytrap.hub.hep.streams import CUT_CONNECTION, NO_TLS
from tests.hub.hep.packets import Kept, hep
from tests.hub.traffic import request

ALL = ("udp:127.0.0.1:0", "tcp:127.0.0.1:0")


@contextmanager
def open_door(folder: Path, kept: Kept, *places: str, **settings: str) -> Iterator[HepDoor]:
    door = HepDoor(Config(folder, hub=HubConfig(hep_listen=places or ALL, **settings)), kept.take)
    door.start()
    try:
        yield door
    finally:
        door.close()


def where(door: HepDoor, transport: str) -> tuple[str, int]:
    listening = next(each.listening for each in door.status().places if each.listening.startswith(transport))
    host, _, port = listening.partition(":")[2].rpartition(":")
    return host.strip("[]"), int(port)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def packets_of(door: HepDoor) -> int:
    return sum(place.packets for place in door.status().places)


def refused_of(door: HepDoor) -> dict[str, int]:
    return {reason: count for place in door.status().places for reason, count in place.refused.items()}


def test_udp_and_tcp_bring_the_same_messages(tmp_path: Path) -> None:
    kept = Kept()
    with open_door(tmp_path, kept) as door:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(hep(number=1), where(door, "udp"))
        with socket.create_connection(where(door, "tcp")) as tcp:
            tcp.sendall(hep(number=2) + hep(number=3))
            until(lambda: packets_of(door) == 3)
    assert sorted(kept.raws()) == sorted(request(number) for number in (1, 2, 3))


def test_stream_may_be_cut_anywhere(tmp_path: Path) -> None:
    kept = Kept()
    stream = b"".join(hep(number=number) for number in range(5))
    with open_door(tmp_path, kept, "tcp:127.0.0.1:0") as door, socket.create_connection(where(door, "tcp")) as tcp:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(stream), 97):
            tcp.sendall(stream[at : at + 97])
        until(lambda: packets_of(door) == 5)
    assert kept.raws() == [request(number) for number in range(5)]


def test_ipv6(tmp_path: Path) -> None:
    kept = Kept()
    with open_door(tmp_path, kept, "udp:[::1]:0") as door:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
            udp.sendto(hep(), where(door, "udp"))
        until(lambda: packets_of(door) == 1)
    assert kept.raws() == [request(0)]


def test_tls_shows_the_hub_s_certificate(tmp_path: Path) -> None:
    kept = Kept()
    with open_door(tmp_path, kept, "tls:127.0.0.1:0") as door:
        client = ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))
        client.check_hostname = False
        with socket.create_connection(where(door, "tls")) as plain, client.wrap_socket(plain) as tls:
            tls.sendall(hep(number=1) + hep(number=2))
            until(lambda: packets_of(door) == 2)
        with socket.create_connection(where(door, "tls")) as plain:  # does not speak TLS: costs nobody else anything
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            until(lambda: refused_of(door) == {NO_TLS: 1})
        with socket.create_connection(where(door, "tls")) as plain, client.wrap_socket(plain) as tls:
            tls.sendall(hep(number=3))
            until(lambda: packets_of(door) == 3)
    assert kept.raws() == [request(number) for number in (1, 2, 3)]


def handshakes_in_memory() -> int:
    return sum(isinstance(each, SSLProtocol) for each in gc.get_objects())


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\xff\xff" + bytes(40), b"\x16\x03\x01", b""], ids=("bad", "cut", "none")
)
def test_handshake_that_fails_leaves_nothing_in_memory_for_the_garbage_collector(tmp_path: Path, said: bytes) -> None:
    with open_door(tmp_path, Kept(), "tls:127.0.0.1:0") as door:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with socket.create_connection(where(door, "tls")) as plain:
                    plain.sendall(said)
            until(lambda: refused_of(door) == {NO_TLS: 3})
            until(lambda: handshakes_in_memory() == 0)
        finally:
            gc.enable()


@pytest.mark.parametrize(
    "junk",
    [b"GET / HTTP/1.1\r\n\r\n", b"HEP3\x00\x01more", bytes(100), b"HEQ"],
    ids=("http", "short", "zeros", "magic"),
)
def test_stream_that_is_no_hep_is_closed_and_counted(tmp_path: Path, junk: bytes) -> None:
    with open_door(tmp_path, Kept(), "tcp:127.0.0.1:0") as door:
        with socket.create_connection(where(door, "tcp"), timeout=20) as tcp:
            tcp.sendall(junk)
            try:
                assert tcp.recv(1) == b""
            except ConnectionResetError:
                pass
        assert refused_of(door) == {NOT_HEP: 1}


def test_packet_before_the_junk_is_kept(tmp_path: Path) -> None:
    kept = Kept()
    with (
        open_door(tmp_path, kept, "tcp:127.0.0.1:0") as door,
        socket.create_connection(where(door, "tcp"), timeout=20) as tcp,
    ):
        tcp.sendall(hep() + b"garbage")
        until(lambda: refused_of(door) == {NOT_HEP: 1})
    assert kept.raws() == [request(0)]


def test_connection_that_ends_within_a_packet_is_counted(tmp_path: Path) -> None:
    with open_door(tmp_path, Kept(), "tcp:127.0.0.1:0") as door:
        with socket.create_connection(where(door, "tcp")) as tcp:
            tcp.sendall(hep()[:40])
        until(lambda: refused_of(door) == {CUT_CONNECTION: 1})


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_silent_connections_make_room_for_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(streams, "CONNECTIONS_MAX", 3)
    kept = Kept()
    with open_door(tmp_path, kept, f"{transport}:127.0.0.1:0") as door, ExitStack() as opened:

        def connect() -> socket.socket:
            plain = opened.enter_context(socket.create_connection(where(door, transport), timeout=20))
            if transport == "tcp":
                return plain
            client = ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))
            client.check_hostname = False
            return opened.enter_context(client.wrap_socket(plain))

        silent = [connect() for _ in range(3)]
        until(lambda: door.status().places[0].connections == 3)
        connect().sendall(hep())
        until(lambda: packets_of(door) == 1)
        assert door.status().places[0].connections == 3
        with suppress(ConnectionResetError, ssl.SSLEOFError):
            assert silent[0].recv(1) == b""
    assert kept.raws() == [request(0)]


def test_sender_over_tcp_waits_while_the_store_takes_nothing(tmp_path: Path) -> None:
    from relaytrap.hub.hep import waiting

    kept = Kept()
    door = HepDoor(Config(tmp_path, hub=HubConfig(hep_listen=("tcp:127.0.0.1:0",))), kept.take)
    door._waiting = waiting.Waiting(kept.take, on_room=door._on_room, bytes_max=20_000)
    room = door._waiting
    door.start()
    try:
        with socket.create_connection(where(door, "tcp"), timeout=20) as tcp:
            for number in range(500):
                tcp.sendall(hep(number=number))
            until(lambda: packets_of(door) == 500)
            assert room.size_bytes < 22_000
    finally:
        door.close()
    assert kept.raws() == [request(number) for number in range(500)]
    assert room.lost == 0


def test_agents_and_their_rate_are_told(tmp_path: Path) -> None:
    with open_door(tmp_path, Kept(), "udp:127.0.0.1:0") as door:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for number in range(4):
                udp.sendto(hep(number=number, node=b"edge"), where(door, "udp"))
        until(lambda: packets_of(door) == 4)
        agent = door.status().agents["hep-edge"]
        assert (agent.messages, agent.a_minute) == (4, 4)


def test_datagrams_that_found_no_room_are_counted(tmp_path: Path) -> None:
    door = HepDoor(Config(tmp_path, hub=HubConfig(hep_listen=("udp:127.0.0.1:0",))), Kept().take)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        door._sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for number in range(200):  # nobody reads yet
            udp.sendto(hep(number=number), where(door, "udp"))
    door._udp[0].count_drops()
    (drops,) = refused_of(door).values()
    door.close()
    assert 100 < drops < 200


@pytest.mark.parametrize(
    "place", ["9060", "udp:9060", "udp:nowhere:9060", "sctp:127.0.0.1:9060", "udp:127.0.0.1:99999"]
)
def test_place_that_is_none_is_one_sentence(place: str) -> None:
    with pytest.raises(ConfigError, match=r"hub\.hep_listen: "):
        parse_places((place,))


def test_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match="another program has that port"):
            HepDoor(Config(tmp_path, hub=HubConfig(hep_listen=(place,))), Kept().take)


def test_tls_without_a_usable_certificate_is_one_sentence(tmp_path: Path) -> None:
    settings = HubConfig(hep_listen=("tls:127.0.0.1:0",), uplink_certificate=str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match=r"hub\.uplink_certificate"):
        HepDoor(Config(tmp_path, hub=settings), Kept().take)


def test_what_the_kernel_had_taken_in_is_stored_when_it_ends(tmp_path: Path) -> None:
    kept = Kept()
    with open_door(tmp_path, kept, "udp:127.0.0.1:0") as door, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for number in range(150):
            udp.sendto(hep(number=number), where(door, "udp"))
    assert kept.raws() == [request(number) for number in range(150)]


def test_packet_of_the_largest_size_is_taken(tmp_path: Path) -> None:
    kept = Kept()
    padding = 65_535 - len(hep(request(0) + b"x"))
    with (
        open_door(tmp_path, kept, "tcp:127.0.0.1:0") as door,
        socket.create_connection(where(door, "tcp")) as tcp,
    ):
        packet = hep(request(0) + b"x" * (padding + 1))
        assert struct.unpack(">H", packet[4:6]) == (65_535,)
        tcp.sendall(packet)
        until(lambda: packets_of(door) == 1)
    assert len(kept.raws()[0]) > 65_000
