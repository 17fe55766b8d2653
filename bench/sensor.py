#!/usr/bin/env python3
"""Time the sensor on one core: requests a second recorded and answered, beside a bare Python loop in the same run.

    python bench/sensor.py [--seconds 4] [--rounds 3] [--persona asterisk] [--window 256]

Requests of the kinds that scanners send (55 % OPTIONS, 30 % REGISTER, 15 % INVITE with SDP; about 500 octets) come over
loopback from 1,024 addresses, each with its own Call-ID, branch and tag. The generator keeps `window` requests
unanswered, so it goes as fast as the subject answers and nothing is lost. The peer is what one would write in an
afternoon: five regular expressions, a 200 or 401, the raw bytes appended to a buffered file; no transactions, no
law, no persona, no capture format. Subject on the last core, generator on the first. CPU seconds come from
/proc and are the steadier figure on a busy machine. Prints each round, the medians, last one JSON object.
"""

import argparse
import json
import os
import platform
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relaytrap.sensor.spool import count_spool

SOURCES = 1024
BAR = 15_000
CORES = sorted(os.sched_getaffinity(0))
SDP = (
    b"v=0\r\no=- 2029843 1 IN IP4 %b\r\ns=sipcall\r\nc=IN IP4 %b\r\nt=0 0\r\nm=audio 25282 RTP/AVP 0 8 18 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    b"a=sendrecv\r\n"
)
FIELDS = {
    name: re.compile(rb"^(?:%b)[ \t]*:[ \t]*(.*)\r$" % name, re.IGNORECASE | re.MULTILINE)
    for name in (b"v|via", b"f|from", b"t|to", b"i|call-id", b"cseq")
}


def bare_loop(port: int, path: str) -> None:
    """The peer: receive, search, answer, append, until killed."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind(("127.0.0.1", port))
    print("ready", flush=True)
    with Path(path).open("ab", buffering=1 << 20) as file:
        while True:
            data, where = sock.recvfrom(65535)
            values = [pattern.search(data) for pattern in FIELDS.values()]
            if all(values):
                via, source, target, call_id, cseq = (match[1] for match in values if match)
                status = b"200 OK" if data.startswith(b"OPTIONS") else b"401 Unauthorized"
                sock.sendto(
                    b"SIP/2.0 %b\r\nVia: %b;received=%b\r\nFrom: %b\r\nTo: %b;tag=as1\r\nCall-ID: %b\r\nCSeq: %b\r\n"
                    b"Content-Length: 0\r\n\r\n" % (status, via, where[0].encode(), source, target, call_id, cseq),
                    where,
                )
            file.write(b"%d %b %d %d\n" % (time.time_ns(), where[0].encode(), where[1], len(data)))
            file.write(data)


def make_request(number: int, address: bytes, port: int) -> bytes:
    """One request of the mix, all its own."""
    kind = number * 7919 % 100
    method = b"OPTIONS" if kind < 55 else b"REGISTER" if kind < 85 else b"INVITE"
    user = b"%d" % (100 + number % 900)
    uri = {
        b"OPTIONS": b"sip:100@127.0.0.1",
        b"REGISTER": b"sip:127.0.0.1",
        b"INVITE": b"sip:9011442030%b@127.0.0.1" % user,
    }
    body = SDP % (address, address) if method == b"INVITE" else b""
    return b"".join(
        (
            b"%b %b SIP/2.0\r\nVia: SIP/2.0/UDP %b:%d;branch=z9hG4bK-%016x;rport\r\nMax-Forwards: 70\r\n"
            % (method, uri[method], address, port, number),
            b'To: "%b" <sip:%b@127.0.0.1>\r\nFrom: "%b" <sip:%b@127.0.0.1>;tag=%016x\r\n'
            % (user, user, user, user, number),
            b"User-Agent: friendly-scanner\r\nCall-ID: sb%016x@%b\r\nContact: <sip:%b@%b:%d>\r\nCSeq: 1 %b\r\n"
            % (number, address, user, address, port, method),
            b"Accept: application/sdp\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
        )
    )


class Generator:
    """Sends from many loopback addresses and counts what comes back."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._socks: dict[int, socket.socket] = {}
        self._senders: list[tuple[socket.socket, bytes, int]] = []
        for number in range(SOURCES):
            address = f"127.{100 + number // 256}.{number % 256}.1"
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((address, 0))
            sock.setblocking(False)
            self._poll.register(sock, select.EPOLLIN)
            self._socks[sock.fileno()] = sock
            self._senders.append((sock, address.encode(), sock.getsockname()[1]))
        self._number = time.time_ns() // 1000

    def run(self, port: int, seconds: float, window: int) -> tuple[int, int, float]:
        """(sent, answered, seconds) of a run that keeps `window` requests unanswered."""
        sent = answered = 0
        start = now = time.perf_counter()
        quiet_since = start
        while True:
            while now - start < seconds and sent - answered < window:
                sock, address, own_port = self._senders[sent % SOURCES]
                sock.sendto(make_request(self._number + sent, address, own_port), ("127.0.0.1", port))
                sent += 1
            back = self._take_answers()
            answered += back
            now = time.perf_counter()
            quiet_since = now if back else quiet_since
            if (now - start >= seconds and answered >= sent) or now - quiet_since > 2:
                break
        self._number += sent
        return sent, answered, quiet_since - start

    def _take_answers(self) -> int:
        count = 0
        for fd, _ in self._poll.poll(0.05, 512):
            sock = self._socks[fd]
            try:
                while sock.recv(4096):
                    count += 1
            except BlockingIOError:
                continue
        return count


