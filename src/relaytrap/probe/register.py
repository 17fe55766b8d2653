"""What was tested, by whom, with what result: a log that cannot be switched off, and the limits that it enforces.

A test is in the log before its first packet, and what came of it when it ends. Results are found by a secret alone;
nobody can list others' results.
"""

import json
import os
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relaytrap.clock import rfc3339
from relaytrap.errors import InputError
from relaytrap.probe.opt_out import OptOuts
from relaytrap.probe.records import Records
from relaytrap.probe.report import not_run
from relaytrap.probe.target import Target

__all__ = ["COMMAND_LIMITS", "LIMITS", "Entry", "Limits", "Register"]

HOUR_NS: Final = 3600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
COLUMNS: Final = "secret, target, user, proof, options, started_at_ns, ended_at_ns, verdict, report, schedule"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tests may start: for one target an hour, for one user an hour and a day, at the same time.

    asked_an_hour: how often one user may have a name and proofs of its ownership looked up, which also reaches the
    target.
    """

    asked_an_hour: int = 30
    target_an_hour: int = 4
    user_an_hour: int = 6
    user_a_day: int = 20
    at_once: int = 2


LIMITS: Final = Limits()
# Whoever mends a server on the command line tests it again and again, and a monitor tests many.
COMMAND_LIMITS: Final = Limits(target_an_hour=12, user_an_hour=60, user_a_day=400, at_once=4)


@dataclass(frozen=True, slots=True)
class Entry:
    """One test. user: an address, or who used the command line. ended_at_ns, verdict, report: None while it runs.

    schedule: the secret of the schedule that it belongs to; "" for none.
    """

    secret: str
    target: str
    user: str
    proof: str
    options: dict[str, Any]
    started_at_ns: int
    ended_at_ns: int | None
    verdict: str | None
    report: dict[str, Any] | None
    schedule: str


class Register:
    """The log of tests."""

    def __init__(self, data_dir: Path, limits: Limits = LIMITS) -> None:
        self.records = Records(data_dir)
        self.opt_outs = OptOuts(self.records)
        self._limits = limits

    def secret_key(self) -> bytes:
        """This installation's key for ownership tokens; made once."""
        with self.records.change() as connection:
            connection.execute("INSERT OR IGNORE INTO settings VALUES ('ownership', ?)", (secrets.token_bytes(32),))
            return bytes(connection.execute("SELECT value FROM settings WHERE name = 'ownership'").fetchone()[0])

    def ask(self, named: str, user: str, now_ns: int) -> None:
        """Log that somebody asks, before the name is looked up. Raises InputError when that is too often for one."""
        with self.records.change() as connection:
            self._refuse_user(connection, user, now_ns)
            connection.execute("DELETE FROM asked WHERE at_ns <= ?", (now_ns - HOUR_NS,))  # no limit looks further back
            asked = "SELECT count(*) FROM asked WHERE user = ?"
            if connection.execute(asked, (user,)).fetchone()[0] >= self._limits.asked_an_hour:
                raise InputError(f"{self._limits.asked_an_hour} proofs an hour are enough for one; try again later")
            connection.execute("INSERT INTO asked VALUES (?, ?, ?)", (named.lower(), user, now_ns))

    def check(self, target: Target, now_ns: int) -> None:
        """Before anything is sent for a proof: raise InputError when a test of the target could not begin."""
        self._refuse_opted_out(target)
        with self.records.read() as connection:
            self._refuse_target(connection, target, now_ns)

    def begin(
        self, target: Target, user: str, proof: str, options: dict[str, Any], now_ns: int, *, schedule: str = ""
    ) -> str:
        """Log the start of a test and give its secret.

        user: whoever asks, by address or name. Raises InputError with a sentence when a limit or an opt-out forbids it.
        """
        self._refuse_opted_out(target)
        with self.records.change() as connection:
            self._refuse_user(connection, user, now_ns)
            self._refuse_target(connection, target, now_ns)
            secret = secrets.token_urlsafe(24)
            connection.execute(
                "INSERT INTO tests (secret, target, user, addresses, proof, options, started_at_ns, pid, schedule)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    secret,
                    target.named.lower(),
                    user,
                    json.dumps(target.addresses),
                    proof,
                    json.dumps(options),
                    now_ns,
                    os.getpid(),
                    schedule,
                ),
            )
        return secret

    def end(self, secret: str, report: dict[str, Any], now_ns: int) -> None:
        """Log how a test ended; the report as JSON has it."""
        with self.records.change() as connection:
            connection.execute(
                "UPDATE tests SET ended_at_ns = ?, verdict = ?, report = ? WHERE secret = ?",
                (now_ns, report["verdict"], json.dumps(report), secret),
            )

    def end_abandoned(self, now_ns: int, *, starting: bool = False) -> None:
        """End what processes that are gone left running, so that it neither counts as running nor is waited for.

        starting: this process has begun no test yet, so what bears its number is another's of before.
        """
        with self.records.change() as connection:
            rows = connection.execute("SELECT secret, target, started_at_ns, pid FROM tests WHERE ended_at_ns IS NULL")
            for secret, target, started, pid in rows.fetchall():
                if (pid == os.getpid() and not starting) or (pid != os.getpid() and _is_alive(pid)):
                    continue
                report = not_run(target, "Relaytrap stopped before the test ended; run it again.", rfc3339(started))
                connection.execute(
                    "UPDATE tests SET ended_at_ns = ?, verdict = ?, report = ? WHERE secret = ?",
                    (now_ns, report["verdict"], json.dumps(report), secret),
                )

    def join(self, secret: str, schedule: str) -> None:
        """Make a test that belongs to no schedule the first of one."""
        with self.records.change() as connection:
            connection.execute("UPDATE tests SET schedule = ? WHERE secret = ? AND schedule = ''", (schedule, secret))

    def find(self, secret: str) -> Entry | None:
        """The test with that secret."""
        return next(iter(self._entries("secret = ?", secret)), None)

    def history(self, schedule: str, limit: int = 100) -> list[Entry]:
        """Tests of a schedule, newest first."""
        return self._entries("schedule = ? ORDER BY started_at_ns DESC LIMIT ?", schedule, limit)

    def latest(self, limit: int = 100) -> list[Entry]:
        """The log itself, newest first: for the operator of this installation alone. limit: -1 for all."""
        return self._entries("true ORDER BY started_at_ns DESC LIMIT ?", limit)

    def _entries(self, condition: str, *values: object) -> list[Entry]:
        with self.records.read() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM tests WHERE {condition}", values).fetchall()
        return [
            Entry(
                secret=secret,
                target=target,
                user=user,
                proof=proof,
                options=json.loads(options),
                started_at_ns=started,
                ended_at_ns=ended,
                verdict=verdict,
                report=json.loads(report) if report else None,
                schedule=schedule,
            )
            for secret, target, user, proof, options, started, ended, verdict, report, schedule in rows
        ]

    def _refuse_opted_out(self, target: Target) -> None:
        self.opt_outs.refuse((target.host, target.domain), target.addresses)

    def _refuse_target(self, connection: sqlite3.Connection, target: Target, now_ns: int) -> None:
        # A server is its addresses: another name or port for it is not another server.
        here = "(target = ? OR EXISTS (SELECT 1 FROM json_each(addresses) AS each WHERE each.value IN (%s)))"
        here %= ", ".join("?" * len(target.addresses))
        named, most = target.named.lower(), self._limits.target_an_hour
        if _count(connection, f"{here} AND started_at_ns > ?", named, *target.addresses, now_ns - HOUR_NS) >= most:
            raise InputError(f"{named} was tested {most} times within the hour; try again later")

    def _refuse_user(self, connection: sqlite3.Connection, user: str, now_ns: int) -> None:
        limits = self._limits
        if _count(connection, "ended_at_ns IS NULL AND started_at_ns > ?", now_ns - HOUR_NS) >= limits.at_once:
            raise InputError("other tests are running; try again in a minute")
        if _count(connection, "user = ? AND started_at_ns > ?", user, now_ns - HOUR_NS) >= limits.user_an_hour:
            raise InputError(f"{limits.user_an_hour} tests an hour are enough for one; try again later")
        if _count(connection, "user = ? AND started_at_ns > ?", user, now_ns - DAY_NS) >= limits.user_a_day:
            raise InputError(f"{limits.user_a_day} tests a day are enough for one; try again tomorrow")


def _count(connection: sqlite3.Connection, condition: str, *values: object) -> int:
    return int(connection.execute(f"SELECT count(*) FROM tests WHERE {condition}", values).fetchone()[0])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
