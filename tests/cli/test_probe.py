"""`relaytrap probe`: what a monitor reads from its exit status."""

from pathlib import Path

import pytest

from relaytrap.cli import probe
from relaytrap.cli.main import main


def status_of(tmp_path: Path, *arguments: str) -> object:
    with pytest.raises(SystemExit) as stop:
        main(["--data", str(tmp_path), "probe", *arguments])
    return stop.value.code


def test_without_the_statement_nothing_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(tmp_path, "127.0.43.9") == 3
    assert "--i-run-this-server" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["no-such-host.invalid"], ["127.0.43.9", "--from", "192.0.2.1"]])
def test_test_that_cannot_be_run_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert status_of(tmp_path, "--i-run-this-server", *more) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_mistake_of_ours_never_reads_as_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(probe, "resolve_target", fail)
    assert status_of(tmp_path, "--i-run-this-server", "127.0.43.9") == 3
