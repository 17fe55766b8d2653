"""Rows and stores for tests: the real engine in a directory of its own.

One process hosts one engine path at a time, so whoever opens a store closes it before the next module opens another.
"""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relaytrap.config import StoreConfig
from relaytrap.store import Store
from relaytrap.store.findings_schema import FINDINGS
from relaytrap.store.native import native_block
from relaytrap.store.schema import COLUMNS, NAMES, Column

__all__ = [
    "NOON_NS",
    "ROOT",
    "SECOND_NS",
    "address",
    "clear",
    "count_messages",
    "dedented",
    "keep",
    "opened_store",
    "row",
    "run_child",
]

ROOT = Path(__file__).parent.parent

NOON_NS = 1_790_078_400_000_000_000
"""2026-09-22 12:00 UTC."""
SECOND_NS = 1_000_000_000


def _empty(column: Column) -> Any:
    kinds = {"String": b"", "IPv6": bytes(16), "Array": (), "Enum8": 1}
    return kinds.get(column.sent.partition("(")[0], 0)


EMPTY = {column.name: _empty(column) for column in COLUMNS}


def address(text: str) -> bytes:
    """An IPv4 address as the store keeps it."""
    return bytes(10) + b"\xff\xff" + bytes(map(int, text.split(".")))


def row(number: int = 0, **given: Any) -> tuple[Any, ...]:
    """A request that came in `number` seconds after noon; any column can be given."""
    usual = {
        "id": number + 1,
        "received_at": NOON_NS + number * SECOND_NS,
        "ingested_at": NOON_NS // 1_000_000,
        "sensor": b"trap",
        "transport": b"udp",
        "source": address("192.0.2.7"),
        "local": address("198.51.100.1"),
        "method": b"OPTIONS",
        "max_forwards": 70,
        "start": -1,
        "raw": b"OPTIONS sip:100@198.51.100.1 SIP/2.0\r\n\r\n",
    }
    assert set(given) <= set(NAMES), set(given) - set(NAMES)
    return tuple({**EMPTY, **usual, **given}[name] for name in NAMES)


def keep(store: Store, rows: Sequence[tuple[Any, ...]], token: str) -> None:
    """Insert rows as one batch."""
    store.insert_block("messages", native_block(rows), token)


def count_messages(store: Store) -> int:
    """How many messages a store holds."""
    return int(store.row("SELECT count() AS n FROM messages")["n"])


def clear(store: Store) -> None:
    """Empty every table that tests fill, tokens included: each test's tokens are its own."""
    for table in (*map(store.layout.altered, ("messages", "hourly", "hourly_sources")), *FINDINGS):
        store.command(f"TRUNCATE TABLE {table}")


@contextmanager
def opened_store(folder: Path, **settings: Any) -> Iterator[Store]:
    """An open store; closed at the end."""
    with Store(StoreConfig(**settings), folder) as store:
        yield store


def dedented(script: str) -> str:
    """A test's script as a program with Path at hand."""
    return "from pathlib import Path\n" + textwrap.dedent(script)


def run_child(script: str) -> str:
    """What a script prints in a process of its own."""
    command = [sys.executable, "-c", dedented(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
