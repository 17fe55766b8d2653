"""The spool: readable whenever the process dies, counted when the disk is full, never a number twice."""

import errno
import itertools
import json
import os
from pathlib import Path

import pytest

from relaytrap.capture import read_segment
from relaytrap.errors import DiskError, StoreLocked
from relaytrap.observation import Observation
from relaytrap.sensor.spool import PENDING_MAX_BYTES, Spool, SpoolLimits, count_spool, segment_files
from tests.sensor.talk import START_NS

NUMBERS = itertools.count()


def observation(raw: bytes = b"OPTIONS sip:a SIP/2.0\r\n\r\n", direction: str = "in", **more: object) -> Observation:
    moment = START_NS + next(NUMBERS)
    return Observation(moment, "s", direction, "udp", "198.51.100.7", 5060, "203.0.113.9", 5060, raw, **more)


def read(folder: Path) -> list[Observation]:
    found: list[Observation] = []
    for path in sorted(folder.glob("*.pcapng*")):
        with path.open("rb") as file:
            found += read_segment(file)
    return found


def small(folder: Path, **limits: float) -> Spool:
    return Spool(folder, "s", SpoolLimits(**limits))


def close(spool: Spool, now: float = 0.0) -> None:
    spool.finish(now)
    spool.release()


def test_what_is_written_is_read_back_exactly_both_directions(tmp_path: Path) -> None:
    spool = small(tmp_path)
    written = [
        observation(),
        observation(b"", direction="out"),
        observation(b"\x00" * 65507),
        observation(b"x", notes=("cut",)),
    ]
    for each in written:
        assert spool.write(each, 0.0)
    close(spool)
    assert read(tmp_path) == written
    assert [path.name for path in segment_files(tmp_path)] == ["00000001.pcapng"]


def test_flush_interval_of_zero_writes_each_at_once(tmp_path: Path) -> None:
    spool = small(tmp_path, flush_interval_s=0)
    first = observation()
    spool.write(first, 0.0)
    assert read(tmp_path) == [first]


def test_tick_writes_what_waits(tmp_path: Path) -> None:
    spool = small(tmp_path)
    first = observation()
    spool.write(first, 0.0)
    assert read(tmp_path) == []
    spool.tick(0.5, START_NS)
    assert read(tmp_path) == [first]


def test_segment_closes_at_its_age_and_only_if_it_holds_something(tmp_path: Path) -> None:
    closed: list[int] = []
    spool = Spool(tmp_path, "s", SpoolLimits(segment_max_age_s=2), on_closed=lambda: closed.append(1))
    spool.tick(100.0, START_NS)
    spool.write(observation(), 100.0)
    spool.tick(101.0, START_NS)
    assert not closed
    spool.tick(102.0, START_NS)
    assert closed == [1]
    assert len(spool.backlog) == 1


def test_segment_closes_at_its_size(tmp_path: Path) -> None:
    spool = small(tmp_path, segment_max_bytes=10_000, flush_interval_s=0)
    for _ in range(30):
        spool.write(observation(b"x" * 1000), 0.0)
    sizes = [path.stat().st_size for path in segment_files(tmp_path)]
    assert len(sizes) >= 2
    assert all(10_000 <= size < 12_000 for size in sizes)


def test_segments_grow_older_while_many_wait(tmp_path: Path) -> None:
    """A hub away for a month must not leave a million files."""
    spool = small(tmp_path, segment_max_age_s=1)
    now = 0.0
    for _ in range(3000):
        spool.write(observation(), now)
        spool.tick(now, START_NS)
        now += 1.0
    assert len(spool.backlog) < 300
    assert count_spool(tmp_path) <= 3000
    close(spool, now)
    assert count_spool(tmp_path) == 3000


def test_number_is_never_used_again_even_when_everything_was_shipped(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        spool = small(tmp_path)
        spool.write(observation(), 0.0)
        close(spool)
        segment = spool.backlog.oldest()
        assert segment is not None
        assert segment.number == expected
        spool.acknowledge(segment)
        assert not segment_files(tmp_path)


def test_spool_has_an_identity_that_a_fresh_folder_does_not_repeat(tmp_path: Path) -> None:
    first, second = small(tmp_path / "a"), small(tmp_path / "b")
    assert first.state.spool_id != second.state.spool_id
    close(first)
    again = small(tmp_path / "a")
    assert again.state.spool_id == first.state.spool_id


def test_spool_that_is_finished_is_not_let_go(tmp_path: Path) -> None:
    spool = small(tmp_path)
    spool.write(observation(), 0.0)
    spool.finish(0.0)
    assert len(spool.backlog) == 1
    with pytest.raises(StoreLocked):
        small(tmp_path)
    spool.release()
    close(small(tmp_path))


def test_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DiskError, match="cannot be used"):
        small(tmp_path / "file" / "s")


