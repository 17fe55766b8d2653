"""`relaytrap sensor join`: what is remembered, for whom, and what every later start makes of it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relaytrap.config import JOINED, load_config
from tests.cli.conftest import Run


class Hub(BaseHTTPRequestHandler):
    """Says of every sensor with the right token that it is the cellar."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.headers["Authorization"] == "Bearer right"
        body = json.dumps({"sensor": "cellar"} if known else {"error": "No sensor has this token."}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None: ...


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def remembered(data: Path) -> dict[str, object]:
    config, _ = load_config(None, environ={}, flags={"data_dir": data})
    return {name: getattr(config.sensor, name) for name in ("name", "hub_url", "token", "listen", "persona")}


def test_joining_is_remembered_for_every_start(url: str, tmp_path: Path, run: Run) -> None:
    given = ("--token", "right", "--persona", "freepbx", "--listen", "udp:127.0.0.1:5070")
    shown = run("--data", tmp_path, "sensor", "join", url, *given)
    assert (shown.status, "joined" in shown.out) == (0, True)
    assert remembered(tmp_path) == {
        "name": "cellar",
        "hub_url": url,
        "token": "right",
        "listen": ("udp:127.0.0.1:5070",),
        "persona": "freepbx",
    }


def test_what_is_remembered_is_for_its_owner_only(url: str, tmp_path: Path, run: Run) -> None:
    run("--data", tmp_path, "sensor", "join", url, "--token", "right")
    assert (tmp_path / JOINED).stat().st_mode & 0o077 == 0


def test_joining_again_changes_only_what_is_given(url: str, tmp_path: Path, run: Run) -> None:
    run("--data", tmp_path, "sensor", "join", url, "--token", "right", "--persona", "cisco")
    assert run("--data", tmp_path, "sensor", "join", "--listen", "udp:127.0.0.1:5071").status == 0
    found = remembered(tmp_path)
    assert (found["persona"], found["token"], found["listen"]) == ("cisco", "right", ("udp:127.0.0.1:5071",))


def test_wrong_token_changes_nothing(url: str, tmp_path: Path, run: Run) -> None:
    run("--data", tmp_path, "sensor", "join", url, "--token", "right")
    shown = run("--data", tmp_path, "sensor", "join", "--token", "wrong")
    assert (shown.status, "rotate" in shown.err) == (9, True)
    assert remembered(tmp_path)["token"] == "right"


def test_hub_that_is_not_there_is_one_sentence(tmp_path: Path, run: Run) -> None:
    shown = run("--data", tmp_path, "sensor", "join", "http://127.0.0.1:9", "--token", "right")
    assert (shown.status, shown.err.count("\n")) == (9, 1)
    assert not (tmp_path / JOINED).exists()


def test_plain_http_to_another_machine_is_refused(tmp_path: Path, run: Run) -> None:
    shown = run("--data", tmp_path, "sensor", "join", "http://192.0.2.1:8061", "--token", "right")
    assert (shown.status, "would show the token" in shown.err) == (3, True)


def test_own_settings_win_over_what_joining_remembered(url: str, tmp_path: Path, run: Run) -> None:
    run("--data", tmp_path, "sensor", "join", url, "--token", "right")
    file = tmp_path / "relaytrap.toml"
    file.write_text('[sensor]\nname = "attic"\n')
    config, given = load_config(file, environ={"RELAYTRAP_SENSOR_TOKEN": "other"}, flags={"data_dir": tmp_path})
    assert (config.sensor.name, config.sensor.token, config.sensor.hub_url) == ("attic", "other", url)
    assert given["sensor.hub_url"].detail.startswith(str(tmp_path / JOINED))


def test_hub_that_is_not_there_is_one_sentence_without_numbers_of_the_system(tmp_path: Path, run: Run) -> None:
    shown = run("--data", tmp_path, "sensor", "join", "http://127.0.0.1:9", "--token", "x")
    assert shown.status == 9
    assert shown.err == (
        "relaytrap: http://127.0.0.1:9: no way to the hub (Connection refused); is that its address and fingerprint?\n"
    )
