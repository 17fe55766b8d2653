#!/usr/bin/env python3
"""What a hub takes in and analyses: real segments from several sensors at a steady rate, into a real `relaytrap hub`.

    python bench/hub.py [--rate 10000] [--sensors 8] [--seconds 60] [--data DIR]

Each sensor ships a segment every two seconds, as the sensor does, over its own connection. Two thirds of the messages
come through 500 relays from five origins that try extensions and numbers; the rest comes straight from 1,024 scanners.
All analysis is on. The segments are made before the hub starts, as what sensors do is not the hub's work; their times
begin when making them began, and the page is as far behind as it shows less than was due. Cores divided by the CPU time
of a message are what the hub could take in on a machine of its own. Prints a line every ten seconds (rate offered and
acknowledged, slowest segment, how far behind the page is, memory of all the hub's processes, CPU) and last one JSON
object. Bars: 10,000 messages/s on two cores, visible within 10 s, memory flat.
"""

import argparse
import contextlib
import http.client
import io
import itertools
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from relaytrap.capture import SegmentWriter
from relaytrap.cli.session import running_hub
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from relaytrap.observation import Observation

SEGMENT_S = 2.0
RELAYS, ORIGINS, SCANNERS = 500, 5, 1024
TICKS = os.sysconf("SC_CLK_TCK")
LOCAL = "198.51.100.1"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rate", type=int, default=10_000, help="messages a second, all sensors together")
    options.add_argument("--sensors", type=int, default=8)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--data", type=Path, help="the hub's data directory; default: one that is removed afterwards")
    given = options.parse_args()
    with contextlib.ExitStack() as stack:
        data = given.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relaytrap-bench-")))
        database = HubDatabase(data)
        tokens = {f"bench-{number}": Keys(database).add(f"bench-{number}") for number in range(given.sensors)}
        database.close()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relaytrap-bench-")))
        first_ns = time.time_ns()
        made = make_segments(folder, tokens, given.rate / given.sensors, given.seconds, first_ns)
        process, url = stack.enter_context(hub(data))
        sensors = [Sensor(name, token, url, folder, made) for name, token in tokens.items()]
        measured = run(sensors, process, running_hub(data), made, first_ns)
    print(json.dumps({"rate": given.rate, "sensors": given.sensors, "cores": os.cpu_count(), **measured}))


@contextlib.contextmanager
def hub(data: Path) -> Iterator[tuple[int, str]]:
    """A running hub: its process and its address."""
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), "hub", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[^\s,]+", process.stdout.readline())
            assert found, "the hub does not start"
            yield process.pid, found[0]
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Made:
    """How many segments every sensor has to ship, and of how many messages."""

    segments: int
    messages: int


def make_segments(folder: Path, sensors: Iterable[str], rate: float, seconds: float, first_ns: int) -> Made:
    """Write what every sensor ships, one segment a file, on all cores; the first message is of `first_ns`."""
    made = Made(segments=max(round(seconds / SEGMENT_S), 1), messages=int(rate * SEGMENT_S))
    jobs = [
        (folder / f"{name}-{number}", name, number, made.messages, first_ns)
        for name, number in itertools.product(sensors, range(made.segments))
    ]
    with multiprocessing.Pool() as pool:
        for count, _ in enumerate(pool.imap_unordered(write_segment, jobs, chunksize=4), 1):
            if count % 100 == 0 or count == len(jobs):
                print(f"made {count} of {len(jobs)} segments", file=sys.stderr, flush=True)
    return made


def run(sensors: "list[Sensor]", process: int, told: Any, made: Made, first_ns: int) -> dict[str, Any]:
    """Ship for some time; what was measured."""
    began = time.monotonic()
    shift_s = time.time() - first_ns / 1e9
    for sensor in sensors:
        sensor.start()
    samples = []
    used, workers = cpu_s(process), cpu_s(process, workers=True)
    while any(sensor.is_alive() for sensor in sensors):
        next_s = time.monotonic() + 10
        while time.monotonic() < next_s and any(sensor.is_alive() for sensor in sensors):
            time.sleep(0.2)
        sent, done = sum(s.sent for s in sensors), sum(s.acknowledged for s in sensors)
        samples.append(
            {
                "at_s": round(time.monotonic() - began, 1),
                "sent": sent,
                "acknowledged": done,
                "slowest_s": round(max(sensor.take_slowest() for sensor in sensors), 2),
                "behind_s": round(behind_s(told, len(sensors)) - shift_s, 1),
                "memory_mb": memory_bytes(process) >> 20,
                "cpu_us_a_message": round((cpu_s(process) - used) / max(done, 1) * 1e6, 1),
                "workers_us": round((cpu_s(process, workers=True) - workers) / max(done, 1) * 1e6, 1),
            }
        )
        print(samples[-1], flush=True)
    taken = time.monotonic() - began
    last = samples[-1]
    return {
        "acknowledged_per_s": round(last["acknowledged"] / taken),
        "cpu_us_a_message": last["cpu_us_a_message"],
        "could_take_per_s": round((os.cpu_count() or 1) * 1e6 / last["cpu_us_a_message"]),
        "worst_behind_s": max(sample["behind_s"] for sample in samples),
        "memory_mb": [sample["memory_mb"] for sample in samples],
    }


