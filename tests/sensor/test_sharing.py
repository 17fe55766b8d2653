"""Ports shared by workers: all that one address sends goes to one of them."""

import socket
from collections import defaultdict
from contextlib import suppress

import pytest

from relaytrap.errors import ListenError
from relaytrap.sensor.listen import Listen, bind
from relaytrap.sensor.sharing import bind_shared


def close(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


def test_one_address_is_one_workers_whatever_port_it_sends_from() -> None:
    socks, seen = bind_shared(Listen("udp", "127.0.0.1", 0), 3), defaultdict(set)
    for number in range(1, 61):
        for _ in range(3):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((f"127.1.{number}.1", 0))
                sender.sendto(b"x", socks[0].getsockname())
    for worker, sock in enumerate(socks):
        with suppress(BlockingIOError):
            while True:
                seen[sock.recvfrom(9)[1][0]].add(worker)
    close(socks)
    assert len(seen) == 60
    assert all(len(workers) == 1 for workers in seen.values())
    assert {worker for workers in seen.values() for worker in workers} == {0, 1, 2}


def test_connections_go_by_address_as_well() -> None:
    socks, seen = bind_shared(Listen("tcp", "127.0.0.1", 0), 2), defaultdict(set)
    clients = [
        socket.create_connection(socks[0].getsockname(), 10, (f"127.1.{number}.1", 0))
        for number in range(1, 9)
        for _ in range(3)
    ]
    for worker, sock in enumerate(socks):
        with suppress(BlockingIOError):
            while True:
                accepted, peer = sock.accept()
                accepted.close()
                seen[peer[0]].add(worker)
    close(clients)
    close(socks)
    assert len(seen) == 8
    assert all(len(workers) == 1 for workers in seen.values())


def test_ipv6_has_its_filter() -> None:
    socks = bind_shared(Listen("udp", "::1", 0), 2)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        for _ in range(9):
            sender.sendto(b"x", socks[0].getsockname()[:2])
    counts = []
    for sock in socks:
        counts.append(0)
        with suppress(BlockingIOError):
            while sock.recvfrom(9):
                counts[-1] += 1
    close(socks)
    assert sorted(counts) == [0, 9]


def test_place_that_another_program_has_is_refused() -> None:
    taken = bind(Listen("udp", "127.0.0.1", 0))
    with pytest.raises(ListenError, match="the port is taken"):
        bind_shared(Listen("udp", "127.0.0.1", taken.getsockname()[1]), 2)
    taken.close()
