"""Floods: connections that say nothing or take forever, TLS, datagrams as large as they get, forged sources.

Traffic goes on meanwhile, and its requests must be answered: a flood may cost memory within bounds, never service.
"""

import os
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.sensor import make_request

from faults.account import Account, spool_state
from faults.programs import Fleet
from faults.trial import Scale, Trial
from faults.tunnel import Outside, datagram
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from relaytrap.web.serve import KEEP_ALIVE_S
from relaytrap.web.uplink import REQUEST_HEAD_S

__all__ = ["half_requests", "large_datagrams", "silent_connections", "slow_loris", "spoofed_sources", "tls_flood"]

CONNECTIONS: Final = 10_000
LORISES: Final = 3_000
LARGEST_DATAGRAM: Final = 65_507
LARGE: Final = 3_000
SOURCES: Final = 100_000
FLOOD_S: Final = 20.0
FLOODED_MAX_MB: Final = 256
ANSWERED_SHARE: Final = 0.9
OUR_ADDRESS: Final = "203.0.113.9"
HALVES: Final = 60
HALF_SEGMENT: Final = 40 << 20
LATE_ANSWERS_S: Final = 35
"""Longer than a server repeats an answer (64*T1, 32 s)."""


def silent_connections(scale: Scale, folder: Path) -> Account:
    """Ten thousand TCP connections that say nothing."""
    with Trial("silent-connections", folder, scale) as trial:
        with _connections(trial, scale.of(CONNECTIONS)) as made, _served(trial):
            trial.wait(max(3.0, FLOOD_S * scale.size))
        trial.account.notes.append(f"{made:,} connections")
        return trial.settle(sensor_max_mb=FLOODED_MAX_MB)


def slow_loris(scale: Scale, folder: Path) -> Account:
    """Three thousand connections that send a message octet by octet and never end it: SIP, HTTP, a TLS record."""
    beginnings = (
        b"INVITE sip:1@a SIP/2.0\r\nSubject: ",
        b"GET / HTTP/1.1\r\nX: ",
        b"\x16\x03\x01\x3f\xff\x01\0\x3f\xfb",
    )
    with Trial("slow-loris", folder, scale) as trial:
        with _connections(trial, scale.of(LORISES), keep=True) as made, _served(trial):
            end = time.monotonic() + max(3.0, FLOOD_S * scale.size)
            at = 0
            while time.monotonic() < end:
                for number, sock in enumerate(made.socks):
                    text = beginnings[number % 3]
                    with suppress(OSError):
                        sock.send(text[at : at + 1] or b"x", socket.MSG_DONTWAIT)
                at += 1
        trial.account.notes.append(f"{made:,} connections, {at} octets each")
        return trial.settle(sensor_max_mb=FLOODED_MAX_MB)


