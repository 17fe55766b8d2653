"""A real hub in a process of its own over a small seeded store, and an empty one beside it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.once import hand_on, keep_made
from tests.web.scene import write_scene

START_S = 40


@dataclass
class Hub:
    """A running hub: ask it with `get`."""

    process: "subprocess.Popen[bytes]"
    data_dir: Path
    url: str
    token: str
    client: httpx.Client

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def rows(self, name: str, **given: Any) -> list[dict[str, Any]]:
        answer = self.get(f"/api/{name}", params=given)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["rows"]
        return found

    def stop(self) -> int:
        keep_made(self.data_dir)
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def relaytrap(*arguments: str, config: Path | None = None, data: Path) -> list[str]:
    given = ["--config", str(config)] if config else []
    return [sys.executable, "-m", "relaytrap.cli.main", *given, "--data", str(data), *arguments]


def start_hub(data: Path, config: Path | None = None, listen: str = "127.0.0.1:0") -> Hub:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RELAYTRAP_")}
    process = subprocess.Popen(
        relaytrap("hub", "--listen", listen, config=config, data=hand_on(data)), env=environment, stdout=subprocess.PIPE
    )
    note = data / "hub.json"
    for _ in range(START_S * 20):
        if note.exists():
            told = json.loads(note.read_text())
            client = httpx.Client(base_url=told["url"], timeout=30)
            keep_made(data)
            return Hub(process, data, told["url"], told["token"], client)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the hub did not start")


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub over the scene of scene.py."""
    folder = tmp_path_factory.mktemp("hub")
    config, capture = write_scene(folder)
    data = folder / "data"
    command = relaytrap("import", str(capture), config=config, data=hand_on(data))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    running = start_hub(data, config)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def empty_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that nobody has sent anything."""
    running = start_hub(tmp_path_factory.mktemp("empty"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def taker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub for tests that change what is stored."""
    running = start_hub(tmp_path_factory.mktemp("taker"))
    yield running
    running.stop()
