#!/usr/bin/env python3
"""Run every measurement of this folder once, one after another, and keep the results.

    python bench/run.py [NAME...] [--messages 200000] [--rows 1000000]

NAME: parse, read, sensor, analyse, hub, import, pages; all of them by default (about half an hour). --messages: of the
capture that is imported; --rows: stored messages behind the pages (the bar is held at ten million). The JSON objects
that each prints are added to history.jsonl beside this file, with the machine's load before it began: on a machine that
does other things as well, compare ratios and CPU times only.
"""

import argparse
import json
import os
import platform
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parse import make_message
from read import ipv4, write_pcap

HERE = Path(__file__).parent
HISTORY = HERE / "history.jsonl"
NAMES = ("parse", "read", "sensor", "analyse", "hub", "import", "pages")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    options.add_argument("--messages", type=int, default=200_000)
    options.add_argument("--rows", type=int, default=1_000_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="relaytrap-bench-") as folder:
        for name in given.names or NAMES:
            print(f"== {name}", flush=True)
            for command in commands(name, Path(folder), given.messages, given.rows):
                keep(name, *run(command))


def commands(name: str, folder: Path, messages: int, rows: int) -> list[list[str]]:
    """The commands of one measurement, in order."""
    if name == "import":
        capture = folder / "mix.pcap"
        make_capture(capture, messages)
        return [[str(HERE / "ingest_import.py"), str(capture), "--runs", "1"]]
    if name == "pages":
        data = ["--data", str(folder / "pages")]
        return [[str(HERE / "make_rows.py"), *data, "--rows", str(rows)], [str(HERE / "pages.py"), *data]]
    return [[str(HERE / f"{name}.py")]]


def make_capture(path: Path, messages: int) -> None:
    """A capture of the parser's mix, a datagram a message, from some thousand sources."""
    chance = random.Random(1)
    numbered = ((number, make_message(chance)) for number in range(messages))
    write_pcap(
        path,
        (ipv4(struct.pack(">HHHH", 40000, 5060, 8 + len(raw), 0) + raw, 17, number) for number, raw in numbered),
    )


def run(command: list[str]) -> tuple[list[float], list[str]]:
    """The load before, and the JSON objects printed."""
    load = [round(each, 1) for each in os.getloadavg()]
    told = []
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("{"):
                told.append(line)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return load, told


def keep(name: str, load: list[float], told: list[str]) -> None:
    """Add what was told to the history."""
    head = {
        "bench": name,
        "at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": load,
    }
    with HISTORY.open("a", encoding="utf-8") as history:
        history.writelines(json.dumps(head | json.loads(line)) + "\n" for line in told)


if __name__ == "__main__":
    main()
