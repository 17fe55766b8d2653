"""The hub's small database on a disk without room."""

import contextlib
from pathlib import Path

import pytest

from relaytrap.errors import DiskError
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
