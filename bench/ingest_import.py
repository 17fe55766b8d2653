#!/usr/bin/env python3
"""How fast captures are imported with everything included, beside TShark's bare field extraction from the same file.

    python bench/ingest_import.py CAPTURE [--messages 200000] [--runs 3]

Each run imports into a new store in a new process (start of Python, worker processes, engine, and the analysis over
sets included) and then lets `tshark -T fields` read the same file. CAPTURE is any capture; --messages cuts a pcap file
to its first packets. Prints one line for each run and last one JSON object: messages a second, CPU seconds, peak memory
of all processes together (what they share counted once), the ratio of the medians by the clock, and that of CPU time,
which says more on a machine that does other things as well. The bar is 3 times TShark by the clock on two cores, under
1 GB.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

FIELDS = (
    "sip.Method sip.Status-Code sip.r-uri sip.Via sip.From sip.To sip.Contact sip.Call-ID sip.CSeq sip.User-Agent "
    "sip.Content-Length"
)
WITH_BYTECODE = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What is installed has its bytecode; where none may be written, each process of an import compiles it anew."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("capture", type=Path)
    options.add_argument("--messages", type=int, default=0, help="first packets only; 0: all")
    options.add_argument("--runs", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="relaytrap-bench-") as folder:
        capture = cut(given.capture, Path(folder), given.messages) if given.messages else given.capture
        ours, theirs = [], []
        for run in range(given.runs):
            ours.append(import_once(capture, Path(folder) / "data"))
            print(f"run {run + 1}: relaytrap {told(ours[-1])}", flush=True)
            theirs.append(tshark_once(capture, ours[-1]["messages"]))
            print(f"run {run + 1}: tshark    {told(theirs[-1])}", flush=True)
    result = {
        "import": ours,
        "tshark": theirs,
        "ratio": round(median(ours, "per_s") / median(theirs, "per_s"), 2),
        "cpu_ratio": round(median(theirs, "cpu_us") / median(ours, "cpu_us"), 2),
    }
    print(json.dumps(result))


def median(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(each[name] for each in runs)


def cut(capture: Path, folder: Path, packets: int) -> Path:
    """The first packets of a little-endian pcap file as a file of their own."""
    made = folder / "cut.pcap"
    with capture.open("rb") as source, made.open("wb") as target:
        target.write(source.read(24))
        for _ in range(packets):
            head = source.read(16)
            if len(head) < 16:
                break
            target.write(head + source.read(struct.unpack_from("<I", head, 8)[0]))
    return made


def import_once(capture: Path, data: Path) -> dict[str, float]:
    """One import into an empty store."""
    shutil.rmtree(data, ignore_errors=True)
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), "import", "--json", str(capture)]
    measured, output = timed(command)
    return each_message(measured, json.loads(output)["stored"])


def tshark_once(capture: Path, messages: float) -> dict[str, float]:
    """TShark on the same file, its fields thrown away."""
    named = [part for field in FIELDS.split() for part in ("-e", field)]
    shape = ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|"]
    measured, _ = timed(["tshark", "-n", "-r", str(capture), "-T", "fields", *shape, *named], keep=False)
    return each_message(measured, messages)


def each_message(measured: dict[str, float], messages: float) -> dict[str, float]:
    rate, each = round(messages / measured["seconds"]), round(1e6 * measured["cpu_s"] / max(messages, 1), 1)
    return {"messages": messages, "per_s": rate, "cpu_us": each, **measured}


def timed(command: list[str], *, keep: bool = True) -> tuple[dict[str, float], bytes]:
    """Seconds by the clock, CPU seconds and peak megabytes of a command and its children, and what it printed."""
    began = time.perf_counter()
    output = subprocess.PIPE if keep else subprocess.DEVNULL
    errors = None if keep else subprocess.DEVNULL
    with subprocess.Popen(command, stdout=output, stderr=errors, env=WITH_BYTECODE) as process:
        memory = Memory(process.pid)
        printed = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        memory.stop()
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    cpu_s = used.ru_utime + used.ru_stime
    return {"seconds": round(seconds, 2), "cpu_s": round(cpu_s, 2), "peak_mb": round(memory.peak / 1024)}, printed


class Memory:
    """The most that a process and its children held at once, in KiB, looked at five times a second."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self.peak = max(self.peak, sum(map(held, [self._pid, *children(self._pid)])))


def children(pid: int) -> list[int]:
    """Children of a process, as far as its threads began them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def held(pid: int) -> int:
    """KiB in memory, shared pages by halves and thirds; 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def told(measured: dict[str, float]) -> str:
    return f"{measured['per_s']:>8,}/s  {measured['cpu_us']:6.1f} us CPU a message  {measured['peak_mb']:>6,.0f} MB"


if __name__ == "__main__":
    main()
