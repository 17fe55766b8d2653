"""probe.sqlite3 in the data directory: tests, opt-outs and schedules of this installation.

Results are private to whoever asked for them, so the file is readable by its owner alone. Every use opens and closes a
connection: uses come from any thread and from several processes (page, command line), and are few.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from relaytrap.errors import DiskError, StoreTooNew

__all__ = ["Records"]

NAME: Final = "probe.sqlite3"
# Step n of the layout is STEPS[n - 1]; steps are only ever appended. SQLite's user_version counts those applied.
STEPS: Final = (
    """
    CREATE TABLE IF NOT EXISTS tests (
      secret TEXT PRIMARY KEY, target TEXT NOT NULL, user TEXT NOT NULL, addresses TEXT NOT NULL, proof TEXT NOT NULL,
      options TEXT NOT NULL, started_at_ns INTEGER NOT NULL, ended_at_ns INTEGER, verdict TEXT, report TEXT
    );
    CREATE INDEX IF NOT EXISTS tests_by_target ON tests (target, started_at_ns);
    CREATE INDEX IF NOT EXISTS tests_by_user ON tests (user, started_at_ns);
    CREATE TABLE IF NOT EXISTS asked (target TEXT NOT NULL, user TEXT NOT NULL, at_ns INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS opted_out (network TEXT PRIMARY KEY, since_ns INTEGER NOT NULL, note TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BLOB NOT NULL);
    """,
    """
    ALTER TABLE tests ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE tests ADD COLUMN schedule TEXT NOT NULL DEFAULT '';
    ALTER TABLE opted_out RENAME COLUMN network TO name;
    CREATE TABLE schedules (
      secret TEXT PRIMARY KEY, target TEXT NOT NULL, user TEXT NOT NULL, proof TEXT NOT NULL, options TEXT NOT NULL,
      every_s INTEGER NOT NULL, created_at_ns INTEGER NOT NULL, next_at_ns INTEGER NOT NULL, problem TEXT NOT NULL
    ) STRICT;
    CREATE TABLE notices (
      schedule TEXT NOT NULL, at_ns INTEGER NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, sentence TEXT NOT NULL,
      test TEXT NOT NULL
    ) STRICT;
    CREATE INDEX notices_by_schedule ON notices (schedule, at_ns);
    CREATE INDEX tests_by_schedule ON tests (schedule, started_at_ns);
    """,
)


class Records:
    """The file, made or brought up to date when this is made. Raises DiskError or StoreTooNew with one sentence."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / NAME
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        with self.change() as connection:
            self._migrate(connection)

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A connection for one change: all of it happens or nothing. Raises DiskError."""
        with self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for questions. Raises DiskError."""
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                yield connection
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None

    def _unusable(self, why: str) -> DiskError:
        return DiskError(
            f"{self.path}: the log of tests cannot be used ({why}), so none are run; give permission, free space, or "
            "name another directory with --data"
        )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        seen = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if seen > len(STEPS):
            raise StoreTooNew(f"{self.path} was written by a newer Relaytrap; install that version or a newer one")
        for step in STEPS[seen:]:
            for statement in filter(str.strip, step.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
