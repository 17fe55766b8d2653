"""Which segments have been taken in, so that one that comes again is acknowledged and not stored again.

The store recognises a repeated batch by its token; this list knows it longer, and knows its contents: a number that
comes with other bytes (a sensor restored from a snapshot, two sensors under one name) is kept and reported.
"""

import hashlib
from typing import Final, Literal

from relaytrap.clock import now_ns, rfc3339
from relaytrap.hub.database import HubDatabase

__all__ = ["Ledger", "Seen"]

Seen = Literal["new", "again", "other"]

KEPT_SEGMENTS: Final = 100_000
"""Numbers behind the newest of a spool that are remembered; a sensor resends from its last few thousand at most."""
KEPT_INCIDENTS: Final = 1_000


class Ledger:
    """The segments of every sensor."""

    def __init__(self, database: HubDatabase) -> None:
        self._database = database

    def look_up(self, sensor: str, spool: str, number: int, digest: bytes) -> Seen:
        """Whether a segment is "new", the same "again", or another one ("other") under a number that was used."""
        with self._database.transaction() as connection:
            known = connection.execute(
                "SELECT digest FROM segments WHERE sensor = ? AND spool = ? AND number = ?", (sensor, spool, number)
            ).fetchall()
        if not known:
            return "new"
        return "again" if (digest,) in known else "other"

    def record(self, sensor: str, spool: str, number: int, digest: bytes, messages: int) -> None:
        """Remember a segment that is safely stored."""
        with self._database.transaction() as connection:
            row = (sensor, spool, number, digest, messages, now_ns())
            connection.execute("INSERT OR IGNORE INTO segments VALUES (?, ?, ?, ?, ?, ?)", row)
            if number % 1000 == 0:
                connection.execute(
                    "DELETE FROM segments WHERE sensor = ? AND spool = ? AND number < ?",
                    (sensor, spool, number - KEPT_SEGMENTS),
                )

    def report(self, sensor: str, kind: str, text: str) -> None:
        """Note something that an operator should see."""
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO incidents VALUES (?, ?, ?, ?)", (now_ns(), sensor, kind, text))
            connection.execute(
                "DELETE FROM incidents WHERE rowid <= (SELECT max(rowid) FROM incidents) - ?", (KEPT_INCIDENTS,)
            )

    def list_incidents(self, limit: int = 100) -> list[dict[str, str]]:
        """What was noted, newest first: at, sensor, kind, text."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT at_ns, sensor, kind, text FROM incidents ORDER BY rowid DESC LIMIT ?", (limit,)
            ).fetchall()
        return [{"at": rfc3339(at), "sensor": sensor, "kind": kind, "text": text} for at, sensor, kind, text in rows]


def digest_of(data: bytes) -> bytes:
    """What tells one segment from another: 16 bytes over all of it."""
    return hashlib.blake2b(data, digest_size=16).digest()
