"""Whole networks routed to one machine: answers leave from the address that was asked, and the record names it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("making a network namespace needs root, unshare and ip")
    command = ["unshare", "--net", sys.executable, "-m", "tests.sensor.routed_prefix"]
    folder = tmp_path_factory.mktemp("prefix")
    done = subprocess.run([*command, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_answers_leave_from_the_address_that_was_asked(told: list[list[str]]) -> None:
    assert [asked for _, asked, _, _, _ in told] == [answered for _, _, answered, _, _ in told]


def test_record_names_the_address_and_transport_that_was_asked(told: list[list[str]]) -> None:
    assert [(how, asked) for how, asked, _, _, _ in told] == [(how, local) for _, _, _, how, local in told]
    assert len(told) == 10