def tls_flood(scale: Scale, folder: Path) -> Account:
    """TLS handshakes as fast as four threads can: whole ones, hellos without an end, rubbish behind a hello."""
    with Trial("tls-flood", folder, scale) as trial:
        ended, counts = threading.Event(), Counter[str]()
        kinds = (_whole_handshake, _hello_alone, _hello_and_rubbish, _whole_handshake)
        threads = [
            threading.Thread(target=_again, args=(kind, trial.fleet.port, number, ended, counts), daemon=True)
            for number, kind in enumerate(kinds)
        ]
        with _served(trial):
            for thread in threads:
                thread.start()
            trial.wait(max(5.0, FLOOD_S * scale.size))
            ended.set()
            for thread in threads:
                thread.join()
        trial.account.notes.append(", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items())))
        return trial.settle(sensor_max_mb=FLOODED_MAX_MB)


def large_datagrams(scale: Scale, folder: Path) -> Account:
    """Datagrams of 65,507 octets, as SIP with an endless body and as noise, each recorded octet by octet."""
    with (
        Trial("large-datagrams", folder, scale) as trial,
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        _served(trial),
    ):
        sock.bind(("127.99.0.1", 0))
        for number in range(scale.of(LARGE)):
            head = make_request(1 << 40 | number, b"127.99.0.1", 5060) if number % 2 else b""
            sock.sendto(head + os.urandom(LARGEST_DATAGRAM - len(head)), ("127.0.0.1", trial.fleet.port))
            trial.account.sent += 1
            trial.wait(0.005)
    account = trial.settle(sensor_max_mb=FLOODED_MAX_MB)
    missing = account.sent - account.recorded - account.dropped_by_kernel
    account.require(missing <= 0, f"{missing:,} datagrams came in and are not recorded")
    return account


def spoofed_sources(scale: Scale, folder: Path) -> Account:
    """A hundred thousand forged sources: none gets more octets than came from it, by the wire's own count."""
    outside = Outside(OUR_ADDRESS)
    fleet = Fleet(folder, addresses=("127.0.0.1", OUR_ADDRESS))
    got: Counter[bytes] = Counter()
    with Trial("spoofed-sources", folder, scale, fleet=fleet) as trial:
        outside.start()
        sources = [os.urandom(3) for _ in range(scale.of(SOURCES))]
        for number, tail in enumerate(sources):
            source = b"\x14" + tail  # 20.0.0.0/8, out of which nothing here can reach anybody
            request = make_request(1 << 40 | number, b"20.%d.%d.%d" % tuple(tail), 5060)
            for _ in range(1 + (number % 7 == 0)):
                packet = datagram(source, 5060, OUR_ADDRESS, fleet.port, request)
                outside.send(packet)
                got[source] += len(packet)
                trial.account.sent += 1
            if number % 50 == 0:
                trial.wait(50 / scale.rate / 2)
        trial.wait(LATE_ANSWERS_S if scale.size == 1 else 3)
        outside.stop()
        account = trial.settle(sensor_max_mb=FLOODED_MAX_MB)
    strangers = outside.sent_to.keys() - got.keys()
    account.require(not strangers, f"packets went to {len(strangers)} addresses that never sent any")
    account.require(bool(outside.sent_to), "nobody was answered: the fault proved nothing")
    account.amplification = round(max((outside.sent_to[each] / got[each] for each in got), default=0.0), 3)
    account.require(account.amplification <= 1, f"a source got {account.amplification} times what it sent")
    account.notes.append(f"all together {sum(outside.sent_to.values()) / sum(got.values()):.2f}")
    return account


def half_requests(scale: Scale, folder: Path) -> Account:
    """Halves of the largest segments under one stolen token, and half heads behind whole ones, at the sensors' door."""
    fleet = Fleet(folder)
    door = fleet.hub_port + 1
    fleet.hub.environment["RELAYTRAP_HUB_UPLINK_LISTEN"] = f"127.0.0.1:{door}"
    with closing(HubDatabase(fleet.hub_data)) as database:
        head = b"POST /api/segments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n" % (
            Keys(database).add("thief").encode()
        )
    with Trial("half-requests", folder, scale, fleet=fleet) as trial, ExitStack() as stack:
        heads = []
        for number in range(2 * scale.of(HALVES)):
            way = stack.enter_context(_encrypted(door, f"127.91.0.{number % 250 + 1}"))
            if number % 2:
                named = b"X-Relaytrap-Segment: 1\r\nX-Relaytrap-Spool: s%d\r\n" % number
                with suppress(OSError):  # the hub may have had enough of it
                    way.sendall(head + named + b"Content-Length: %d\r\n\r\n" % (64 << 20) + bytes(HALF_SEGMENT))
            else:
                way.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                way.recv(10_000)
                way.sendall(head)
                heads.append(way)
        before = spool_state(fleet.spool)["acknowledged"]
        trial.wait(KEEP_ALIVE_S + REQUEST_HEAD_S + 5 if scale.size == 1 else 3)
        trial.account.require(
            spool_state(fleet.spool)["acknowledged"] > before, "no segment of a sensor was taken meanwhile"
        )
        if scale.size == 1:
            trial.account.require(all(map(_is_closed, heads)), "connections that never end a head are kept")
        trial.account.notes.append(f"{len(heads)} of each")
        return trial.settle()


class _Made(int):
    """How many connections were made. socks: those that stand, when they were kept."""

    socks: list[socket.socket]


@contextmanager
def _connections(trial: Trial, count: int, *, keep: bool = False) -> Iterator[_Made]:
    """So many connections to the sensor from many addresses, held for the block."""
    socks: list[socket.socket] = []
    for number in range(count):
        sock = socket.socket()
        sock.settimeout(20)
        with suppress(OSError):  # the sensor makes room by closing the longest idle
            sock.bind((f"127.{200 + number // 10_000}.{number // 100 % 100}.{number % 100 + 1}", 0))
            sock.connect(("127.0.0.1", trial.fleet.port))
        socks.append(sock)
    made = _Made(len(socks))
    made.socks = socks if keep else []
    try:
        yield made
    finally:
        for sock in socks:
            sock.close()


@contextmanager
def _served(trial: Trial) -> Iterator[None]:
    """Hold the block against the law that ordinary requests are answered meanwhile."""
    sent, answered = trial.traffic.sent, len(trial.traffic.answered)
    yield
    time.sleep(0.5)
    asked, got = trial.traffic.sent - sent, len(trial.traffic.answered) - answered
    trial.account.require(
        got >= asked * ANSWERED_SHARE, f"of {asked:,} ordinary requests {got:,} were answered meanwhile"
    )


def _again(
    kind: Callable[[int, str], None], port: int, number: int, ended: threading.Event, counts: Counter[str]
) -> None:
    turn = 0
    while not ended.is_set():
        turn += 1
        with suppress(OSError):  # ssl.SSLError is one: refused, reset, in the middle of anything
            kind(port, f"127.90.{number}.{turn % 250 + 1}")
        counts[kind.__name__.strip("_").replace("_", " ")] += 1


def _whole_handshake(port: int, source: str) -> None:
    with _encrypted(port, source) as tls:
        tls.send(b"OPTIONS sip:a SIP/2.0\r\n\r\n")


@contextmanager
def _encrypted(port: int, source: str) -> Iterator[ssl.SSLSocket]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with _connected(port, source) as sock, context.wrap_socket(sock) as tls:
        yield tls


def _is_closed(way: ssl.SSLSocket) -> bool:
    """Whether the other side let go of a connection, behind what it may have said before."""
    way.settimeout(0.5)
    try:
        while way.recv(10_000):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def _hello_alone(port: int, source: str) -> None:
    with _connected(port, source) as sock:
        sock.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200))


def _hello_and_rubbish(port: int, source: str) -> None:
    with _connected(port, source) as sock:
        sock.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + os.urandom(5000))


def _connected(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
