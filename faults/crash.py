"""Sudden death, half-written files, and restarts under traffic."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from faults.account import Account
from faults.programs import Fleet, children, until
from faults.trial import Scale, Trial

__all__ = [
    "half_written_segment",
    "kill_both",
    "kill_hub",
    "kill_sensor",
    "kill_sensor_writing_at_once",
    "kill_worker",
    "upgrade_hub",
]

LIFE_S: Final = (0.2, 3.0)
WORKERS: Final = 2
SENSORS: Final = 4
DEATH_S: Final = (0.0, 0.5)


def kill_sensor(scale: Scale, folder: Path) -> Account:
    """kill -9 of the sensor at random moments; what stood in its files is neither cut away nor shipped twice."""
    trial = _kill_sensor("kill-sensor", scale, folder, {})
    trial.account.notes.append(f"answered and still in memory {_unrecorded_answers(trial):,}")
    return trial.account


def kill_sensor_writing_at_once(scale: Scale, folder: Path) -> Account:
    """kill -9 of a sensor with flush_interval_s = 0: besides, no request was answered that is not in its files."""
    trial = _kill_sensor("kill-sensor-at-once", scale, folder, {"RELAYTRAP_SENSOR_FLUSH_INTERVAL_S": "0"})
    count = trial.account.unrecorded_answers = _unrecorded_answers(trial)
    trial.account.require(not count, f"{count:,} answered requests are not recorded")
    return trial.account


def _unrecorded_answers(trial: Trial) -> int:
    return sum(not trial.record.has(number) for number in trial.traffic.answered)


def _kill_sensor(fault: str, scale: Scale, folder: Path, settings: dict[str, str]) -> Trial:
    with Trial(fault, folder, scale, sensor=settings) as trial:
        for _ in range(scale.rounds):
            trial.wait(*LIFE_S)
            trial.fleet.sensor.kill()
            trial.record.look()
            trial.wait(*DEATH_S)
            trial.fleet.sensor.start()
            trial.account.rounds += 1
        trial.settle()
    return trial


def kill_hub(scale: Scale, folder: Path) -> Account:
    """kill -9 of the hub at random moments: between insert and note, between note and answer, wherever it strikes."""
    fleet = Fleet(folder, sensors=SENSORS)  # several segments at once, which a hub stores in one insert
    with Trial("kill-hub", folder, scale, fleet=fleet) as trial:
        for _ in range(scale.rounds):
            trial.wait(*LIFE_S)
            trial.fleet.hub.kill()
            trial.wait(*DEATH_S)
            trial.fleet.hub.start()
            trial.account.rounds += 1
        return trial.settle()


def kill_both(scale: Scale, folder: Path) -> Account:
    """kill -9 of sensor and hub in one moment, as when a machine loses power but keeps its disk."""
    with Trial("kill-both", folder, scale) as trial:
        for _ in range(scale.rounds):
            trial.wait(*LIFE_S)
            trial.fleet.hub.kill()
            trial.fleet.sensor.kill()
            trial.record.look()
            trial.fleet.sensor.start()
            trial.wait(*DEATH_S)
            trial.fleet.hub.start()
            trial.account.rounds += 1
        return trial.settle()


def upgrade_hub(scale: Scale, folder: Path) -> Account:
    """The hub stopped and started as an upgrade does it, again and again under traffic."""
    with Trial("upgrade-hub", folder, scale) as trial:
        for _ in range(max(2, scale.rounds // 5)):
            trial.wait(*LIFE_S)
            trial.fleet.hub.stop()
            trial.wait(*DEATH_S)
            trial.fleet.hub.start()
            trial.account.rounds += 1
        return trial.settle()


def half_written_segment(scale: Scale, folder: Path) -> Account:
    """A sensor killed, its open file cut at a random octet or ended in octets that nobody wrote, as by a dying disk."""
    with Trial("half-written-segment", folder, scale) as trial:
        for number in range(max(3, scale.rounds // 5)):
            trial.wait_until_recorded()
            trial.fleet.sensor.kill()
            for path in trial.fleet.spool.glob("*.pcapng.open"):
                _spoil(path, trial, with_rubbish=number % 3 == 0)
            trial.record.look()
            trial.fleet.sensor.start()
            trial.account.rounds += 1
        return trial.settle()


def _spoil(path: Path, trial: Trial, *, with_rubbish: bool) -> None:
    size = path.stat().st_size
    if with_rubbish:
        with path.open("ab") as file:
            file.write(trial.chance.choice((bytes(4096), trial.chance.randbytes(1000), b"\x00\x00\x00\x06\x7f")))
    else:
        with path.open("r+b") as file:
            file.truncate(trial.chance.randint(0, size))


def kill_worker(scale: Scale, folder: Path) -> Account:
    """kill -9 of one of a sensor's processes, or of the one they work for: the rest end too, and nothing is torn."""
    with Trial("kill-worker", folder, scale, sensor={"RELAYTRAP_SENSOR_WORKERS": str(WORKERS)}) as trial:
        for number in range(max(2, scale.rounds // 2)):
            trial.wait(*LIFE_S)
            _kill_one(trial, of_workers=number % 2 == 0)
            trial.record.look()
            trial.fleet.sensor.start()
            trial.account.rounds += 1
        return trial.settle()


def _kill_one(trial: Trial, *, of_workers: bool) -> None:
    """Kill a worker or the sensor, and see that everything ends."""
    sensor, workers = trial.fleet.sensor, children(trial.fleet.sensor.pid)
    trial.account.require(len(workers) == WORKERS, f"{len(workers)} processes work for a sensor of {WORKERS}")
    if of_workers:
        os.kill(trial.chance.choice(workers), signal.SIGKILL)
    else:
        sensor.kill()
    trial.account.require(until(lambda: not sensor.is_running, 30), "a sensor goes on without its worker")
    gone = until(lambda: not any(map(_is_alive, workers)), 30)
    trial.account.require(gone, "workers go on without their sensor")


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
