"""Tokens by which sensors join a hub."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys


def sensor(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), "sensor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def name_for(data: Path, token: str) -> str | None:
    return Keys(HubDatabase(data)).check(token)


def test_added_sensor_gets_a_line_whose_token_the_hub_takes(tmp_path: Path) -> None:
    line = sensor(tmp_path, "add", "cellar").stdout
    assert line.startswith("relaytrap sensor --name cellar --hub http://127.0.0.1:8060 --token ")
    assert name_for(tmp_path, line.split()[-1]) == "cellar"


def test_name_is_given_once(tmp_path: Path) -> None:
    sensor(tmp_path, "add", "cellar")
    done = sensor(tmp_path, "add", "cellar")
    assert done.returncode == 4
    assert "exists already" in done.stderr


def test_rotated_token_ends_the_old_one(tmp_path: Path) -> None:
    old = sensor(tmp_path, "add", "cellar").stdout.split()[-1]
    new = sensor(tmp_path, "rotate", "cellar").stdout.split()[-1]
    assert (name_for(tmp_path, old), name_for(tmp_path, new)) == (None, "cellar")


def test_revoked_sensor_may_not_send(tmp_path: Path) -> None:
    token = sensor(tmp_path, "add", "cellar").stdout.split()[-1]
    sensor(tmp_path, "revoke", "cellar")
    assert name_for(tmp_path, token) is None
    (row,) = [json.loads(line) for line in sensor(tmp_path, "list", "--json").stdout.splitlines()]
    assert (row["sensor"], row["state"]) == ("cellar", "revoked")


@pytest.mark.parametrize("what", ["rotate", "revoke"])
def test_unknown_sensor_is_one_sentence(tmp_path: Path, what: str) -> None:
    done = sensor(tmp_path, what, "nobody")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
