#!/usr/bin/env python3
"""How long the questions behind the pages take on a filled store (make_rows.py), in the process that owns it.

    python bench/pages.py --data /tmp/pages [--runs 20]

Prints one line for each question (median, 95th percentile, median CPU time of all threads, rows) and last one JSON
object. On a machine that others use, the CPU time is the steadier figure: an idle one answers in it or less. Bars at
ten million rows: map and overview under 150 ms at the 95th percentile, the filtered message list under 300 ms.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from relaytrap.clock import now_ns
from relaytrap.config import StoreConfig
from relaytrap.store import Store
from relaytrap.store.queries import CATALOGUE, run_query
from relaytrap.web.pages.overview import FACETS

BAR_MS = {"page": 150, "list": 300}
WEEK = {"since": "7d", "until": "now"}
DAY = {"since": "24h", "until": "now"}
# Label → bar, query, options; @ begins what is drawn from the store. A query that this installation lacks is left out.
QUESTIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("overview, totals of a week", "page", "totals", WEEK),
    ("overview, totals of a day", "page", "totals", DAY),
    ("overview, timeline of a week", "page", "timeline", WEEK),
    ("overview, leaders of a day", "page", "leaders", {**DAY, "facets": ",".join(FACETS)}),
    ("overview, leaders of a week", "page", "leaders", {**WEEK, "facets": ",".join(FACETS)}),
    ("overview, busiest sources of a week", "page", "leading_sources", WEEK),
    ("map, countries of a week", "page", "countries", WEEK),
    ("map, countries hour by hour, a week", "page", "countries_by_time", WEEK),
    ("map, networks of a week", "page", "networks", WEEK),
    ("list, newest", "list", "messages", {}),
    ("list, one country and method", "list", "messages", {"country": "FR", "method": "INVITE"}),
    ("list, a rare country", "list", "messages", {"country": "AU"}),
    ("list, one tool, relayed, a day", "list", "messages", {**DAY, "tool": "nmap", "verdict": "relayed"}),
    ("list, one source", "list", "messages", {"source": "@source"}),
    ("list, one network", "list", "messages", {"source": "@network"}),
    ("list, one Call-ID", "list", "messages", {"call_id": "@call_id"}),
    ("list, number prefix", "list", "messages", {"dialled": "9011442030001"}),
    ("list, text that is nowhere, a day", "list", "messages", {**DAY, "text": "no such text"}),
    ("list, a source that is not there", "list", "messages", {"source": "192.0.2.99"}),
    ("list, a Call-ID that is not there", "list", "messages", {"call_id": "none"}),
    ("count, one country", "list", "count", {**WEEK, "country": "FR"}),
    ("message by id", "list", "message", {"id": "@id"}),
    ("conversation", "list", "conversation", {"id": "@id"}),
    ("sources of a week", "list", "sources", WEEK),
    ("sources of a day, one tool", "list", "sources", {**DAY, "tool": "sipvicious"}),
    ("numbers of a week", "list", "numbers", WEEK),
    ("relays", "list", "relays", {}),
    ("relays seen in a day, of one country", "list", "relays", {"since": "24h", "country": "US"}),
    ("one relay", "list", "relay", {"address": "@relay"}),
    ("origins", "list", "origins", {}),
    ("one origin", "list", "origin", {"address": "@origin"}),
    ("campaigns", "list", "campaigns", {}),
    ("campaigns through relays", "list", "campaigns", {"relayed": "yes"}),
    ("one campaign", "list", "campaign", {"id": "@campaign"}),
    ("one campaign, its sweep", "list", "sweep", {"id": "@campaign", "limit": 4000}),
    ("one campaign, its fan", "list", "fan", {"id": "@campaign"}),
    ("one campaign, its newest messages", "list", "messages", {"campaign": "@campaign", "limit": 8}),
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--only", default="", help="labels that contain this text")
    given = options.parse_args()
    with Store(StoreConfig(), given.data) as store:
        rows = store.row("SELECT count() AS n FROM messages")["n"]
        sample = draw_sample(store)
        worst = {"page": 0.0, "list": 0.0}
        for label, bar, name, wanted in QUESTIONS:
            if name in CATALOGUE and given.only in label and is_known(wanted, sample):
                p95 = report(label, timings(store, name, wanted, sample, given.runs))
                worst[bar] = max(worst[bar], p95)
    print(json.dumps({"rows": rows, "worst_p95_ms": worst, "bars_ms": BAR_MS}))


def draw_sample(store: Store) -> list[dict[str, str]]:
    """Values to ask for: of some messages, and of the findings that most of all requests belong to."""
    messages = store.rows(
        "SELECT call_id, leftPad(lower(hex(id)), 16, '0') AS id, substring(IPv6NumToString(source), 8) AS source, "
        "concat(source, '/28') AS network FROM messages ORDER BY cityHash64(id) LIMIT 50"
    )
    found = {
        name: [row[column] for row in run_query(store, f"{name}s", options)]
        for name, column, options in (
            ("relay", "address", {}),
            ("origin", "address", {}),
            ("campaign", "id", {"relayed": "yes"}),
        )
    }
    for number, row in enumerate(messages):
        row |= {name: values[number % len(values)] for name, values in found.items() if values}
    return messages


def is_known(wanted: dict[str, Any], sample: list[dict[str, str]]) -> bool:
    """Whether the store has what a question asks for: one without findings has no relay."""
    return all(str(value)[1:] in sample[0] for value in wanted.values() if str(value).startswith("@"))


def timings(
    store: Store, name: str, wanted: dict[str, Any], sample: list[dict[str, str]], runs: int
) -> tuple[list[float], list[float], int]:
    """Seconds and CPU seconds of each run, every one with another sampled value, and rows of the last."""
    taken, used, count = [], [], 0
    for run in range(runs):
        drawn = sample[run % len(sample)]
        given = {k: drawn[v[1:]] if str(v).startswith("@") else v for k, v in wanted.items()}
        began, cpu = time.perf_counter(), time.process_time()
        count = len(list(run_query(store, name, given, now_ns())))
        taken.append(time.perf_counter() - began)
        used.append(time.process_time() - cpu)
    return taken, used, count


def report(label: str, measured: tuple[list[float], list[float], int]) -> float:
    taken, used, count = measured
    milliseconds = sorted(1000 * each for each in taken)
    p95 = milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * 0.95))]
    median, cpu = statistics.median(milliseconds), 1000 * statistics.median(used)
    print(f"{label:42} median {median:7.1f} ms  p95 {p95:7.1f} ms  CPU {cpu:7.1f} ms  {count} rows", flush=True)
    return p95


if __name__ == "__main__":
    main()
