"""Tests that run again and again, and what is noticed when a result changes."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from relaytrap.errors import InputError
from relaytrap.probe.records import Records
from relaytrap.probe.verdict import EXIT_NOT_RUN, EXIT_UNDECIDED

__all__ = ["STATED", "Notice", "Schedule", "Schedules", "has_changed", "parse_every", "weigh_change"]

# The proof of a schedule that was made on the command line of this installation: its operator said so.
STATED: Final = "stated on the command line"
UNITS: Final = {"h": 3600, "d": 86400, "w": 7 * 86400}
EVERY: Final = re.compile(r"([1-9][0-9]{0,2})([hdw])", re.ASCII)
PER_USER: Final = 20


@dataclass(frozen=True, slots=True)
class Schedule:
    """One server that is tested again and again.

    user: the address that asked, or who used the command line. proof: how ownership was proved. problem: why the last
    test that was due did not run; "" when it did.
    """

    secret: str
    target: str
    user: str
    proof: str
    options: dict[str, Any]
    every_s: int
    created_at_ns: int
    next_at_ns: int
    problem: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A result that differs from the one before it. before, after: verdicts. test: the secret of the newer test."""

    at_ns: int
    before: str
    after: str
    sentence: str
    test: str


class Schedules:
    """The schedules of this installation."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add(
        self,
        target: str,
        user: str,
        proof: str,
        options: Mapping[str, Any],
        every_s: int,
        now_ns: int,
        first_at_ns: int,
    ) -> str:
        """Test a server again and again, from a moment on; gives the schedule's secret.

        Who asks again for the same server changes the schedule that is there. Raises InputError when one user has too
        many.
        """
        with self._records.change() as connection:
            had = connection.execute("SELECT secret, target FROM schedules WHERE user = ?", (user,)).fetchall()
            known = next((secret for secret, named in had if named == target), None)
            if known is None and len(had) >= PER_USER:
                raise InputError(f"{PER_USER} schedules are enough for one; end one of them first")
            row = (known or secrets.token_urlsafe(24), target, user, proof, json.dumps(dict(options)), every_s, now_ns)
            connection.execute(
                "INSERT OR REPLACE INTO schedules VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')", (*row, first_at_ns)
            )
        return row[0]

    def remove(self, secret: str) -> None:
        """End a schedule; its tests stay in the log."""
        with self._records.change() as connection:
            connection.execute("DELETE FROM schedules WHERE secret = ?", (secret,))

    def find(self, secret: str) -> Schedule | None:
        """The schedule with that secret."""
        return next(iter(self._schedules("secret = ?", secret)), None)

    def list_schedules(self) -> list[Schedule]:
        """All of them, in order of target: for the operator of this installation alone."""
        return self._schedules("true ORDER BY target, user")

    def due(self, now_ns: int) -> list[Schedule]:
        """Those whose time has come, the longest waiting first. One that was missed several times is due once."""
        return self._schedules("next_at_ns <= ? ORDER BY next_at_ns", now_ns)

    def set_next(self, secret: str, next_at_ns: int, problem: str = "") -> None:
        """When a schedule is due again, and why it did not run now."""
        with self._records.change() as connection:
            connection.execute(
                "UPDATE schedules SET next_at_ns = ?, problem = ? WHERE secret = ?", (next_at_ns, problem, secret)
            )

    def add_notice(self, schedule: str, notice: Notice) -> None:
        """Keep that a result changed."""
        row = (schedule, notice.at_ns, notice.before, notice.after, notice.sentence, notice.test)
        with self._records.change() as connection:
            connection.execute("INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?)", row)

    def notices(self, schedule: str, limit: int = 20) -> list[Notice]:
        """Changes of a schedule's results, newest first."""
        with self._records.read() as connection:
            rows = connection.execute(
                "SELECT at_ns, before, after, sentence, test FROM notices WHERE schedule = ?"
                " ORDER BY at_ns DESC, rowid DESC LIMIT ?",
                (schedule, limit),
            ).fetchall()
        return [Notice(*row) for row in rows]

    def _schedules(self, condition: str, *values: object) -> list[Schedule]:
        with self._records.read() as connection:
            rows = connection.execute(f"SELECT * FROM schedules WHERE {condition}", values).fetchall()
        return [
            Schedule(secret, target, user, proof, json.loads(options), every, created, due, problem)
            for secret, target, user, proof, options, every, created, due, problem in rows
        ]


def parse_every(text: str) -> int:
    """Seconds of 12h, 1d or 2w. Raises InputError for anything else."""
    match = EVERY.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is no interval; write 12h, 1d or 1w")
    return int(match[1]) * UNITS[match[2]]


def has_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two reports say different things of a server. One that was not run says nothing."""
    if EXIT_NOT_RUN in (before["exit_status"], after["exit_status"]):
        return False
    return [list(each) for each in before["classes"]] != [list(each) for each in after["classes"]]


def weigh_change(
    known: Mapping[str, Any] | None, latest: Mapping[str, Any] | None, report: Mapping[str, Any]
) -> Literal["none", "doubtful", "certain"]:
    """Whether a result is news for somebody who knows one of before.

    known: what was told last. latest: the result just before this one. An open or closed server is proved in one test;
    an undecided one may be a few lost packets: it is doubtful until two tests in a row say the same.
    """
    if known is None or not has_changed(known, report):
        return "none"
    again = latest is not None and latest["exit_status"] == EXIT_UNDECIDED and not has_changed(latest, report)
    return "doubtful" if report["exit_status"] == EXIT_UNDECIDED and not again else "certain"
