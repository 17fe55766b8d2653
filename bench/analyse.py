"""How long the analysis over sets takes: all of it over many stored messages, and one more batch.

    .venv/bin/python bench/analyse.py [MESSAGES ...]      default: 1000000 2000000

500 campaigns sweep extensions through 5,000 relays over thirty days, each in its own order; one relay in twenty makes
requests anew (looks direct), one hides its sender. Each size runs in a process of its own on a fresh store; rows are
made by the engine, so that only the analysis is measured. Bar: 1,000,000 under 60 s and under 1 GB, twice as many in at
most 2.2 times the time; a batch costs the same whatever the store holds.
"""

import itertools
import json
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from relaytrap.config import StoreConfig
from relaytrap.hub.analyse import Analysis
from relaytrap.store import Store

CAMPAIGNS: Final = 500
RELAYS: Final = 5_000
DAYS: Final = 30
START_S: Final = 1_790_000_000 - 1_790_000_000 % 86_400
BATCH: Final = 2_000
BATCHES: Final = 5

# n: number of the message; c: its campaign; i: its place in it; r: the relay it takes.
ROWS: Final = """
INSERT INTO messages (id, received_at, ingested_at, sensor, direction, transport, source, source_port, local,
  local_port, kind, method, call_id, cseq, branch, via_count, max_forwards, path_verdict, relay, origin, origin_port,
  origin_confidence, claim, opener, goal, target_key, target, shape, stack, track, user_agent, raw)
SELECT cityHash64(n), fromUnixTimestamp64Nano(toInt64(({start} + {span} * n / {count}) * 1e9), 'UTC'), now64(3),
  concat('sensor-', toString(i % 8)), 'in', 'udp', by, 5060, toIPv6('::ffff:192.0.2.10'), 5060, 'request', 'INVITE',
  hex(cityHash64(n, 1)), 1, 'z9hG4bK', if(verdict = 'relayed', 2, 1), if(verdict = 'direct', 70, 69), verdict,
  if(verdict = 'direct', toIPv6('::'), by), if(verdict = 'relayed', from, toIPv6('::')), 5060, 60,
  if(verdict = 'hidden', from, toIPv6('::')), 1, 'extension', t, toString(t), 1000 + c % 20, s,
  if(verdict = 'relayed', cityHash64(from), cityHash64(by, verdict, c % 20)), 'PBX', 'INVITE'
FROM (SELECT number + {offset} AS n, n % {campaigns} AS c, intDiv(n, {campaigns}) AS i,
  cityHash64(c, i % {relays}) % {relays} AS r,
  100 + (i * 389 + c * 17) % 901 AS t,
  IPv4ToIPv6(toIPv4(toUInt32(3405803776 + r))) AS by, IPv4ToIPv6(toIPv4(toUInt32(3325256704 + c))) AS from,
  multiIf(r % 20 = 12, 'direct', r % 20 = 16, 'hidden', 'relayed') AS verdict,
  if(verdict = 'direct', 77, 1 + c % 20) AS s FROM numbers({rows}))
"""


def fill(store: Store, rows: int, count: int, offset: int = 0) -> None:
    """Put rows of the scene into the store; count: how many there are in all, offset: the first."""
    for begun in range(0, rows, 250_000):
        store.command(
            ROWS.format(
                start=START_S,
                span=DAYS * 86_400,
                count=count,
                campaigns=CAMPAIGNS,
                relays=RELAYS,
                rows=min(250_000, rows - begun),
                offset=offset + begun,
            )
        )


def measure(count: int) -> None:
    """One size, in this process; prints one JSON object."""
    with tempfile.TemporaryDirectory() as folder, Store(StoreConfig(), Path(folder)) as store:
        fill(store, count, count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        analysis = Analysis(store)
        began, worked = perf_counter(), process_time()
        analysis.update()
        whole, worked = perf_counter() - began, process_time() - worked
        batches = []
        for number in range(BATCHES):
            fill(store, BATCH, count, count + number * BATCH)
            first = START_S + DAYS * 86_400 * (count + number * BATCH) // count
            last = START_S + DAYS * 86_400 * (count + (number + 1) * BATCH) // count
            began = process_time()
            analysis.update([(first * 10**9, last * 10**9)])
            batches.append(process_time() - began)
        found = {
            name: store.row(f"SELECT count() AS n FROM {name} FINAL")["n"] for name in ("placements", "conclusions")
        }
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    told = {
        "messages": count,
        "seconds": round(whole, 1),
        "cpu_seconds": round(worked, 1),
        "batch_cpu_seconds": round(sorted(batches)[BATCHES // 2], 2),
    }
    print(json.dumps(told | {"mib_before": before, "mib_peak": peak, **found}))


def main(sizes: list[int]) -> None:
    """Each size in a process of its own, then the ratio."""
    print(f"{platform.machine()}, Python {platform.python_version()}")
    results = []
    for size in sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(size)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        print(done.stdout.strip(), flush=True)
        results.append(json.loads(done.stdout))
    for one, other in itertools.pairwise(results):
        print(
            f"{other['messages'] / one['messages']:.1f} times the messages: "
            f"{other['cpu_seconds'] / one['cpu_seconds']:.2f} times"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        main([int(each) for each in sys.argv[1:]] or [1_000_000, 2_000_000])
