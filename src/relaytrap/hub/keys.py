"""Which sensors may speak to this hub: names and tokens, of which only hashes are kept; and how each one fares.

A token has 256 random bits, so a plain hash guards it: there is nothing to guess.
"""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relaytrap.clock import now_ns
from relaytrap.errors import InputError
from relaytrap.hub.database import NAME, HubDatabase
from relaytrap.observation import SENSOR_NAME
from relaytrap.sample.networks import SENSOR_PREFIX as SAMPLE_PREFIX

__all__ = ["HEP_PREFIX", "Keys", "Sensor", "read_sensors"]

STATUS_MAX: Final = 16_384
HEP_PREFIX: Final = "hep-"
"""Before the name of every agent that speaks HEP, so that none can pass for a sensor that has a token."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor that was made known.

    last_seen_ns: None before its first word. clock_difference_ms: its clock minus ours at the last heartbeat.
    status: what its last heartbeat said.
    """

    name: str
    created_at_ns: int
    revoked_at_ns: int | None
    last_seen_ns: int | None
    clock_difference_ms: int | None
    status: Mapping[str, Any]


class Keys:
    """The sensors' names and tokens."""

    def __init__(self, database: HubDatabase) -> None:
        self._database = database

    def add(self, name: str) -> str:
        """Make a sensor known; gives its token, which is shown once and kept nowhere.

        Raises InputError for a name that is taken or unusable.
        """
        if not SENSOR_NAME.fullmatch(name):
            raise InputError(f"{name!r} cannot name a sensor; use letters, digits, dots and dashes, at most 63")
        if name.startswith((HEP_PREFIX, SAMPLE_PREFIX)):
            whose = "agents that speak HEP" if name.startswith(HEP_PREFIX) else "the bundled sample, and go with it"
            raise InputError(f"{name!r} cannot name a sensor: such names are those of {whose}; choose another name")
        token = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM sensors WHERE name = ?", (name,)).fetchone():
                raise InputError(f"a sensor {name} exists already; rotate its token or choose another name")
            row = (name, _hashed(token), now_ns())
            connection.execute("INSERT INTO sensors (name, token_hash, created_at_ns) VALUES (?, ?, ?)", row)
        return token

    def rotate(self, name: str) -> str:
        """A new token for a known sensor, which also lifts a revocation; the old one ends at once."""
        token = secrets.token_urlsafe(32)
        self._change("UPDATE sensors SET token_hash = ?, revoked_at_ns = NULL WHERE name = ?", _hashed(token), name)
        return token

    def revoke(self, name: str) -> None:
        """Take a sensor's permission away; its messages stay."""
        self._change("UPDATE sensors SET revoked_at_ns = ? WHERE name = ?", now_ns(), name)

    def check(self, token: str) -> str | None:
        """Name of the sensor that shows a valid token; None for any other."""
        if not token:
            return None
        with self._database.transaction(durable=False) as connection:
            found = connection.execute(
                "SELECT name FROM sensors WHERE token_hash = ? AND revoked_at_ns IS NULL", (_hashed(token),)
            ).fetchone()
        return found[0] if found else None

    def list_sensors(self) -> list[Sensor]:
        """All sensors, in order of name."""
        with self._database.transaction() as connection:
            return _sensors(connection)

    def note_heartbeat(self, name: str, status: Mapping[str, Any], sent_at_ns: int | None) -> Mapping[str, Any]:
        """Remember what a sensor said of itself, and how far its clock is from ours; gives what it said before."""
        now = now_ns()
        text = json.dumps(dict(status))
        difference = None if sent_at_ns is None else (sent_at_ns - now) // 1_000_000
        with self._database.transaction(durable=False) as connection:
            before = connection.execute("SELECT status FROM sensors WHERE name = ?", (name,)).fetchone()
            connection.execute(
                "UPDATE sensors SET last_seen_ns = ?, clock_difference_ms = ?, status = ? WHERE name = ?",
                (now, difference, text if len(text) <= STATUS_MAX else "{}", name),
            )
        said: Mapping[str, Any] = json.loads(before[0]) if before else {}
        return said

    def note_seen(self, name: str) -> None:
        """Remember that a sensor was heard of now."""
        with self._database.transaction(durable=False) as connection:
            connection.execute("UPDATE sensors SET last_seen_ns = ? WHERE name = ?", (now_ns(), name))

    def _change(self, sql: str, value: Any, name: str) -> None:
        with self._database.transaction() as connection:
            if connection.execute(sql, (value, name)).rowcount == 0:
                raise InputError(f"no sensor {name!r} is known to this hub")


def read_sensors(data_dir: Path) -> list[Sensor]:
    """The sensors of a hub that may run or not, changing nothing; empty where none was made known yet."""
    address = f"{(data_dir / NAME).absolute().as_uri()}?mode=ro"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
        return _sensors(connection)
    return []


def _sensors(connection: sqlite3.Connection) -> list[Sensor]:
    sql = (
        "SELECT name, created_at_ns, revoked_at_ns, last_seen_ns, clock_difference_ms, status FROM sensors "
        "ORDER BY name"
    )
    return [
        Sensor(name, created, revoked, seen, difference, json.loads(status))
        for name, created, revoked, seen, difference, status in connection.execute(sql)
    ]


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