@dataclass(frozen=True)
class Subject:
    """A running program under load."""

    process: subprocess.Popen[str]
    port: int

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> int:
        """Highest resident size."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@contextmanager
def running(command: list[str], port: int) -> Iterator[Subject]:
    """A program on the last core, ready when it has printed a line."""
    pinned = ["taskset", "-c", str(CORES[-1]), *command]
    budgets = {"RELAYTRAP_SENSOR_TOTAL_BYTES_PER_S": "100000000", "RELAYTRAP_SENSOR_SOURCE_BYTES_PER_S": "1000000"}
    process = subprocess.Popen(pinned, stdout=subprocess.PIPE, text=True, env=os.environ | budgets)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield Subject(process, port)
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def measure(
    name: str, generator: Generator, command: list[str], port: int, options: argparse.Namespace
) -> dict[str, float]:
    """Warm up, load, and say what came of it."""
    with running(command, port) as subject:
        warm, _, _ = generator.run(port, 0.5, options.window)
        before = subject.cpu_seconds()
        sent, answered, seconds = generator.run(port, options.seconds, options.window)
        cpu = subject.cpu_seconds() - before
        peak = subject.peak_mb()
    result = {
        "per_s": round(answered / seconds),
        "per_cpu_s": round(answered / cpu),
        "sent": sent + warm,
        "unanswered": sent - answered,
        "peak_mb": peak,
    }
    rates = f"{result['per_s']:7,}/s  {result['per_cpu_s']:7,} per CPU second"
    print(f"{name:7} {rates}  {peak} MB  {sent - answered} unanswered")
    return result


def one_round(generator: Generator, options: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """The bare loop, then the sensor."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        bare = measure(
            "bare", generator, [sys.executable, __file__, "--bare", str(port), f"{folder}/bare"], port, options
        )
        port = free_port()
        command = [sys.executable, "-m", "relaytrap.cli.main", "--data", f"{folder}/data", "sensor"]
        command += ["--persona", options.persona, "--listen", f"udp:127.0.0.1:{port}"]
        ours = measure("sensor", generator, command, port, options)
        ours["unrecorded"] = ours["sent"] - count_spool(Path(folder, "data", "spool"))
    return bare, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--persona", default="asterisk")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--bare", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare_loop(int(options.bare[0]), options.bare[1])
    os.sched_setaffinity(0, {CORES[0]})
    generator = Generator()
    rounds = [one_round(generator, options) for _ in range(options.rounds)]
    summary = {
        "machine": f"{platform.machine()}, {len(CORES)} cores, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
        "persona": options.persona,
        "bare_per_cpu_s": statistics.median(bare["per_cpu_s"] for bare, _ in rounds),
        "sensor_per_cpu_s": statistics.median(ours["per_cpu_s"] for _, ours in rounds),
        "sensor_per_s": statistics.median(ours["per_s"] for _, ours in rounds),
        "ratio": round(statistics.median(ours["per_cpu_s"] / bare["per_cpu_s"] for bare, ours in rounds), 2),
        "unanswered": sum(ours["unanswered"] for _, ours in rounds),
        "unrecorded": sum(ours["unrecorded"] for _, ours in rounds),
        "peak_mb": max(ours["peak_mb"] for _, ours in rounds),
        "bar_per_s": BAR,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
