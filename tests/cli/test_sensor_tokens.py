"""Tokens by which sensors join a hub."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from relaytrap.cli.sensor_tokens import _row
from relaytrap.config import HubConfig
from relaytrap.hub.certificate import load_certificate
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys, Sensor
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.sensor_wheel import sensor_wheel
from tests.storing import run_child


def sensor(data: Path, *arguments: str, config: bool = False) -> subprocess.CompletedProcess[str]:
    given = ["--config", str(data / "relaytrap.toml")] if config else []
    command = [sys.executable, "-m", "relaytrap.cli.main", *given, "--data", str(data), "sensor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def token_in(line: str) -> str:
    found = re.search(r"--token (\S+)", line)
    assert found, line
    return found[1]


def name_for(data: Path, token: str) -> str | None:
    return Keys(HubDatabase(data)).check(token)


def test_added_sensor_gets_a_line_whose_token_the_hub_takes(tmp_path: Path) -> None:
    line = sensor(tmp_path, "add", "cellar").stdout
    assert "relaytrap sensor join http://127.0.0.1:8060 --token " in line
    assert name_for(tmp_path, token_in(line)) == "cellar"


def test_line_for_another_machine_names_the_hubs_address_and_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "relaytrap.toml").write_text('[hub]\nuplink_listen = "0.0.0.0:8061"\n')
    line = sensor(tmp_path, "add", "cellar", "--hub", "https://hub.example:8061/", config=True).stdout
    pin = load_certificate(HubConfig(), tmp_path).fingerprint
    assert f"relaytrap sensor join https://hub.example:8061 --pin {pin} --token " in line
    assert "--trusted-host hub.example:8061" in line
    assert sensor_wheel().digest in line


def test_line_is_made_without_the_page(tmp_path: Path) -> None:
    told = run_child(f"""
        import sys
        from relaytrap.cli.main import main
        try:
            main(["--data", {str(tmp_path)!r}, "sensor", "add", "cellar"])
        except SystemExit as ended:
            print(ended.code, {{"litestar", "uvicorn"}} & set(sys.modules))
    """)
    assert told.splitlines()[-1] == "0 set()"


def test_line_for_this_machine_only_says_so(tmp_path: Path) -> None:
    assert "hub.uplink_listen" in sensor(tmp_path, "add", "cellar").stderr


def test_list_shows_what_is_wrong_with_a_sensor(tmp_path: Path) -> None:
    sensor(tmp_path, "add", "cellar")
    with contextlib.closing(HubDatabase(tmp_path)) as database:
        Ledger(database).report("cellar", "loss", "cellar has lost 3 messages.")
    (row,) = [json.loads(line) for line in sensor(tmp_path, "list", "--json").stdout.splitlines()]
    assert row["incidents"] == ["cellar has lost 3 messages."]


def test_clock_that_is_right_has_no_sign() -> None:
    assert str(_row(Sensor("trap", 0, None, None, -20, {}), [])["clock_s"]) == "0.0"


def test_name_is_given_once(tmp_path: Path) -> None:
    sensor(tmp_path, "add", "cellar")
    done = sensor(tmp_path, "add", "cellar")
    assert done.returncode == 4
    assert "exists already" in done.stderr


def test_rotated_token_ends_the_old_one(tmp_path: Path) -> None:
    old = token_in(sensor(tmp_path, "add", "cellar").stdout)
    new = token_in(sensor(tmp_path, "rotate", "cellar").stdout)
    assert (name_for(tmp_path, old), name_for(tmp_path, new)) == (None, "cellar")


def test_revoked_sensor_may_not_send(tmp_path: Path) -> None:
    token = token_in(sensor(tmp_path, "add", "cellar").stdout)
    sensor(tmp_path, "revoke", "cellar")
    assert name_for(tmp_path, token) is None
    (row,) = [json.loads(line) for line in sensor(tmp_path, "list", "--json").stdout.splitlines()]
    assert (row["sensor"], row["state"]) == ("cellar", "revoked")


@pytest.mark.parametrize("what", ["rotate", "revoke"])
def test_unknown_sensor_is_one_sentence(tmp_path: Path, what: str) -> None:
    done = sensor(tmp_path, what, "nobody")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1


def test_database_that_may_not_be_opened_asks_for_permission_and_is_not_called_broken(tmp_path: Path) -> None:
    (tmp_path / "hub.sqlite3").mkdir()  # as root, under which tests may run, nothing else is refused
    done = sensor(tmp_path, "list")
    assert done.returncode == 10
    assert "hub.sqlite3: cannot be opened or made (unable to open database file); give permission" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("url", ["hub.example:8061", "http://hub.example:8061", "https://", "192.0.2.1"])
def test_hub_that_no_sensor_could_join_is_refused_before_a_token_is_made(tmp_path: Path, url: str) -> None:
    refused = sensor(tmp_path, "add", "cellar", "--hub", url)
    assert refused.returncode == 3
    assert refused.stderr.startswith("relaytrap: --hub: ")
    assert "no sensor has a token" in sensor(tmp_path, "list").stdout
