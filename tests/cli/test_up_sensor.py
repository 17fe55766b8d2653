"""The sensor of `relaytrap up`: a child that is started again when it ends by itself."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from relaytrap.cli import up_sensor
from relaytrap.cli.up_sensor import WatchedSensor

NOTES_ITS_PID = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(60)"


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def pids(note: Path) -> list[int]:
    return [int(line) for line in note.read_text().split()] if note.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_sensor_that_was_killed_is_started_again_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up_sensor, "FIRST_WAIT_S", 0.05)
    note, said = tmp_path / "pids", list[str]()
    with WatchedSensor([sys.executable, "-c", NOTES_ITS_PID, str(note)], os.environ, said.append):
        until(lambda: len(pids(note)) == 1)
        os.kill(pids(note)[0], signal.SIGKILL)
        until(lambda: len(pids(note)) == 2)
        second = pids(note)[1]
        assert is_alive(second)
    assert not is_alive(second)
    (text,) = said
    assert "by signal 9" in text


def test_waits_grow_while_it_keeps_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up_sensor, "FIRST_WAIT_S", 0.01)
    said: list[str] = []
    with WatchedSensor([sys.executable, "-c", "raise SystemExit(8)"], os.environ, said.append):
        until(lambda: len(said) >= 3)
    waits = ("0.01", "0.02", "0.04")
    assert said[:3] == [f"the sensor ended with status 8; it starts again in {wait} s" for wait in waits]


def test_ctrl_c_of_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    with WatchedSensor([sys.executable, "-c", NOTES_ITS_PID, str(note)], os.environ, print):
        until(lambda: bool(pids(note)))
        assert os.getpgid(pids(note)[0]) != os.getpgid(0)
