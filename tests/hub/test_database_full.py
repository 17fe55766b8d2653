"""The hub's small database on a disk without room, or held by somebody else."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from relaytrap.errors import DiskError, StoreError
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ledger import Ledger


def fill(ledger: Ledger) -> None:
    for number in range(10_000):
        ledger.record("s", "spool", number, bytes(16), 1)


def test_full_disk_is_said_in_a_sentence_and_the_next_change_works_again(tmp_path: Path) -> None:
    with contextlib.closing(HubDatabase(tmp_path)) as database:
        ledger = Ledger(database)
        with database.transaction() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DiskError, match="cannot be written"):
            fill(ledger)
        with database.transaction() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        ledger.record("s", "spool", 20_000, bytes(16), 1)
        assert ledger.look_up("s", "spool", 20_000, bytes(16)) == "again"


def test_a_database_that_somebody_keeps_locked_is_said_in_a_sentence(tmp_path: Path) -> None:
    with contextlib.closing(HubDatabase(tmp_path)) as database:
        ledger = Ledger(database)
        with database.transaction() as connection:
            connection.execute("PRAGMA busy_timeout = 10")
        with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="another program keeps it locked"):
                ledger.look_up("s", "spool", 1, bytes(16))
        assert ledger.look_up("s", "spool", 1, bytes(16)) == "new"


def test_a_disk_that_is_full_when_a_change_begins_is_said_in_a_sentence(tmp_path: Path) -> None:
    with contextlib.closing(HubDatabase(tmp_path)) as database:
        ledger = Ledger(database)
        with database.transaction() as connection:
            connection.execute("PRAGMA query_only = 1")
        with pytest.raises(DiskError, match="cannot be written"):
            ledger.record("s", "spool", 1, bytes(16), 1)
