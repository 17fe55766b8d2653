"""What was tested, by whom, with what result: a log that cannot be switched off, and the limits that it enforces.

SQLite in the data directory. Results are found by a secret alone; nobody can list others' results.
"""

import contextlib
import ipaddress
import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relaytrap.errors import DiskError, InputError

__all__ = ["LIMITS", "Entry", "Limits", "Register"]

HOUR_NS: Final = 3600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tests (
    secret TEXT PRIMARY KEY, target TEXT NOT NULL, user TEXT NOT NULL, addresses TEXT NOT NULL, proof TEXT NOT NULL,
    options TEXT NOT NULL, started_at_ns INTEGER NOT NULL, ended_at_ns INTEGER, verdict TEXT, report TEXT
);
CREATE INDEX IF NOT EXISTS tests_by_target ON tests (target, started_at_ns);
CREATE INDEX IF NOT EXISTS tests_by_user ON tests (user, started_at_ns);
CREATE TABLE IF NOT EXISTS asked (target TEXT NOT NULL, user TEXT NOT NULL, at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS opted_out (network TEXT PRIMARY KEY, since_ns INTEGER NOT NULL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tests may start: for one target an hour, for one user an hour and a day, at the same time.

    asked_an_hour: how often one user may have proofs of ownership looked up, which also reaches the target.
    """

    asked_an_hour: int = 30
    target_an_hour: int = 4
    user_an_hour: int = 6
    user_a_day: int = 20
    at_once: int = 2


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Entry:
    """One test. ended_at_ns, verdict, report: None while it runs."""

    secret: str
    target: str
    proof: str
    options: dict[str, Any]
    started_at_ns: int
    ended_at_ns: int | None
    verdict: str | None
    report: dict[str, Any] | None


class Register:
    """The log of tests. Every method opens, uses and closes a connection: calls come from any thread, and are few."""

    def __init__(self, data_dir: Path, limits: Limits = LIMITS) -> None:
        self._path = data_dir / "probe.sqlite3"
        self._limits = limits
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            with self._open() as connection:
                connection.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise DiskError(f"{self._path}: the log of tests cannot be written ({error}), so none are run") from None

    def secret_key(self) -> bytes:
        """This installation's key for ownership tokens; made once."""
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO settings VALUES ('ownership', ?)", (secrets.token_bytes(32),))
            return bytes(connection.execute("SELECT value FROM settings WHERE name = 'ownership'").fetchone()[0])

    def ask(self, target: str, user: str, addresses: list[str], now_ns: int) -> None:
        """Log that somebody asks, before anything is sent for a proof. Raises InputError as begin does."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._refuse_opted_out(connection, addresses)
            self._refuse_beyond_limits(connection, target, addresses, user, now_ns)
            asked = "SELECT count(*) FROM asked WHERE user = ? AND at_ns > ?"
            if connection.execute(asked, (user, now_ns - HOUR_NS)).fetchone()[0] >= self._limits.asked_an_hour:
                raise InputError(f"{self._limits.asked_an_hour} proofs an hour are enough for one; try again later")
            connection.execute("INSERT INTO asked VALUES (?, ?, ?)", (target.lower(), user, now_ns))

    def end_abandoned(self, now_ns: int) -> None:
        """End what a process that is gone left running, so that it neither counts as running nor is waited for."""
        sentence = "Relaytrap stopped before the test ended; run it again."
        report = json.dumps({"verdict": "not run", "sentence": sentence, "exit_status": 3})
        with self._open() as connection:
            connection.execute(
                "UPDATE tests SET ended_at_ns = ?, verdict = 'not run', report = ? WHERE ended_at_ns IS NULL",
                (now_ns, report),
            )

    def begin(
        self, target: str, user: str, addresses: list[str], proof: str, options: dict[str, Any], now_ns: int
    ) -> str:
        """Log the start of a test and give its secret.

        user: whoever asks, by address or name. Raises InputError with a sentence when a limit or an opt-out forbids it.
        """
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._refuse_opted_out(connection, addresses)
            self._refuse_beyond_limits(connection, target, addresses, user, now_ns)
            secret = secrets.token_urlsafe(24)
            connection.execute(
                "INSERT INTO tests VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
                (secret, target.lower(), user, json.dumps(addresses), proof, json.dumps(options), now_ns),
            )
        return secret

    def end(self, secret: str, verdict: str, report: dict[str, Any], now_ns: int) -> None:
        """Log how a test ended."""
        with self._open() as connection:
            connection.execute(
                "UPDATE tests SET ended_at_ns = ?, verdict = ?, report = ? WHERE secret = ?",
                (now_ns, verdict, json.dumps(report), secret),
            )

    def find(self, secret: str) -> Entry | None:
        """The test with that secret."""
        with self._open() as connection:
            row = connection.execute(
                "SELECT secret, target, proof, options, started_at_ns, ended_at_ns, verdict, report FROM tests "
                "WHERE secret = ?",
                (secret,),
            ).fetchone()
        if row is None:
            return None
        secret, target, proof, options, started, ended, verdict, report = row
        return Entry(
            secret, target, proof, json.loads(options), started, ended, verdict, json.loads(report) if report else None
        )

    def opt_out(self, network: str, note: str, now_ns: int) -> None:
        """Never test anything in a network. Raises InputError when the text is none."""
        try:
            text = str(ipaddress.ip_network(network, strict=False))
        except ValueError:
            raise InputError(f"{network!r} is no network; write it as 192.0.2.0/24") from None
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO opted_out VALUES (?, ?, ?)", (text, now_ns, note))

    def _refuse_opted_out(self, connection: sqlite3.Connection, addresses: list[str]) -> None:
        networks = [ipaddress.ip_network(row[0]) for row in connection.execute("SELECT network FROM opted_out")]
        for address in map(ipaddress.ip_address, addresses):
            if any(address in network for network in networks):
                raise InputError(f"{address} will not be tested: its network's operator asked for that")

    def _refuse_beyond_limits(
        self, connection: sqlite3.Connection, target: str, addresses: list[str], user: str, now_ns: int
    ) -> None:
        limits = self._limits
        # A server is its addresses: another name or port for it is not another server.
        here = "(target = ? OR EXISTS (SELECT 1 FROM json_each(addresses) AS each WHERE each.value IN (%s)))"
        here %= ", ".join("?" * len(addresses))

        def count(condition: str, *values: object) -> int:
            return int(connection.execute(f"SELECT count(*) FROM tests WHERE {condition}", values).fetchone()[0])

        if count("ended_at_ns IS NULL AND started_at_ns > ?", now_ns - HOUR_NS) >= limits.at_once:
            raise InputError("other tests are running; try again in a minute")
        tested = count(f"{here} AND started_at_ns > ?", target.lower(), *addresses, now_ns - HOUR_NS)
        if tested >= limits.target_an_hour:
            raise InputError(f"{target} was tested {limits.target_an_hour} times within the hour; try again later")
        if count("user = ? AND started_at_ns > ?", user, now_ns - HOUR_NS) >= limits.user_an_hour:
            raise InputError(f"{limits.user_an_hour} tests an hour are enough for one; try again later")
        if count("user = ? AND started_at_ns > ?", user, now_ns - DAY_NS) >= limits.user_a_day:
            raise InputError(f"{limits.user_a_day} tests a day are enough for one; try again tomorrow")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.rollback()
                raise
            if connection.in_transaction:
                connection.commit()
