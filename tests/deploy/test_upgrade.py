"""An upgrade under traffic: sensor and hub are stopped and started with a new version, and nothing answered is lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

import relaytrap
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from tests.deploy.traffic import Traffic
from tests.loopback import loopback

SENSOR = loopback(49, 1)
NEW = "9.9.9"
Process = "subprocess.Popen[str]"


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same program under a newer version."""
    folder = tmp_path_factory.mktemp("newer")
    source = Path(relaytrap.__file__).parent
    shutil.copytree(source, folder / "relaytrap", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "relaytrap" / "__init__.py"
    file.write_text(file.read_text().replace(f'"{relaytrap.__version__}"', f'"{NEW}"'))
    return folder


def start(word: str, data: Path, *options: str, version: Path | None = None, token: str = "") -> Process:
    """A hub or sensor that says it is ready, of this version or of the one in a folder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RELAYTRAP_")}
    environment = kept | ({"PYTHONPATH": str(version)} if version else {}) | {"RELAYTRAP_SENSOR_TOKEN": token}
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), word, *options]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd="/")
    assert process.stdout is not None
    assert process.stdout.readline(), f"{word} did not start"
    return process


def stop(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def stored(data: Path) -> list[str]:
    """Call-IDs of the requests in the running hub's store, as often as they are there."""
    url = json.loads((data / "hub.json").read_text())["url"]
    found: list[str] = []
    with httpx.Client(base_url=url, timeout=60) as client:
        answer = client.get("/api/messages", params={"limit": 10_000, "direction": "in"})
        assert answer.status_code == 200, answer.text
        found += [row["call_id"] for row in answer.json()["rows"]]
    return found


@pytest.mark.timeout(300)
def test_nothing_answered_is_lost_or_doubled_by_an_upgrade(tmp_path: Path, newer: Path) -> None:
    hub_data, sensor_data = tmp_path / "hub", tmp_path / "sensor"
    with closing(HubDatabase(hub_data)) as database:
        token = Keys(database).add("cellar")
    with socket.socket() as probe:  # the hub is to come back where it was
        probe.bind(("127.0.0.1", 0))
        page = f"127.0.0.1:{probe.getsockname()[1]}"
    place = ("--name", "cellar", "--listen", f"udp:{SENSOR}:5060", "--hub", f"http://{page}")
    hub = start("hub", hub_data, "--listen", page)
    sensor = start("sensor", sensor_data, *place, token=token)
    traffic = Traffic(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), SENSOR, "upgrade")
    traffic.start()
    try:
        traffic.wait_for_more(60)
        stop(hub)
        hub = start("hub", hub_data, "--listen", page, version=newer)
        traffic.wait_for_more(60)
        stop(sensor)
        sensor = start("sensor", sensor_data, *place, version=newer, token=token)
        traffic.wait_for_more(60)
        traffic.end()
        end = time.monotonic() + 120
        while traffic.answered - set(stored(hub_data)) and time.monotonic() < end:
            time.sleep(0.3)
    finally:
        traffic.end()
        stop(sensor)
    rows = stored(hub_data)
    with closing(HubDatabase(hub_data)) as database:
        (known,) = Keys(database).list_sensors()
    stop(hub)
    assert len(traffic.answered) >= 180
    assert traffic.answered <= set(rows)
    assert len(rows) == len(set(rows))
    assert known.status["version"] == NEW
