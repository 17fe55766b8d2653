#!/usr/bin/env python3
"""How fast captures are imported with everything included, beside TShark's bare field extraction from the same file.

    python bench/ingest_import.py CAPTURE [--messages 200000] [--runs 3]

Each run imports into a new store in a new process (start of Python, worker processes and engine included) and then lets
`tshark -T fields` read the same file. CAPTURE is made by gen_pcap.py or is any capture; --messages cuts a pcap file to
its first packets. Prints one line for each run and last one JSON object: messages a second, CPU seconds, peak memory of
the importing process, and the ratio of the medians. The bar is 3 times TShark, under 1 GB.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIELDS = (
    "sip.Method sip.Status-Code sip.r-uri sip.Via sip.From sip.To sip.Contact sip.Call-ID sip.CSeq sip.User-Agent "
    "sip.Content-Length"
)


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
    rate, peer = (statistics.median(each["per_s"] for each in runs) for runs in (ours, theirs))
    print(json.dumps({"import": ours, "tshark": theirs, "ratio": round(rate / peer, 2), "cores": os.cpu_count()}))


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
    """One import into an empty store; peak memory is that of its largest process."""
    shutil.rmtree(data, ignore_errors=True)
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), "import", "--json", str(capture)]
    measured, output = timed(command)
    summary = json.loads(output)
    return {"messages": summary["stored"], "per_s": round(summary["stored"] / measured["seconds"]), **measured}


def tshark_once(capture: Path, messages: float) -> dict[str, float]:
    """TShark on the same file, its fields thrown away."""
    named = [part for field in FIELDS.split() for part in ("-e", field)]
    shape = ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|"]
    measured, _ = timed(["tshark", "-n", "-r", str(capture), "-T", "fields", *shape, *named], keep=False)
    return {"messages": messages, "per_s": round(messages / measured["seconds"]), **measured}


def timed(command: list[str], *, keep: bool = True) -> tuple[dict[str, float], bytes]:
    """Seconds by the clock, CPU seconds and peak megabytes of a command and its children, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    output = subprocess.PIPE if keep else subprocess.DEVNULL
    with subprocess.Popen(command, stdout=output, stderr=None if keep else subprocess.DEVNULL) as process:
        printed = process.communicate()[0] or b""
        if process.returncode:
            sys.exit(f"{command[0]} ended with {process.returncode}")
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 2), "cpu_s": round(cpu, 2), "peak_mb": round(after.ru_maxrss / 1024)}, printed


def told(measured: dict[str, float]) -> str:
    each = 1e6 * measured["cpu_s"] / max(measured["messages"], 1)
    return f"{measured['per_s']:>8,}/s  {each:6.1f} us CPU a message  {measured['peak_mb']:>6} MB so far"


if __name__ == "__main__":
    main()