def behind_s(told: Any, sensors: int) -> float:
    """Age of the newest message that the API shows of the sensor that is furthest behind."""
    parts = urlsplit(told.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/api/sensors?since=1h", headers={"Accept": "application/x-ndjson"})
        lines = connection.getresponse().read().splitlines()
    rows = [json.loads(line) for line in lines]
    if len(rows) < sensors:
        return 0.0 if not rows else 999.0
    oldest = min(row["last_seen"] for row in rows)
    stamp = time.mktime(time.strptime(oldest[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    return time.time() - stamp


class Sensor(threading.Thread):
    """Ships a segment every two seconds, until it is acknowledged."""

    def __init__(self, name: str, token: str, url: str, folder: Path, made: Made) -> None:
        super().__init__(name=name, daemon=True)
        self.sent = self.acknowledged = 0
        self._token, self._folder, self._made = token, folder, made
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        self._slowest = 0.0

    def take_slowest(self) -> float:
        """Longest time between the first message of a segment and its acknowledgement, since last asked."""
        slowest, self._slowest = self._slowest, 0.0
        return slowest

    def run(self) -> None:
        opened = time.monotonic()
        for number in range(self._made.segments):
            time.sleep(max(opened + SEGMENT_S - time.monotonic(), 0))
            file = self._folder / f"{self.name}-{number}"
            body = file.read_bytes()
            file.unlink()
            self.sent += self._made.messages
            while not self._shipped(number, body):
                time.sleep(0.5)
            self.acknowledged += self._made.messages
            self._slowest = max(self._slowest, time.monotonic() - opened)
            opened += SEGMENT_S

    def _shipped(self, number: int, body: bytes) -> bool:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Encoding": "deflate"}
        headers |= {"X-Relaytrap-Segment": str(number), "X-Relaytrap-Spool": "bench"}
        self._connection.request("POST", "/api/segments", body, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status == 200


def write_segment(job: tuple[Path, str, int, int, int]) -> None:
    """One segment of a sensor, deflated as the sensor does it."""
    file, sensor, number, count, first_ns = job
    data = io.BytesIO()
    writer = SegmentWriter(data, sensor=sensor, segment=number)
    first_ns += int(number * SEGMENT_S * 1e9)
    step = int(SEGMENT_S * 1e9 / count)
    for index in range(count):
        unique = zlib.crc32(b"%b-%d-%d" % (sensor.encode(), number, index)) << 16 | index
        raw, source = message(unique)
        writer.write(Observation(first_ns + index * step, sensor, "in", "udp", source, 5060, LOCAL, 5060, raw))
    file.write_bytes(zlib.compress(data.getvalue(), 1))


def message(unique: int) -> tuple[bytes, str]:
    """A request and the address it comes from."""
    kind = unique % 100
    method = b"OPTIONS" if kind < 30 else b"REGISTER" if kind < 70 else b"INVITE"
    target = b"%d" % (100 + unique % 900) if method != b"INVITE" else b"9011442039%06d" % (unique % 4000)
    if unique % 3:
        origin, relay = b"91.200.12.%d" % (unique // 7 % ORIGINS + 1), unique // 11 % RELAYS
        source = f"61.{relay // 250}.{relay % 250}.9"
        top = b"Via: SIP/2.0/UDP %b;branch=z9hG4bK%04x.%032x.0\r\n" % (source.encode(), unique & 0xFFFF, unique)
        noted = b"=5074;received=%b" % origin
    else:
        number = unique // 3 % SCANNERS
        source = f"45.{number // 250}.{number % 250}.7"
        origin, top, noted = source.encode(), b"", b""
    return (
        b"%b sip:%b@198.51.100.1 SIP/2.0\r\n%bVia: SIP/2.0/UDP %b:5074;branch=z9hG4bK-%016x;rport%b\r\n"
        b'Max-Forwards: 69\r\nTo: "%b" <sip:%b@198.51.100.1>\r\nFrom: "%b" <sip:%b@198.51.100.1>;tag=%016x\r\n'
        b"User-Agent: pplsip\r\n"
        b"Call-ID: %032x\r\nContact: <sip:%b@%b:5074>\r\nCSeq: 1 %b\r\nAccept: application/sdp\r\n"
        b"Content-Length: 0\r\n\r\n"
        % (method, target, top, origin, unique, noted, *([target] * 4), unique, unique * 3, target, origin, method)
    ), source


def tree(process: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    threads = Path(f"/proc/{process}/task").iterdir()
    for thread in threads:
        with contextlib.suppress(OSError):
            children += (thread / "children").read_text().split()
    return [process, *{int(child) for child in children}]


def cpu_s(process: int, *, workers: bool = False) -> float:
    """CPU seconds, user and system, of a process and its children, or of those alone."""
    total = 0
    for each in tree(process)[int(workers) :]:
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_bytes(process: int) -> int:
    """Resident memory of a process and its children."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in tree(process))
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
