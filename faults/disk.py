"""Disks that are full, slow, or stand still."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from faults.account import Account
from faults.programs import until
from faults.trial import Scale, Skipped, Trial

__all__ = ["full_disk_hub", "full_disk_sensor", "slow_disk", "stalled_hub"]

SENSOR_DISK_MB: Final = 16
HUB_DISK_MB: Final = 512
SLOW_DISK_MB: Final = 1024
SLOW_WRITES_PER_S: Final = 20
ALL_USERS: Final = "4294967295"
CGROUP: Final = Path("/sys/fs/cgroup/blkio")


def full_disk_sensor(scale: Scale, folder: Path) -> Account:
    """The hub away until the sensor's disk is full: it answers all the same, and counts each message without room."""
    data = folder / "sensor"
    with _memory_disk(data, SENSOR_DISK_MB), Trial("full-disk-sensor", folder, scale) as trial, _looking(trial):
        for _ in range(max(2, scale.rounds // 10)):
            trial.fleet.hub.stop()
            trial.account.require(until(lambda: _free(data) < 1 << 16, 120), "the disk never became full")
            before = len(trial.traffic.answered)
            trial.wait(3)
            trial.account.require(len(trial.traffic.answered) > before, "a sensor with a full disk answers nobody")
            waiting = {path.name for path in trial.fleet.spool.glob("*.pcapng*")}
            trial.fleet.hub.start()
            trial.account.require(until(partial(_have_gone, trial, waiting), 300), "the hub is back and gets nothing")
            trial.wait(2)
            trial.account.rounds += 1
        account = trial.settle()
    missing = account.sent - account.dropped_by_kernel - account.recorded
    account.require(account.counted_loss > 0, "nothing was lost: the fault proved nothing")
    account.require(
        missing <= account.counted_loss, f"{missing:,} are missing, and only {account.counted_loss:,} counted"
    )
    return account


def _have_gone(trial: Trial, waiting: set[str]) -> bool:
    """Whether none of these files is there any more as it was."""
    return not any((trial.fleet.spool / name).exists() for name in waiting)


def full_disk_hub(scale: Scale, folder: Path) -> Account:
    """The hub's disk filled to the last octet, emptied again, and in every other round the hub killed meanwhile."""
    data = folder / "hub"
    with _memory_disk(data, HUB_DISK_MB), Trial("full-disk-hub", folder, scale) as trial:
        for number in range(max(2, scale.rounds // 10)):
            trial.wait(2, 4)
            ballast = data / "ballast"
            _fill(ballast)
            trial.wait(4, 6)
            if number % 2:
                trial.fleet.hub.kill()
            ballast.unlink()
            if not trial.fleet.hub.is_running:
                trial.fleet.hub.start()
            trial.account.rounds += 1
        return trial.settle()


def slow_disk(scale: Scale, folder: Path) -> Account:
    """Both on a disk that takes 20 writes a second, by the kernel's own throttle: answers do not wait for it."""
    with _slow_disk(folder) as (disk, via), Trial("slow-disk", disk, scale, sensor_via=via, hub_via=via) as trial:
        trial.wait(max(5, scale.rounds / 2))
        waiting = trial.traffic.sent - len(trial.traffic.answered)
        trial.account.require(waiting < scale.rate, f"{waiting:,} requests wait for answers")
        _throttle(disk, 0)
        return trial.settle()


def stalled_hub(scale: Scale, folder: Path) -> Account:
    """The hub frozen for seconds, as by a hypervisor that stands still; the sensor gives up and comes again."""
    with Trial("stalled-hub", folder, scale) as trial:
        for _ in range(max(2, scale.rounds // 10)):
            trial.wait(0.5, 2)
            trial.fleet.hub.freeze(trial.chance.uniform(2, 8))
            trial.account.rounds += 1
        return trial.settle()


@contextmanager
def _memory_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A small file system in memory, in this suite's own mount namespace."""
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "relaytrap-fault", str(folder))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


@contextmanager
def _looking(trial: Trial) -> Iterator[None]:
    """Look at the record all the time: a sensor without room throws away what the hub has."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.3):
            with suppress(FileNotFoundError):
                trial.record.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _slow_disk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A file system whose device takes few writes a second, and the words before a command that shall feel it."""
    is_real_root = Path("/proc/self/uid_map").read_text().split()[2] == ALL_USERS
    if not is_real_root or not CGROUP.is_dir():
        raise Skipped("a slow disk needs root, loop devices and the blkio controller of cgroup version 1")
    image, disk, group = folder / "image", folder / "slow", CGROUP / f"relaytrap-fault-{os.getpid()}"
    disk.mkdir()
    _run("truncate", "--size", f"{SLOW_DISK_MB}M", str(image))
    _run("mkfs.ext4", "-q", str(image))
    _run("mount", "-o", "loop", str(image), str(disk))
    group.mkdir()
    try:
        _throttle(disk, SLOW_WRITES_PER_S)
        yield disk, ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
    finally:
        _throttle(disk, 0)
        _run("umount", "--lazy", str(disk))
        until(lambda: not (group / "cgroup.procs").read_text(), 10)
        group.rmdir()


def _throttle(disk: Path, writes_per_s: int) -> None:
    """Limit what each of this suite's groups may write to the disk; 0 lifts the limit."""
    device = disk.stat().st_dev
    for group in CGROUP.glob(f"relaytrap-fault-{os.getpid()}"):
        limit = group / "blkio.throttle.write_iops_device"
        limit.write_text(f"{os.major(device)}:{os.minor(device)} {writes_per_s}")


def _fill(path: Path) -> None:
    """Take all room that is left, also what becomes free for a second."""
    end = time.monotonic() + 1
    with path.open("wb", buffering=0) as file:
        while time.monotonic() < end:
            try:
                while file.write(bytes(1 << 16)):
                    continue
            except OSError:
                time.sleep(0.05)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        raise Skipped(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Skipped(f"{' '.join(command)}: {error.stderr.decode().strip()}") from None
