"""`relaytrap probe`: what a monitor reads from its exit status, and what is in the log whatever happens."""

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from relaytrap.cli import probe, streams
from relaytrap.cli.main import main
from relaytrap.probe.register import Register

from ..loopback import loopback
from ..probe.answering import Answering, answering_server, hurry, reply

SERVER, TESTER = loopback(44, 1), loopback(44, 2)
ASK = ("--i-run-this-server", "--from", TESTER, "--transport", "udp", "--method", "OPTIONS")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def status_of(tmp_path: Path) -> Callable[..., object]:
    def status(*arguments: str) -> object:
        with pytest.raises(SystemExit) as stop:
            main(["--data", str(tmp_path), "probe", *arguments])
        return stop.value.code

    return status


Status = Callable[..., object]
Captured = pytest.CaptureFixture[str]


def test_without_the_statement_nothing_is_run(status_of: Status, capsys: Captured) -> None:
    assert status_of(SERVER) == 3
    assert "--i-run-this-server" in capsys.readouterr().err


def test_address_that_is_not_ours_is_named_without_a_port_that_nobody_chose(
    status_of: Status, capsys: Captured
) -> None:
    assert status_of("--i-run-this-server", SERVER, "--from", "192.0.2.1") == 3
    assert "cannot listen on 192.0.2.1 (" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["no-such-host.invalid"], [SERVER, "--from", "192.0.2.1"]])
def test_test_that_cannot_be_run_is_not_run(status_of: Status, capsys: Captured, more: list[str]) -> None:
    assert status_of("--i-run-this-server", *more) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [SERVER, "--no-such-option"],
        [SERVER, "--transport", "smoke-signal"],
        [SERVER, "another-host"],
        [SERVER, "--report", "report.docx"],
        [SERVER, "--report", "/no/such/directory/report.pdf"],
        ["schedule", "add"],
        ["opt-out", "no-such-command"],
    ],
)
def test_wrong_usage_never_reads_as_undecided(status_of: Status, capsys: Captured, wrong: list[str]) -> None:
    assert status_of(*wrong) == 3
    assert "Error: " in capsys.readouterr().err


def test_report_without_its_packages_is_refused_before_anything_is_sent(
    status_of: Status, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    for name in ("relaytrap.web.probe_pdf", "relaytrap.web.pdf"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert status_of(*ASK, SERVER, "--report", str(tmp_path / "report.pdf")) == 3
    assert "needs the package fpdf" in capsys.readouterr().err


def test_test_itself_needs_no_package_of_page_or_store() -> None:
    code = "import sys, relaytrap.cli.probe; print({'jinja2', 'fpdf', 'litestar', 'chdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_mistake_of_ours_never_reads_as_open(status_of: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(probe, "resolve_target", fail)
    assert status_of("--i-run-this-server", SERVER) == 3


def test_not_run_is_said_in_json_too(status_of: Status, capsys: Captured) -> None:
    assert status_of("--json", "--i-run-this-server", "no-such-host.invalid") == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["exit_status"]) == ("not run", 3)
    assert "does not resolve" in report["sentence"]


HOSTILE = "<script>alert(1)</script>\x1b]0;owned\x07\u202e"


@pytest.fixture
def refusing() -> Iterator[Answering]:
    """A server that refuses everything, with a hostile name, and remembers what it was asked."""
    with answering_server(SERVER, lambda request: reply(request, "403 No", f"Server: {HOSTILE}")) as server:
        yield server


def test_closed_server_is_0_and_everything_of_it_is_escaped(
    status_of: Status, capsys: Captured, refusing: Answering, tmp_path: Path
) -> None:
    reports = [tmp_path / "report.html", tmp_path / "report.pdf"]
    given = [argument for path in reports for argument in ("--report", str(path))]
    assert status_of(*ASK, "--json", *given, f"{SERVER}:{refusing.port}") == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    report = json.loads(out)
    assert report["verdict"] == "refused"
    assert {each["result"] for each in report["probes"]} == {"refused"}
    assert HOSTILE in report["probes"][0]["answers"][0]["server"]
    html = reports[0].read_text(encoding="utf-8")
    assert "alert(1)" in html
    assert not {"<script", "\x1b", "\x07", "\u202e"} & {each for each in ("<script", *html) if each in html}
    assert reports[1].read_bytes().startswith(b"%PDF-")


def test_terminal_shows_a_hostile_name_escaped(status_of: Status, capsys: Captured, refusing: Answering) -> None:
    assert status_of(*ASK, f"{SERVER}:{refusing.port}") == 0
    out = capsys.readouterr().out
    assert "alert(1)" in out
    assert not set("\x1b\x07\u202e") & set(out)


def test_test_is_in_the_log_before_its_first_packet(status_of: Status, tmp_path: Path) -> None:
    seen: list[list[str | None]] = []

    def answer(request: bytes) -> bytes:
        seen.append([entry.verdict for entry in Register(tmp_path).latest()])
        return reply(request, "403 No")

    with answering_server(SERVER, answer) as server:
        status_of(*ASK, f"{SERVER}:{server.port}")
    assert seen[0] == [None]
    assert [entry.verdict for entry in Register(tmp_path).latest()] == ["refused"]


def test_too_many_tests_of_one_server_are_one_sentence(
    status_of: Status, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "COMMAND_LIMITS", replace(probe.COMMAND_LIMITS, target_an_hour=0))
    assert status_of(*ASK, SERVER) == 3
    assert "try again later" in capsys.readouterr().err


def test_opted_out_server_is_sent_nothing(status_of: Status, capsys: Captured, refusing: Answering) -> None:
    assert status_of("opt-out", "add", SERVER, "--note", "by mail") == 0
    assert status_of(*ASK, f"{SERVER}:{refusing.port}") == 3
    assert "operator asked" in capsys.readouterr().err
    assert refusing.requests == []


def test_opt_outs_are_listed_and_taken_back(status_of: Status, capsys: Captured) -> None:
    status_of("opt-out", "add", "Example.com")
    capsys.readouterr()
    status_of("opt-out", "list", "--json")
    assert json.loads(capsys.readouterr().out)["name"] == "example.com"
    assert status_of("opt-out", "remove", "example.com") == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_test_that_is_stopped_leaves_nothing_ringing(tmp_path: Path, sent: signal.Signals) -> None:
    with answering_server(SERVER, lambda request: ringing(request)) as server:
        command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "probe", "--i-run-this-server"]
        command += ["--from", TESTER, "--transport", "udp", "--method", "INVITE", f"{SERVER}:{server.port}"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: len(server.calls("INVITE")) >= 2)
        process.send_signal(sent)
        _, said = process.communicate(timeout=30)
        invited, cancelled = server.calls("INVITE"), server.calls("CANCEL")
    assert process.returncode == 3
    assert "stopped" in said
    assert "Traceback" not in said
    assert cancelled == invited
    (entry,) = Register(tmp_path).latest()
    assert entry.verdict == "not run"


