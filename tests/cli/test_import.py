import json
import os
import subprocess
import sys

import pytest

from relaytrap.errors import DiskError
from tests.hub.traffic import request, write_pcap
from tests.storing import run_child
from tests.web.conftest import start_hub


def test_the_summary_says_what_was_read_and_stored_and_what_was_there(run, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(n) for n in range(3)])
    data = tmp_path / "data"
    assert run("--data", data, "import", file).out == "scan.pcap: 3 SIP messages in 3 packets; 3 stored\n"
    assert run("--data", data, "import", file).out == (
        "scan.pcap: 3 SIP messages in 3 packets; 0 stored, 3 were there already\n"
    )


def test_one_message_is_told_in_the_singular(run, tmp_path):
    file, data = write_pcap(tmp_path / "scan.pcap", [request(0)]), tmp_path / "data"
    assert run("--data", data, "import", file).out == "scan.pcap: 1 SIP message in 1 packet; 1 stored\n"
    assert run("--data", data, "import", file).out == (
        "scan.pcap: 1 SIP message in 1 packet; 0 stored, 1 was there already\n"
    )
    assert run("--data", data, "reanalyse").out == "1 message analysed again\n"


def test_a_dry_run_tells_and_stores_nothing(run, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(0), request(0, method=b"INVITE"), b"\x80noise"])
    shown = run("--data", tmp_path / "data", "import", "--dry-run", "--json", file)
    told = json.loads(shown.out)
    assert told["file"] == "scan.pcap"
    assert (told["packets"], told["messages"], told["call_ids"]) == (3, 2, 1)
    assert (told["methods"], told["status"]) == ({"OPTIONS": 1, "INVITE": 1}, {})
    assert sum(told["unread"].values()) == 1
    assert {"anomalies", "unread"} <= set(told)
    assert not (tmp_path / "data").exists()


def test_json_gives_one_object_for_each_file(run, tmp_path):
    files = [write_pcap(tmp_path / f"{n}.pcap", [request(n)]) for n in range(2)]
    lines = run("--data", tmp_path / "data", "import", "--json", *files).out.splitlines()
    assert [(json.loads(line)["file"], json.loads(line)["stored"]) for line in lines] == [("0.pcap", 1), ("1.pcap", 1)]


def test_standard_input_is_a_file_called_dash(tmp_path):
    capture = write_pcap(tmp_path / "scan.pcap", [request(0)])
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path / "data"), "import", "--json", "-"]
    with capture.open("rb") as stdin:
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["file"], told["sensor"], told["stored"]) == ("-", "import", 1)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_missing_file_is_one_sentence_and_its_own_status(run, tmp_path, dry):
    shown = run("--data", tmp_path / "data", "import", *dry, tmp_path / "gone.pcap")
    assert (shown.status, shown.out) == (4, "")
    assert shown.err.endswith("gone.pcap: cannot be read (No such file or directory); name a readable capture file\n")
    assert shown.err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_one_sentence(run, tmp_path):
    file = write_pcap(tmp_path / "secret.pcap", [request(0)])
    file.chmod(0)
    assert run("--data", tmp_path / "data", "import", file).status == 4


@pytest.mark.parametrize("with_hub", [False, True])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_bad_files_are_told_in_a_sentence_each_and_the_others_are_read(run, tmp_path, dry, with_hub):
    first, last = (write_pcap(tmp_path / f"{name}.pcap", [request(n)]) for n, name in enumerate(("first", "last")))
    bad, gone, broken = tmp_path / "bad.pcap", tmp_path / "gone.pcap", "/proc/self/mem"
    bad.write_text("this is a letter to my aunt")
    data = tmp_path / "data"
    hub = start_hub(data) if with_hub else None
    try:
        shown = run("--data", data, "import", "--json", *dry, first, bad, gone, broken, last)
        kept = run("--data", data, "messages", "--json").out.splitlines()
    finally:
        if hub:
            assert hub.stop() == 0
    assert shown.status == 4
    assert [json.loads(line)["file"] for line in shown.out.splitlines()] == ["first.pcap", "last.pcap"]
    told = shown.err.splitlines()
    assert len(told) == 3
    assert told[0].startswith("relaytrap: bad.pcap is no capture")
    assert "gone.pcap: cannot be read (No such file or directory)" in told[1]
    assert told[2].startswith("relaytrap: mem: reading failed (Input/output error)")
    assert len(kept) == (0 if dry else 2)


def test_what_ends_an_import_is_told_after_the_files_that_were_bad(run, tmp_path, monkeypatch):
    def full(*_):
        raise DiskError("there is no room")

    monkeypatch.setattr("relaytrap.hub.importing._Lanes.take", full)
    good, bad = write_pcap(tmp_path / "good.pcap", [request(0)]), tmp_path / "bad.pcap"
    bad.write_text("this is a letter to my aunt")
    shown = run("--data", tmp_path / "data", "import", bad, good, tmp_path / "not-looked-at.pcap")
    assert (shown.status, shown.out) == (DiskError.exit_status, "")
    assert [line.split()[1] for line in shown.err.splitlines()] == ["bad.pcap", "there"]


def test_a_sensor_in_bytes_that_are_no_utf8_is_refused_in_one_sentence(run, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(0)])
    shown = run("--data", tmp_path / "data", "import", "--sensor", os.fsdecode(b"caf\xe9"), file)
    assert (shown.status, shown.out) == (2, "")
    assert shown.err.endswith("Error: Invalid value for '--sensor': caf\\xe9 is no UTF-8; write it in UTF-8\n")


def test_a_file_name_cannot_act_on_the_terminal(run, tmp_path):
    file = write_pcap(tmp_path / "a\x1b[31m\u202e.pcap", [request(0)])
    shown = run("--data", tmp_path / "data", "import", file)
    assert "\x1b" not in shown.out
    assert "\u202e" not in shown.out


def test_a_data_directory_that_stays_in_use_is_one_sentence_and_its_own_status(tmp_path):
    said = run_child(f"""
        import subprocess, sys
        from tests.storing import *
        with opened_store(Path({str(tmp_path)!r})):
            hurried = "from relaytrap.cli import main, session; session.WAIT_S = 0; main.main()"
            command = [sys.executable, "-c", hurried, "--data", {str(tmp_path)!r}, "messages"]
            done = subprocess.run(command, capture_output=True, text=True)
        print(done.returncode, done.stderr.splitlines()[-1])
    """)
    assert said.startswith("6 relaytrap: ")
    assert "is in use by process" in said


def test_a_full_disk_is_one_sentence_and_loses_nothing_that_was_stored(tmp_path, peer):
    """A file system of 60 MiB of its own, in a mount namespace that ends with the test."""
    peer("unshare")
    small = write_pcap(tmp_path / "small.pcap", [request(n) for n in range(100)])
    large = write_pcap(
        tmp_path / "large.pcap", [request(n, agent=os.urandom(12_000).hex().encode()) for n in range(2500)]
    )
    target = tmp_path / "small-disk"
    target.mkdir()
    cli = f"{sys.executable} -m relaytrap.cli.main --data {target}/data"
    script = (
        f"mount -t tmpfs -o size=60m tmpfs {target} && TMPDIR={tmp_path} && export TMPDIR && "
        f"{cli} import {small} && {{ {cli} import {large}; echo status $?; }} && {cli} sources --json"
    )
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert "status 10" in done.stdout, done.stderr
    assert "relaytrap: the store has no room to write" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["messages"] >= 100
