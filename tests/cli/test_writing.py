"""A file for other programs is written whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from relaytrap.cli.writing import STANDARD_OUTPUT, write_whole
from relaytrap.errors import DiskError


def test_a_new_file_can_be_read_by_others_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "list"
    write_whole(file, b"1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    file.chmod(0o600)
    write_whole(file, b"2")
    assert (stat.S_IMODE(file.stat().st_mode), file.read_bytes()) == (0o600, b"2")


def test_a_file_that_did_not_change_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "list"
    assert write_whole(file, b"1")
    before = file.stat()
    assert not write_whole(file, b"1")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_the_old_content_stays_when_the_new_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list"
    write_whole(file, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        write_whole(file, b"new")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"list": b"old"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_what_is_no_file_is_written_to() -> None:
    assert write_whole(Path(os.devnull), b"data")


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_whole(STANDARD_OUTPUT, b"data\n")
    assert capfdbinary.readouterr().out == b"data\n"
