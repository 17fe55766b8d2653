"""Some of the fault suite, small, as anybody runs it. The whole of it is `make faults`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def has_namespaces() -> bool:
    """Whether this machine lets us have namespaces of our own."""
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *as_root, "--mount", "--net", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", ["kill-both", "delivered-oddly", "spoofed-sources"])
def test_law_holds(fault: str, tmp_path: Path) -> None:
    if not has_namespaces():
        pytest.skip("needs mount and network namespaces (unshare --mount --net)")
    told = tmp_path / "told.jsonl"
    command = [sys.executable, "-m", "faults", fault, "--brief", "--rounds", "2", "--json", str(told)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if "skipped: " in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    account = json.loads(told.read_text())
    assert (account["lost"], account["doubled"], account["breaches"]) == (0, 0, [])
    assert account["stored"] == account["recorded"] > 0


def test_every_fault_is_listed_with_what_it_does() -> None:
    command = [sys.executable, "-m", "faults", "--list"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) > 15
    assert all(line[24:].endswith(".") for line in lines)
