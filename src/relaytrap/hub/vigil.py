"""What heartbeats give away: sensors set back, doubled, losing, or wrong about the time; and a hub that was set back.

A heartbeat is compared with the one before, with the segments that this hub has, and with the other processes that
speak under the same name. What is found becomes an incident: on the Sensors page, in `relaytrap sensor list` and in
`relaytrap doctor`. Heartbeats of older sensors say less; what they do not say is not judged.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from relaytrap import __version__
from relaytrap.clock import monotonic, now_ns
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.fares import find_number, find_text
from relaytrap.hub.keys import Keys
from relaytrap.hub.ledger import Ledger
from relaytrap.observation import FORMAT_VERSION

__all__ = ["Incident", "Run", "Vigil", "judge_clock", "judge_heartbeat", "judge_runs"]

CLOCK_OFF_MS: Final = 5_000
AGREEING_MIN: Final = 3
"""So many machines that are off by the same, and more than do not, are right: the hub is wrong. Two may be a pair."""
HEARD_S: Final = 60.0
"""A clock that was not heard of for so long says nothing any more."""
TOGETHER_NS: Final = 60_000_000_000
"""Two processes heard of within this time run side by side; one that comes back later was restored."""
FORGET_RUNS_NS: Final = 86_400_000_000_000
RUNS_MAX: Final = 16
"""Of one sensor; all are read with each heartbeat, and a service that starts again and again would have thousands."""

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that an operator should see. kind: stable, for programs; text: one or two sentences."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """One process of a sensor as last heard of. said_at: its own time, as written, of that word."""

    run: str
    first_ns: int
    last_ns: int
    beat: int
    said_at: str
    address: str


class Vigil:
    """Takes heartbeats; thread-safe."""

    def __init__(self, database: HubDatabase, keys: Keys, ledger: Ledger) -> None:
        self._database = database
        self._keys = keys
        self._ledger = ledger
        self._guard = threading.Lock()
        self._clocks: dict[str, tuple[float, int]] = {}
        self._before: dict[str, int] = {}

    def take(self, sensor: str, status: Status, sent_at_ns: int | None, address: str) -> dict[str, Any]:
        """Note a heartbeat of an authenticated sensor, report what is wrong, and give what the hub answers.

        sent_at_ns: the sensor's time in it, None when it said none. address: where it came from.
        """
        now = now_ns()
        before = self._keys.note_heartbeat(sensor, status, sent_at_ns)
        spool = find_text(status, "spool", "id")
        highest = self._ledger.highest(sensor, spool)
        found = list(judge_heartbeat(sensor, before, status, hub_id=self._ledger.hub_id, highest=highest))
        if sent_at_ns is not None:
            ahead_ms = (sent_at_ns - now) // 1_000_000
            # A heartbeat that came late looks like a clock that is behind: the one before must say so, too.
            before_ms, self._before[sensor] = self._before.get(sensor, 0), ahead_ms
            found += judge_clock(sensor, max(ahead_ms, min(before_ms, 0)), self._note_clock(sensor, status, ahead_ms))
        if run := find_text(status, "run"):
            current = Run(run, now, now, _number(status, "beat"), find_text(status, "clock"), address)
            others = self._note_run(sensor, current)
            found += judge_runs(sensor, current, others)
        for incident in found:
            self._ledger.report(sensor, incident.kind, incident.text)
        return {
            "ok": True,
            "sensor": sensor,
            "hub": self._ledger.hub_id,
            "version": __version__,
            "format": FORMAT_VERSION,
            "highest_segment": highest,
        }

    def _note_clock(self, sensor: str, status: Status, ahead_ms: int) -> list[int]:
        """Remember how far a clock is ahead; all that other machines' sensors said lately, this one's among them."""
        now = monotonic()
        with self._guard:
            if find_text(status, "hub_trust") != "loopback":  # this machine's own has our clock
                self._clocks[sensor] = now, ahead_ms
            if abs(ahead_ms) <= CLOCK_OFF_MS:
                return []
            self._clocks = {name: each for name, each in self._clocks.items() if now - each[0] <= HEARD_S}
            return [each for _, each in self._clocks.values()]

    def _note_run(self, sensor: str, current: Run) -> list[Run]:
        """Remember who speaks; the processes that were heard of before under this name, this one among them."""
        with self._database.transaction(durable=False) as connection:
            sql = "SELECT run, first_ns, last_ns, beat, said_at, address FROM runs WHERE sensor = ? ORDER BY first_ns"
            runs = [Run(*row) for row in connection.execute(sql, (sensor,))]
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sensor, run) DO UPDATE SET "
                "last_ns = excluded.last_ns, beat = excluded.beat, said_at = excluded.said_at, "
                "address = excluded.address",
                (sensor, current.run, current.first_ns, current.last_ns, *_said(current)),
            )
            if len(runs) > 1:
                newest = "SELECT run FROM runs WHERE sensor = ? ORDER BY last_ns DESC LIMIT ?"
                connection.execute(
                    f"DELETE FROM runs WHERE sensor = ? AND (last_ns < ? OR run NOT IN ({newest}))",
                    (sensor, current.last_ns - FORGET_RUNS_NS, sensor, RUNS_MAX),
                )
        return runs


def judge_heartbeat(sensor: str, before: Status, now: Status, *, hub_id: str, highest: int) -> Iterator[Incident]:
    """What is wrong with what a sensor says, given what it said last and the highest segment we have of its spool."""
    if _number(now, "format") > FORMAT_VERSION:
        yield Incident(
            "format-newer",
            f"{sensor} writes segment format {_number(now, 'format')}, and this hub reads up to {FORMAT_VERSION}: "
            "update the hub. Until then its messages wait in its spool.",
        )
    yield from _losses(sensor, before, now)
    if (own := find_text(now, "sensor")) and own != sensor:
        yield Incident(
            "name-differs",
            f"A sensor whose settings call it {own} shows the token of {sensor}; its messages stand under {sensor}. "
            "Let sensor.name and the token belong together.",
        )
    else:
        yield from _set_back(sensor, before, now, hub_id, highest)
    if find_text(before, "run") == find_text(now, "run") and _number(now, "clock_steps") > _number(
        before, "clock_steps"
    ):
        step_s = _number(now, "clock_last_step_s")
        yield Incident(
            "clock-set",
            f"The clock of {sensor} was set by {step_s:+,} s while it ran: times before and after do not go together.",
        )


def _losses(sensor: str, before: Status, now: Status) -> Iterator[Incident]:
    same = before if find_text(before, "spool", "id") == find_text(now, "spool", "id") else {}
    unwritten, dropped = _number(now, "spool", "lost_observations"), _number(now, "spool", "dropped_observations")
    said = _number(same, "spool", "lost_observations") + _number(same, "spool", "dropped_observations")
    if unwritten + dropped > said:
        yield Incident(
            "loss",
            f"{sensor} has lost {unwritten + dropped:,} messages: {unwritten:,} for which its disk had no room, and "
            f"{dropped:,} that were dropped from its spool before a hub took them. Raise sensor.spool_max_bytes or "
            "sensor.spool_max_days there, or make room.",
        )
    if find_number(now, "spool", "is_full"):
        yield Incident("disk-full", f"{sensor} cannot write its spool: make room on its disk.")


def _set_back(sensor: str, before: Status, now: Status, hub_id: str, highest: int) -> Iterator[Incident]:
    acknowledged, following = _number(now, "spool", "acknowledged"), _number(now, "spool", "next_segment")
    if find_text(now, "spool", "hub") == hub_id and acknowledged > highest:
        yield Incident("hub-set-back", _hub_set_back(sensor, now, acknowledged, highest))
    elif 0 < following <= highest and find_number(now, "spool", "begun_anew"):
        yield Incident(
            "spool-begun-anew",
            f"{sensor} lost its spool's memory (state.json), as when its power was cut: it was about to write segment "
            f"{following}, and {highest} is here already. It goes on behind that, and no message is lost by this; its "
            "counts of what was lost begin anew.",
        )
    elif 0 < following <= highest:
        waited = _number(before, "spool", "waiting_segments")
        yield Incident(
            "spool-set-back",
            f"The spool of {sensor} was set back, as when a machine is restored from a snapshot: it was about to write "
            f"segment {following}, and {highest} is here already. It goes on behind that; what is already here is not "
            f"stored twice. What it had recorded since and not shipped is gone ({waited} segments waited when it was "
            "last heard of).",
        )


def _hub_set_back(sensor: str, now: Status, acknowledged: int, highest: int) -> str:
    spool = now.get("spool")
    kept = spool.get("kept") if isinstance(spool, Mapping) else None
    lowest = kept[0] if isinstance(kept, list) and kept and isinstance(kept[0], int) else acknowledged + 1
    again = max(lowest, highest + 1)
    text = (
        f"This hub was set back, as when it is restored from a backup: it had acknowledged segments of {sensor} up to "
        f"{acknowledged} and has them up to {highest}. "
    )
    text += f"{sensor} still keeps {again} to {acknowledged} and ships them again" if again <= acknowledged else ""
    if again > highest + 1:
        text += ("; " if again <= acknowledged else "") + f"{highest + 1} to {again - 1} are lost"
    return f"{text}."


def judge_clock(sensor: str, ahead_ms: int, heard: Iterable[int]) -> Iterator[Incident]:
    """Whose clock is wrong when a sensor's is not the hub's. heard: how far those of other machines are ahead."""
    if abs(ahead_ms) <= CLOCK_OFF_MS:
        return
    seconds = round(ahead_ms / 1000)
    side = "ahead of" if seconds >= 0 else "behind"
    much = f"{abs(seconds)} s" if abs(seconds) < 120 else f"{round(abs(seconds) / 60):,} minutes"
    agreeing = [abs(each - ahead_ms) <= CLOCK_OFF_MS for each in heard]
    if sum(agreeing) >= AGREEING_MIN and sum(agreeing) * 2 > len(agreeing):
        yield Incident(
            "clock-off",
            f"The clock of {sensor} is {much} {side} this hub's, and so are those of most sensors, by as much: it is "
            "likely this hub's that is wrong. Set it here (timedatectl set-ntp true).",
        )
        return
    yield Incident(
        "clock-off",
        f"The clock of {sensor} is {much} {side} this hub's, and its messages carry its time: set it there "
        "(timedatectl set-ntp true).",
    )


def judge_runs(sensor: str, current: Run, runs: list[Run]) -> Iterator[Incident]:
    """Whether the process that speaks now can be the only one. runs: those heard of before, by when they began."""
    known = next((each for each in runs if each.run == current.run), None)
    if known is None:
        return
    is_behind = current.beat < known.beat or (current.beat == known.beat and current.said_at != known.said_at)
    later = [each for each in runs if each.first_ns > known.first_ns and each.last_ns > known.last_ns]
    other = later[-1] if later else known if is_behind else None
    if other is None:
        return
    if current.last_ns - other.last_ns <= TOGETHER_NS:
        places = " and ".join(sorted({current.address, other.address}))
        yield Incident(
            "two-machines",
            f"Two machines speak as {sensor} (from {places}). The messages of both are kept, under one name: give each "
            "a token of its own with relaytrap sensor add.",
        )
    else:
        yield Incident(
            "run-set-back",
            f"{sensor} goes on from an earlier moment, as when a running machine is restored from a snapshot. What it "
            "had recorded since and not shipped is gone.",
        )


def _said(run: Run) -> tuple[int, str, str]:
    return run.beat, run.said_at, run.address


def _number(status: Status, *path: str) -> int:
    return find_number(status, *path) or 0
