"""Clocks that jump by a day, forwards and back, while everything runs: libfaketime gives a program its own."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from faults.account import Account
from faults.programs import Fleet, Program
from faults.trial import Scale, Skipped, Trial

__all__ = ["clock_hub", "clock_sensor"]

DAY_S: Final = 86_400
LIBRARY: Final = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
JUMPS_S: Final = (DAY_S, 0, -DAY_S, 0)
"""Offsets from the true time, one after the other: each step is a day, two forwards and two back."""
NOTICED_S: Final = 1
"""How often libfaketime looks at its file."""


def clock_sensor(scale: Scale, folder: Path) -> Account:
    """The sensor's clock jumps a day at a time: nothing is dropped for its age, answers and segments go on."""
    fleet = Fleet(folder)
    trial = _jump("clock-sensor", scale, folder, fleet, fleet.sensor)
    first, last = trial.record.times_ns
    trial.account.require(last - first > DAY_S * 1e9, "the sensor's clock did not jump: the fault proved nothing")
    return trial.account


def clock_hub(scale: Scale, folder: Path) -> Account:
    """The hub's clock jumps a day at a time: what was stored is known again, retention takes nothing away."""
    fleet = Fleet(folder)
    trial = _jump("clock-hub", scale, folder, fleet, fleet.hub)
    with closing(sqlite3.connect(fleet.hub_data / "hub.sqlite3")) as database:
        first, last = database.execute("SELECT min(taken_at_ns), max(taken_at_ns) FROM segments").fetchone()
    trial.account.require(last - first > DAY_S * 1e9, "the hub's clock did not jump: the fault proved nothing")
    return trial.account


def _jump(fault: str, scale: Scale, folder: Path, fleet: Fleet, whose: Program) -> Trial:
    if not LIBRARY:
        raise Skipped("needs libfaketime (Debian: faketime)")
    clock = folder / "clock"
    clock.write_text("+0\n")
    whose.environment |= {
        "LD_PRELOAD": str(LIBRARY[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": str(NOTICED_S),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    with Trial(fault, folder, scale, fleet=fleet) as trial:
        for _ in range(max(1, scale.rounds // 10)):
            for offset in JUMPS_S:
                trial.wait(NOTICED_S + 2, NOTICED_S + 4)
                clock.write_text(f"{offset:+d}\n")
                trial.account.rounds += 1
        trial.wait(NOTICED_S + 2)
        before = len(trial.traffic.answered)
        trial.wait(1)
        trial.account.require(len(trial.traffic.answered) > before, "after the jumps nobody is answered")
        trial.settle()
    return trial