def ringing(request: bytes) -> bytes:
    return b"" if request.startswith(b"ACK") else reply(request, "180 Ringing")


def wait_until(done: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_reader_that_leaves_early_changes_no_exit_status(tmp_path: Path, refusing: Answering) -> None:
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "probe", *ASK]
    process = subprocess.Popen(
        [*command, "--json", "no-such-host.invalid"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) == 3


def test_log_lists_every_test(status_of: Status, capsys: Captured, refusing: Answering) -> None:
    status_of(*ASK, f"{SERVER}:{refusing.port}")
    capsys.readouterr()
    assert status_of("log", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["target"], row["verdict"]) == (f"{SERVER}:{refusing.port}", "refused")
    assert "command line" in row["user"]


def test_schedule_is_made_listed_and_ended(status_of: Status, capsys: Captured) -> None:
    assert status_of("schedule", "add", SERVER, "--every", "12h") == 3
    assert status_of("schedule", "add", SERVER, "--every", "12h", "--i-run-this-server") == 0
    capsys.readouterr()
    status_of("schedule", "list", "--json")
    row = json.loads(capsys.readouterr().out)
    assert (row["target"], row["every"], row["verdict"]) == (SERVER, "12 h", None)
    assert status_of("schedule", "remove", SERVER) == 0
    assert status_of("schedule", "remove", SERVER) == 4


def test_interval_that_is_none_is_one_sentence(status_of: Status, capsys: Captured) -> None:
    assert status_of("schedule", "add", SERVER, "--every", "5m", "--i-run-this-server") == 4
    assert "12h, 1d or 1w" in capsys.readouterr().err


@pytest.mark.parametrize(
    "trouble",
    [BrokenPipeError(), SystemExit(1), OSError(errno.ENOSPC, "No space left on device"), ValueError("a mistake")],
    ids=repr,
)
@pytest.mark.parametrize("found", [0, 1, 2])
def test_result_that_cannot_be_printed_keeps_its_exit_status(
    status_of: Status, monkeypatch: pytest.MonkeyPatch, trouble: BaseException, found: int
) -> None:
    def fail(report: object) -> None:
        raise trouble

    monkeypatch.setattr(probe, "_run", lambda *_, **__: {"exit_status": found})
    monkeypatch.setattr(probe, "print_result", fail)
    monkeypatch.setattr(streams, "_silence", lambda: None)
    assert status_of("--i-run-this-server", SERVER) == found


@pytest.mark.parametrize("wrong", [["pbx example.com"], ["http://pbx.example.com"], [SERVER, "--domain", "a b"]])
def test_server_that_can_never_be_tested_is_not_scheduled(
    status_of: Status, capsys: Captured, wrong: list[str]
) -> None:
    assert status_of("schedule", "add", "--i-run-this-server", *wrong) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1
    status_of("schedule", "list")
    assert capsys.readouterr().out == "nothing is scheduled\n"
