"""What the doctor sees."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from relaytrap.cli.doctor import check_data_dir, check_hub, check_listen
from relaytrap.cli.finding import Finding
from relaytrap.config import Config, SensorConfig
from relaytrap.sensor.spool_folder import lock_folder

from .conftest import Run


def test_taken_port_is_a_note_that_names_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        (found,) = check_listen(Config(Path("unused"), sensor=SensorConfig(listen=(place,))))
    assert found.state == "note"
    assert place in found.text


def test_taken_port_is_good_while_a_sensor_of_this_data_runs(tmp_path: Path) -> None:
    (tmp_path / "spool" / "one").mkdir(parents=True)
    lock = lock_folder(tmp_path / "spool" / "one")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        config = Config(tmp_path, sensor=SensorConfig(listen=(place,)))
        (found,) = check_listen(config)
        os.close(lock)
        (left,) = check_listen(config)
    assert found == Finding("listen", "good", f"{place} is taken, and sensor one runs here")
    assert left.state == "note"


def test_dead_hub_is_told_from_a_living_one(tmp_path: Path) -> None:
    note = tmp_path / "hub.json"
    note.write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:8060"}))
    assert [one.state for one in check_hub(Config(tmp_path))] == ["good"]
    note.write_text(json.dumps({"pid": 2**22 + 1, "url": "http://127.0.0.1:8060"}))
    assert [one.state for one in check_hub(Config(tmp_path))] == ["note"]


def test_broken_note_of_a_hub_is_wrong_not_an_exception(tmp_path: Path) -> None:
    (tmp_path / "hub.json").write_text("{")
    assert [one.state for one in check_hub(Config(tmp_path))] == ["wrong"]


def test_missing_data_directory_is_good_when_it_can_be_made(tmp_path: Path) -> None:
    (found,) = check_data_dir(Config(tmp_path / "new"))
    assert found == Finding("data", "good", found.text)
    assert "made at first start" in found.text


def test_command_prints_one_object_a_check(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"settings", "python", "data", "hub", "listen"} <= {row["check"] for row in rows}
    assert done.returncode == int(any(row["state"] == "wrong" for row in rows))


def test_broken_database_is_wrong_and_the_other_checks_still_look(tmp_path: Path, run: Run) -> None:
    (tmp_path / "hub.sqlite3").write_text("no database")
    shown = run("--data", tmp_path, "doctor", "--json")
    found = {row["check"]: row for row in map(json.loads, shown.out.splitlines())}
    assert shown.status == 1
    assert found["sensors"]["state"] == "wrong"
    assert "not a database" in found["sensors"]["text"]
    assert "network" in found


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('known_proxies = ["carrier"]', "network.known_proxies: 'carrier'"),
        ('own_networks = ["192.0.2.1/33"]', "network.own_networks: '192.0.2.1/33'"),
        ('names = [{ network = "192.0.2.0/24", country = "ZZZ" }]', "network.names: country 'ZZZ'"),
    ],
)
def test_network_that_the_hub_would_not_take_is_wrong(tmp_path: Path, run: Run, setting: str, said: str) -> None:
    file = tmp_path / "relaytrap.toml"
    file.write_text(f"[network]\n{setting}\n")
    shown = run("--config", file, "--data", tmp_path, "doctor", "--json")
    (wrong,) = [row["text"] for row in map(json.loads, shown.out.splitlines()) if row["check"] == "network"]
    assert wrong.startswith(said)
