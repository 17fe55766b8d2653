"""What a service manager hears."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from relaytrap.cli.service import notify_ready

LOGS = """
import logging, os, sys
from relaytrap.cli.service import start_log
if sys.argv[1:]:
    here = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{here.st_dev}:{here.st_ino}"
start_log(logging.INFO)
log = logging.getLogger("trap")
log.debug("unsaid")
log.warning("two\\nlines")
"""


def logged(*arguments: str) -> str:
    command = [sys.executable, "-c", LOGS, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stderr


def test_the_journal_hears_each_lines_priority_and_no_time() -> None:
    assert logged("journal") == "<4>trap two\n<4>lines\n"


def test_a_terminal_or_a_file_gets_times() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]+ WARNING trap two\nlines\n", logged())


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_manager_hears_that_we_are_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    where = str(tmp_path / "notify") if kind == "path" else f"@relaytrap-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(where.replace("@", "\0", 1))
        monkeypatch.setenv("NOTIFY_SOCKET", where)
        notify_ready("listens\nwell")
        assert manager.recv(1000) == b"READY=1\nSTATUS=listens well\n"


def test_nothing_happens_without_a_manager_or_with_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_ready("alone")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    notify_ready("left alone")


def test_sensor_says_that_it_is_ready_when_it_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "sensor", "--name", "t"]
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        sensor = subprocess.Popen([*command, "--listen", "udp:127.0.0.1:0"], env=environment, stdout=subprocess.DEVNULL)
        try:
            assert re.fullmatch(rb"READY=1\nSTATUS=plays asterisk, listens on udp:127[0-9.:]+\n", manager.recv(1000))
        finally:
            sensor.terminate()
            sensor.wait(20)
