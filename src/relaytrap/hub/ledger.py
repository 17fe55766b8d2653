"""Which segments have been taken in, so that one that comes again is acknowledged and not stored again.

The store recognises a repeated batch by its token; this list knows it longer, and knows its contents: a number that
comes with other bytes (a sensor restored from a snapshot, two sensors under one name) is kept and reported.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, Literal

from relaytrap.clock import now_ns, rfc3339
from relaytrap.hub.database import NAME, HubDatabase

__all__ = ["Ledger", "Seen", "SegmentKey", "digest_of", "read_incidents"]

SegmentKey = tuple[str, str, int, bytes]
"""By which a segment is known here: sensor, spool, number, digest."""

Seen = Literal["new", "again", "other", "imported", "begun"]
"""begun: its insert was begun, and nobody knows how it ended, or whether there was one. imported: an operator imported
a segment of this number, with other contents; perhaps the same one, unfinished."""

KEPT_SEGMENTS: Final = 100_000
"""Numbers behind the newest of a spool that are remembered; a sensor resends from its last few thousand at most."""
CLOCK_AHEAD_NS: Final = 86_400_000_000_000
"""A segment dated up to this long after a restore may be from before: its sensor's clock may be ahead."""
IMPORTED: Final = "import"
"""Stands for the spool of a segment that an operator imported: the file does not name its spool."""
KEPT_INCIDENTS: Final = 1_000
REPORT_AGAIN_NS: Final = 60_000_000_000


class Ledger:
    """The segments of every sensor.

    unsure_before_ns: a segment that begins before may be stored and not noted here, as this list was restored from a
    backup and the store was not; 0 usually.
    """

    def __init__(self, database: HubDatabase) -> None:
        self._database = database
        with database.transaction() as connection:
            hub, restored = connection.execute("SELECT hub, restored_at_ns FROM identity").fetchone()
        self.hub_id = str(hub)
        self.unsure_before_ns = restored + CLOCK_AHEAD_NS if restored else 0

    def look_up(self, sensor: str, spool: str, number: int, digest: bytes) -> Seen:
        """Whether a segment is "new", the same "again", or another one ("other") under a number that was used."""
        with self._database.transaction() as connection:
            known = connection.execute(
                "SELECT digest, spool FROM segments WHERE sensor = ? AND spool IN (?, ?) AND number = ?",
                (sensor, spool, IMPORTED, number),
            ).fetchall()
            sql = "SELECT 1 FROM begun WHERE sensor = ? AND spool = ? AND number = ? AND digest = ?"
            begun = connection.execute(sql, (sensor, spool, number, digest)).fetchone() is not None
        if digest in (each for each, _ in known):
            return "again"
        if spool in (each for _, each in known):
            return "other"
        if known:
            return "imported"
        return "begun" if begun else "new"

    def mark_restored(self) -> None:
        """Remember that this list, out of a backup, may be older than the store: a server's, which went on."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE identity SET restored_at_ns = ?", (now_ns(),))

    def begin(self, segments: Iterable[SegmentKey]) -> None:
        """Remember segments whose insert begins now, until they are recorded."""
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO begun VALUES (?, ?, ?, ?)", segments)

    def highest(self, sensor: str, spool: str) -> int:
        """The highest number taken in of a spool; 0 before the first."""
        with self._database.transaction() as connection:
            sql = "SELECT max(number) FROM segments WHERE sensor = ? AND spool = ?"
            return connection.execute(sql, (sensor, spool)).fetchone()[0] or 0

    def record(self, sensor: str, spool: str, number: int, digest: bytes, messages: int) -> None:
        """Remember a segment that is safely stored."""
        with self._database.transaction() as connection:
            _record(connection, (sensor, spool, number, digest), messages)

    def record_passed(self, segments: Iterable[SegmentKey]) -> None:
        """Remember segments that the stream has, not yet counted."""
        with self._database.transaction() as connection:
            for segment in segments:
                _record(connection, segment, 0)

    def note_import(self, sensor: str, number: int) -> None:
        """Remember that messages of a segment came by an import; it may still be shipped."""
        self.record(sensor, IMPORTED, number, b"", 0)

    def report(self, sensor: str, kind: str, text: str) -> None:
        """Note something that an operator should see; what goes on is one note, with its beginning and its end."""
        now = now_ns()
        with self._database.transaction() as connection:
            sql = "SELECT text, at_ns FROM incidents WHERE sensor = ? AND kind = ?"
            before = connection.execute(sql, (sensor, kind)).fetchone()
            if before and before[0] == text and 0 <= now - before[1] < REPORT_AGAIN_NS:
                return
            connection.execute(
                "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (sensor, kind) DO UPDATE "
                "SET text = excluded.text, at_ns = excluded.at_ns, times = times + 1",
                (sensor, kind, text, now, now),
            )
            if not before:
                connection.execute(
                    "DELETE FROM incidents WHERE rowid IN (SELECT rowid FROM incidents ORDER BY at_ns DESC "
                    "LIMIT -1 OFFSET ?)",
                    (KEPT_INCIDENTS,),
                )

    def list_incidents(self, limit: int = 100) -> list[dict[str, str]]:
        """What was noted, newest first: at (the last time), since (the first), sensor, kind, text."""
        with self._database.transaction() as connection:
            return _incidents(connection, limit)


def _record(connection: sqlite3.Connection, segment: SegmentKey, messages: int) -> None:
    sensor, spool, number, _ = segment
    connection.execute("INSERT OR IGNORE INTO segments VALUES (?, ?, ?, ?, ?, ?)", (*segment, messages, now_ns()))
    connection.execute("DELETE FROM begun WHERE sensor = ? AND spool = ? AND number = ? AND digest = ?", segment)
    if number % 1000 == 0:
        connection.execute(
            "DELETE FROM segments WHERE sensor = ? AND spool = ? AND number < ?",
            (sensor, spool, number - KEPT_SEGMENTS),
        )


def read_incidents(data_dir: Path, limit: int = 100) -> list[dict[str, str]]:
    """The same of a hub that may run or not, changing nothing; empty for a database of an older version."""
    address = f"{(data_dir / NAME).absolute().as_uri()}?mode=ro"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        return _incidents(connection, limit)
    return []


def _incidents(connection: sqlite3.Connection, limit: int) -> list[dict[str, str]]:
    sql = "SELECT at_ns, first_ns, sensor, kind, text FROM incidents ORDER BY at_ns DESC LIMIT ?"
    return [
        {"at": rfc3339(at), "since": rfc3339(first), "sensor": sensor, "kind": kind, "text": text}
        for at, first, sensor, kind, text in connection.execute(sql, (limit,))
    ]


def digest_of(data: bytes) -> bytes:
    """What tells one segment from another: 16 bytes over all of it."""
    return hashlib.blake2b(data, digest_size=16).digest()
