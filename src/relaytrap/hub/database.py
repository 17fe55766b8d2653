"""The hub's small database: sensors, their tokens, the segments taken in. Standard SQLite beside the store.

Messages never come here. One connection, guarded by a lock; each change is durable when its method returns.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from relaytrap.errors import DiskError, StoreError, StoreTooNew

__all__ = ["NAME", "HubDatabase"]

NAME: Final = "hub.sqlite3"
UNWRITABLE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
# Step n of the layout is STEPS[n - 1]; steps are only ever appended. SQLite's user_version counts those applied.
STEPS: Final = (
    """
    CREATE TABLE sensors (
      name TEXT PRIMARY KEY, token_hash BLOB NOT NULL, created_at_ns INTEGER NOT NULL, revoked_at_ns INTEGER,
      last_seen_ns INTEGER, clock_difference_ms INTEGER, status TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE UNIQUE INDEX sensors_by_token ON sensors (token_hash);
    CREATE TABLE segments (
      sensor TEXT NOT NULL, spool TEXT NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL,
      messages INTEGER NOT NULL, taken_at_ns INTEGER NOT NULL, PRIMARY KEY (sensor, spool, number, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE incidents (
      at_ns INTEGER NOT NULL, sensor TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE incidents RENAME TO incidents_before;
    CREATE TABLE incidents (
      sensor TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, first_ns INTEGER NOT NULL, at_ns INTEGER NOT NULL,
      times INTEGER NOT NULL, PRIMARY KEY (sensor, kind)
    ) STRICT;
    INSERT INTO incidents SELECT sensor, kind, text, at_ns, max(at_ns), count(*) FROM incidents_before GROUP BY 1, 2;
    DROP TABLE incidents_before;
    CREATE TABLE identity (hub TEXT NOT NULL) STRICT;
    INSERT INTO identity VALUES (lower(hex(randomblob(8))));
    CREATE TABLE runs (
      sensor TEXT NOT NULL, run TEXT NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
      beat INTEGER NOT NULL, said_at TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (sensor, run)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE begun (
      sensor TEXT NOT NULL, spool TEXT NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL,
      PRIMARY KEY (sensor, spool, number, digest)
    ) STRICT, WITHOUT ROWID;
    """,
    "ALTER TABLE identity ADD COLUMN restored_at_ns INTEGER NOT NULL DEFAULT 0;",
)


class HubDatabase:
    """An open hub database; close it at the end."""

    def __init__(self, data_dir: Path) -> None:
        """Open, make what is missing. Raises DiskError, StoreError, StoreTooNew."""
        self.path = data_dir / NAME
        self._mutex = threading.RLock()
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
            self.path.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._migrate()
        except OSError as error:
            raise DiskError(
                f"{self.path}: cannot be written ({error.strerror}); give permission or free space"
            ) from None
        except sqlite3.Error as error:
            if _code(error) in {*UNWRITABLE, sqlite3.SQLITE_CANTOPEN}:
                raise DiskError(
                    f"{self.path}: cannot be opened or made ({error}); give permission, free space, or name another "
                    "directory with --data"
                ) from None
            raise StoreError(
                f"{self.path}: cannot be opened ({error}); restore it from a backup or move it away"
            ) from None

    def _migrate(self) -> None:
        seen = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if seen > len(STEPS):
            raise StoreTooNew(f"{self.path} was written by a newer Relaytrap; install that version or a newer one")
        for number, step in enumerate(STEPS[seen:], seen + 1):
            self._connection.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """The connection for one change or question; all of it happens or nothing. Raises DiskError or StoreError.

        durable: False for what is said again in a moment: a power cut may take it back, and it waits for no disk.
        """
        with self._mutex:
            try:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:  # SQLite ends one itself that finds the disk full
                    self._connection.execute("ROLLBACK")
                code = _code(error)
                if code in UNWRITABLE:
                    raise DiskError(
                        f"{self.path}: cannot be written ({error}); free space or give permission"
                    ) from None
                if code == sqlite3.SQLITE_BUSY:
                    raise StoreError(f"{self.path}: another program keeps it locked; end that one") from None
                raise

    def close(self) -> None:
        """Close; further calls fail."""
        with self._mutex:
            self._connection.close()


def _code(error: BaseException) -> int | None:
    """The primary result code of SQLite; None for other errors."""
    return error.sqlite_errorcode & 0xFF if isinstance(error, sqlite3.OperationalError) else None
