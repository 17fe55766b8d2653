"""Running the hub: its note, its end, and the sentences when it cannot begin."""

import contextlib
import http.client
import json
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from relaytrap.errors import ListenError
from relaytrap.web.security import Endpoint
from relaytrap.web.serve import bind, write_note
from tests.fleet.fleet import until
from tests.storing import run_child
from tests.web.conftest import Hub, relaytrap, start_hub


def fails(*arguments: str, data: Path) -> tuple[int, str]:
    done = subprocess.run(relaytrap(*arguments, data=data), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_hub_leaves_a_private_note_and_removes_it(tmp_path: Path) -> None:
    hub = start_hub(tmp_path)
    note = tmp_path / "hub.json"
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert json.loads(note.read_text())["pid"] == hub.process.pid
    assert hub.stop() == 0
    assert not note.exists()


def test_hub_that_stops_amid_an_import_says_so_logs_one_line_and_leaves_no_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = start_hub(tmp_path)
    with contextlib.closing(http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=30)) as sender:
        sender.putrequest("POST", "/api/import?name=night.pcap")
        sender.putheader("Authorization", f"Bearer {hub.token}")
        sender.putheader("Content-Length", "1000")
        sender.endheaders(b"not yet all of it")
        until(lambda: list(tmp_path.glob("import-*")), "the import")
        assert hub.stop() == 0
        answer = sender.getresponse()
        assert (answer.status, "the hub stops" in json.load(answer)["error"]) == (503, True)
    assert not list(tmp_path.glob("import-*"))
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_second_hub_on_the_same_data_says_who_has_it(empty_hub: Hub) -> None:
    status, sentence = fails("hub", "--listen", "127.0.0.1:0", data=empty_hub.data_dir)
    assert status == 6
    assert sentence.count("\n") == 1
    assert str(empty_hub.process.pid) in sentence
    assert (empty_hub.data_dir / "hub.json").exists()


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, sentence = fails("hub", "--listen", f"127.0.0.1:{port}", data=tmp_path)
    assert status == 8
    assert f"127.0.0.1:{port} is taken by another program" in sentence
    assert "Traceback" not in sentence


def test_address_beyond_loopback_is_refused(tmp_path: Path) -> None:
    status, sentence = fails("hub", "--listen", "0.0.0.0:0", data=tmp_path)
    assert status == 3
    assert "no user yet" in sentence


def test_address_of_another_machine_is_explained() -> None:
    with pytest.raises(ListenError, match="is the address this machine's"):
        bind(Endpoint("192.0.2.1", 0))


def test_note_replaces_one_that_a_dead_hub_left(tmp_path: Path) -> None:
    (tmp_path / "hub.json").write_text("old")
    write_note(tmp_path, "http://127.0.0.1:1", "token")
    assert json.loads((tmp_path / "hub.json").read_text())["url"] == "http://127.0.0.1:1"


def test_hub_does_without_what_a_pdf_alone_needs() -> None:
    assert run_child("import relaytrap.web.app, sys; print({'fpdf', 'numpy', 'PIL'} & set(sys.modules))") == "set()"
