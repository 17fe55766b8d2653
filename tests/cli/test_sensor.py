"""`relaytrap sensor` on the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from relaytrap.sensor.personas import persona_names
from tests.sensor.live import SensorProcess, udp_client
from tests.sensor.talk import request


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(folder), "sensor", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_count_tells_how_many_received_messages_the_spool_holds(tmp_path: Path) -> None:
    assert run(tmp_path, "--count").stdout == "0\n"
    with SensorProcess(tmp_path) as sensor, udp_client() as sock:
        for number in range(7):
            sock.sendto(request(branch=f"z9hG4bK-{number}"), ("127.0.0.1", sensor.ports["udp"]))
            sock.recv(65535)
        sensor.stop()
    assert run(tmp_path, "--count").stdout == "7\n"


def test_personas_are_listed(tmp_path: Path) -> None:
    shown = run(tmp_path, "--personas").stdout
    assert [line.split()[0] for line in shown.splitlines()] == list(persona_names())


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--persona", "kamalio"], 3, "relaytrap: sensor.persona: no persona 'kamalio'; did you mean kamailio?"),
        (["--listen", "udp:5060"], 3, "relaytrap: sensor.listen: 'udp:5060' cannot be read"),
        (["--hub", "http://hub.example"], 3, "relaytrap: sensor.hub_url: plain http to hub.example"),
        (["--listen", "udp:192.0.2.1:5060"], 8, "relaytrap: udp:192.0.2.1:5060: no interface of this machine"),
    ],
)
def test_mistakes_end_in_one_sentence_and_their_own_status(
    tmp_path: Path, options: list[str], status: int, said: str
) -> None:
    done = run(tmp_path, *options)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


def test_data_folder_that_is_a_file_ends_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = run(tmp_path / "file", "--listen", "udp:127.0.0.1:0")
    assert done.returncode == 10
    assert len(done.stderr.splitlines()) == 1


def test_sensor_imports_neither_store_nor_page(tmp_path: Path) -> None:
    code = (
        "import sys, relaytrap.cli.sensor, relaytrap.sensor.run\n"
        "names = {'chdb', 'dpkt', 'litestar', 'numpy', 'rich', 'relaytrap.store', 'relaytrap.evidence'}\n"
        "heavy = names & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
