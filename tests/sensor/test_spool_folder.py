"""The folder of a spool: one process's alone, and whole again after one that died."""

import os
from pathlib import Path

import pytest

from relaytrap.errors import StoreLocked
from relaytrap.sensor.spool import segment_files
from tests.sensor.test_spool import close, observation, read, small


@pytest.mark.parametrize("keep", [0, 30, 200, 500, -7, -1])
def test_file_cut_anywhere_is_closed_at_the_next_start_with_what_was_whole(tmp_path: Path, keep: int) -> None:
    spool = small(tmp_path, flush_interval_s=0)
    written = [observation(b"x" * 100) for _ in range(5)]
    for each in written:
        spool.write(each, 0.0)
    open_file = tmp_path / "00000001.pcapng.open"
    data = open_file.read_bytes()
    os.close(spool._lock)  # as when the process dies
    open_file.write_bytes(data[:keep])
    again = small(tmp_path)
    found = read(tmp_path)
    assert found == written[: len(found)]
    assert len(found) == 4 if keep < 0 else len(found) <= 3
    again.write(observation(), 0.0)
    close(again)
    assert segment_files(tmp_path)[-1].name == "00000002.pcapng"
    assert not list(tmp_path.glob("*.open"))


def test_number_goes_on_beyond_what_is_there_when_the_state_is_gone(tmp_path: Path) -> None:
    (tmp_path / "00000041.pcapng").write_bytes(b"")
    (tmp_path / "00000050.pcapng.refused").write_bytes(b"")
    (tmp_path / "state.json").write_text("{nonsense", encoding="utf-8")
    spool = small(tmp_path)
    assert spool.state.next_segment == 51
    close(spool)


def test_two_processes_cannot_share_a_spool(tmp_path: Path) -> None:
    spool = small(tmp_path)
    with pytest.raises(StoreLocked, match="another sensor process"):
        small(tmp_path)
    close(spool)
    close(small(tmp_path))
