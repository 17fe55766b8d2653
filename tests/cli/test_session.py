"""How a command comes to the data: through the hub that has them, or by itself, or after a wait."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relaytrap.cli import hub_backup, session
from relaytrap.cli.session import HubSession, StoreSession, awaited_hub, open_session
from relaytrap.config import Config
from relaytrap.errors import StoreError, StoreLocked

# Has the data directory until its standard input ends.
OWNER = (
    "import sys; from pathlib import Path; from relaytrap.store.lock import DirectoryLock\n"
    "lock = DirectoryLock(Path(sys.argv[1])); print('has it', flush=True); sys.stdin.read()"
)


@pytest.fixture
def owner(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_hub_that_starts_is_waited_for_and_asked(owner, tmp_path: Path, capsys) -> None:
    note = json.dumps({"pid": owner.pid, "url": "http://127.0.0.1:1", "token": "t"})
    answers = threading.Timer(0.5, (tmp_path / "hub.json").write_text, [note])
    answers.start()
    with open_session(Config(tmp_path)) as found:
        assert isinstance(found, HubSession)
        assert found.hub.pid == owner.pid
    answers.join()
    assert "waiting" in capsys.readouterr().err


def test_a_command_that_has_the_store_is_waited_for(owner, tmp_path: Path) -> None:
    ends = threading.Timer(0.5, owner.stdin.close)
    ends.start()
    with open_session(Config(tmp_path)) as found:
        assert isinstance(found, StoreSession)
    ends.join()


def test_a_hub_that_starts_is_waited_for_by_who_can_ask_nobody_else(owner, tmp_path: Path) -> None:
    note = json.dumps({"pid": owner.pid, "url": "http://127.0.0.1:1", "token": "t"})
    answers = threading.Timer(0.5, (tmp_path / "hub.json").write_text, [note])
    answers.start()
    hub = awaited_hub(tmp_path)
    answers.join()
    assert hub is not None
    assert hub.pid == owner.pid


def test_a_hub_that_nobody_starts_is_not_waited_for(tmp_path: Path, capsys) -> None:
    assert awaited_hub(tmp_path) is None
    assert capsys.readouterr().err == ""


def test_who_neither_answers_nor_ends_is_named_in_the_end(owner, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(session, "WAIT_S", 0.3)
    with pytest.raises(StoreLocked, match=f"in use by process {owner.pid}"), open_session(Config(tmp_path)):
        pass


@pytest.fixture
def leaving():
    """A hub that sends the beginning of an answer, and then resets the connection."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            way, _ = door.accept()
            with way:
                way.recv(65536)
                way.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
                heard.wait(10)
                way.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        heard = threading.Event()
        server = threading.Thread(target=serve)
        server.start()
        yield HubSession(session.RunningHub(1, f"http://127.0.0.1:{door.getsockname()[1]}", "t")), heard
        heard.set()
        server.join(10)


def test_hub_that_leaves_during_a_backup_is_not_taken_for_a_full_disk(leaving, tmp_path: Path) -> None:
    hub, heard = leaving
    with hub.download("/api/backup") as (_, pieces):
        heard.set()
        with pytest.raises(StoreError, match="does not answer"):
            hub_backup._write(tmp_path / "hub.tar", pieces, lambda done: None)


def test_server_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    environ = os.environ | {"RELAYTRAP_STORE_URL": "clickhouse://user:secret@127.0.0.1:1/db"}
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "messages"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert (
        done.stderr == "relaytrap: the ClickHouse server 127.0.0.1:1: the store cannot be opened: Connection refused\n"
    )