class FullDisk:
    """Stands in for os.write on a disk without room, and takes back so many octets before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 0
        self.is_full = True
        self._write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, fd: int, data: bytes) -> int:
        if not self.is_full:
            return self._write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken, self.room = min(self.room, len(data)), max(0, self.room - len(data))
        return self._write(fd, bytes(data[:taken]))


def test_full_disk_loses_nothing_while_memory_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = small(tmp_path)
    disk = FullDisk(monkeypatch)
    disk.room = 333  # breaks off in the middle of a block
    written = [observation(b"x" * 500) for _ in range(20)]
    for number, each in enumerate(written):
        assert spool.write(each, float(number))
        spool.tick(float(number), START_NS)
    assert spool.is_full
    disk.is_full = False
    spool.tick(100.0, START_NS)
    assert not spool.is_full
    assert spool.lost()["lost_observations"] == 0
    close(spool, 100.0)
    assert read(tmp_path) == written


def test_segment_that_filled_the_disk_is_closed_and_what_waits_goes_into_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    spool = Spool(tmp_path, "s", SpoolLimits(flush_interval_s=0.0), on_closed=lambda: closed.append(1))
    disk = FullDisk(monkeypatch)
    disk.room = 5_000
    written = [observation(b"%d" % number * 300) for number in range(20)]
    for each in written:
        assert spool.write(each, 0.0)
    spool.tick(3.0, START_NS)
    assert closed, "nobody can ship it, and its room is never free again"
    taken = spool.backlog.oldest()
    assert taken is not None
    assert 0 < (taken.observations or 0) < 20
    disk.is_full = False
    spool.tick(6.0, START_NS)
    close(spool, 6.0)
    assert read(tmp_path) == written
    assert spool.lost()["lost_observations"] == 0


def test_full_disk_counts_what_is_lost_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool = small(tmp_path)
    spool.write(observation(), 0.0)
    disk = FullDisk(monkeypatch)
    spool.tick(0.0, START_NS)
    taken = [spool.write(observation(b"x" * 60_000), 0.0) for _ in range(200)]
    lost = taken.count(False)
    assert 200 * 60_000 - PENDING_MAX_BYTES <= lost * 61_000 < 200 * 60_000
    assert spool.lost()["lost_observations"] == lost
    assert caplog.text.count("cannot write the spool") == 1
    disk.is_full = False
    spool.tick(10.0, START_NS)
    assert spool.write(observation(), 10.0)
    close(spool, 10.0)
    assert len(read(tmp_path)) == 202 - lost
    assert json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))["lost_observations"] == lost


def test_segment_cut_by_a_full_disk_at_the_end_is_left_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = small(tmp_path)
    disk = FullDisk(monkeypatch)
    disk.room = 900
    written = [observation(b"x" * 300) for _ in range(5)]
    for each in written:
        spool.write(each, 0.0)
    close(spool)
    found = read(tmp_path)
    assert found == written[: len(found)]
    assert spool.lost()["lost_observations"] == 5 - len(found)


def test_disk_full_before_a_segment_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = small(tmp_path)

    def no_room(*_args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_room)
        assert not spool.write(observation(), 0.0)
        assert not spool.write(observation(), 0.5)
    assert spool.write(observation(), 2.0)
    assert spool.lost()["lost_observations"] == 2


def closed(folder: Path, segments: int, **limits: float) -> Spool:
    """A spool in which so many segments wait."""
    for _ in range(segments):
        spool = small(folder, **limits)
        spool.write(observation(), 0.0)
        close(spool)
    return small(folder, **limits)


def acknowledge(spool: Spool, count: int) -> None:
    for _ in range(count):
        segment = spool.backlog.oldest()
        assert segment is not None
        spool.acknowledge(segment)


def waiting(spool: Spool) -> list[int]:
    return [int(path.name.partition(".")[0]) for path in segment_files(spool.folder)]


def test_acknowledged_segments_are_kept_as_long_as_there_is_room(tmp_path: Path) -> None:
    spool = closed(tmp_path, 3)
    acknowledge(spool, 2)
    assert (waiting(spool), spool.shelf.numbers, spool.state.acknowledged) == ([3], (1, 2), 2)
    assert len(spool.backlog) == 1


def test_nothing_is_kept_where_nothing_should_be(tmp_path: Path) -> None:
    spool = closed(tmp_path, 2, spool_kept_bytes=0)
    acknowledge(spool, 2)
    assert list(tmp_path.glob("*.pcapng*")) == []


def test_hub_that_lost_what_it_acknowledged_gets_it_again_in_order(tmp_path: Path) -> None:
    spool = closed(tmp_path, 5)
    spool.reconcile("hub", 0)
    acknowledge(spool, 4)
    assert spool.reconcile("hub", 2) == 2
    order = []
    while (segment := spool.backlog.oldest()) is not None:
        order.append(segment.number)
        spool.acknowledge(segment)
    assert order == [3, 4, 5]
    assert spool.reconcile("hub", 5) == 0


def test_hub_that_lost_what_nobody_keeps_is_heard_once(tmp_path: Path) -> None:
    spool = closed(tmp_path, 3, spool_kept_bytes=0)
    spool.reconcile("hub", 0)
    acknowledge(spool, 3)
    assert spool.reconcile("hub", 1) == 0
    assert spool.state.acknowledged == 1


def test_another_hub_gets_nothing_that_was_shipped_to_the_first(tmp_path: Path) -> None:
    spool = closed(tmp_path, 3)
    spool.reconcile("hub", 0)
    acknowledge(spool, 2)
    assert spool.reconcile("other", 0) == 0
    assert (waiting(spool), spool.state.hub_id, spool.state.acknowledged) == ([3], "other", 0)


def test_numbers_that_a_hub_has_already_are_not_used_again(tmp_path: Path) -> None:
    spool = closed(tmp_path, 1)
    spool.reconcile("hub", 700)
    spool.write(observation(), 0.0)
    close(spool)
    assert waiting(spool) == [1, 701]
