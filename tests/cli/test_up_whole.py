"""`relaytrap up --sample` as a newcomer runs it: from nothing to a page, a first request, and an end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.fleet.fleet import until
from tests.loopback import loopback

HERE = loopback(52, 1)


@dataclass
class Up:
    """A running `relaytrap up --sample`; said: what stands behind each first word that it printed."""

    process: "subprocess.Popen[str]"
    data: Path
    said: dict[str, str]

    @property
    def url(self) -> str:
        return self.said["Open"]

    def rows(self, name: str, **given: str) -> list[dict[str, object]]:
        answer = httpx.get(f"{self.url}/api/{name}", params=given, timeout=30)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, object]] = answer.json()["rows"]
        return rows


def command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), *arguments]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    # No scanner is found there, so that the first request is the one that needs a shell alone.
    environment = os.environ | {"PATH": str(folder), "RELAYTRAP_SENSOR_NAME": "first"}
    places = [f"{transport}:{HERE}:5060" for transport in ("udp", "tcp")]
    listen = [word for place in places for word in ("--listen", place)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command(folder / "data", "up", "--sample", *listen, "--page", f"{HERE}:8060"),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
    assert process.stdout is not None
    said: dict[str, str] = {}
    for line in process.stdout:
        word, _, rest = line.strip().partition(" ")
        said[word] = rest.strip()
        if word == "Sample":
            break
    try:
        assert "Sample" in said, (folder / "log").read_text()
        yield Up(process, folder / "data", said)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert "Traceback" not in (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def test_the_page_shows_the_sample_and_says_that_it_is_one(up: Up) -> None:
    page = httpx.get(up.url, timeout=30)
    assert page.status_code == 200
    assert "sample" in page.text
    assert {row["sensor"] for row in up.rows("sensors")} >= {"sample-sydney", "sample-singapore"}
    assert until(lambda: up.rows("origins"), "the analysis")


def send_first(up: Up) -> str:
    """What is shown when somebody types the line that it named."""
    return subprocess.run(up.said["Try"], shell=True, check=True, capture_output=True, text=True, timeout=10).stdout


def test_the_first_request_is_answered_and_shown(up: Up) -> None:
    assert send_first(up).startswith("SIP/2.0 200 OK")
    rows = until(lambda: up.rows("conversation", id=id_of_first(up)) if id_of_first(up) else [], "the first request")
    assert [(row["direction"], row["method"], row["status_code"]) for row in rows] == [
        ("in", "OPTIONS", None),
        ("out", "", 200),
    ]
    assert {row["sensor"] for row in rows} == {"first"}


def id_of_first(up: Up) -> str:
    rows = up.rows("messages", sensor="first", method="OPTIONS")
    return str(rows[0]["id"]) if rows else ""


def test_one_command_removes_the_sample_and_nothing_else(up: Up) -> None:
    send_first(up)  # the tests before may be another worker's
    until(lambda: id_of_first(up), "the first request")
    printed = up.said["Sample"].partition("remove them with: relaytrap ")[2]
    done = subprocess.run(command(up.data, *printed.split()), capture_output=True, text=True, timeout=60, check=True)
    assert "messages removed" in done.stdout
    assert {row["sensor"] for row in up.rows("sensors")} == {"first"}
    until(lambda: not up.rows("origins"), "the analysis")
