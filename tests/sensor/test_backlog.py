"""What waits for the hub: in order, and within the limits of bytes and days."""

from pathlib import Path

import pytest

from relaytrap.sensor.backlog import Backlog
from relaytrap.sensor.spool import count_spool, segment_files
from tests.sensor.talk import START_NS
from tests.sensor.test_spool import acknowledge, close, closed, observation, small, waiting


def kept(folder: Path, *numbers: int, since: float | None = 0.0) -> tuple[Backlog, list[int]]:
    """A backlog of segments with 100 octets and as many observations as their number; what is told of dropped ones."""
    dropped: list[int] = []
    backlog = Backlog(dropped.append)
    for number in numbers:
        path = folder / f"{number:08d}.pcapng"
        path.write_bytes(bytes(100))
        backlog.keep(number, path, number, since)
    return backlog, dropped


def test_what_came_back_goes_where_its_number_belongs(tmp_path: Path) -> None:
    backlog, _ = kept(tmp_path, 3, 1, 2)
    backlog.sort()
    first = backlog.oldest()
    assert first is not None
    assert (first.number, len(backlog), backlog.size_bytes) == (1, 3, 300)


def test_segment_that_left_in_this_moment_is_not_lost_as_well(tmp_path: Path) -> None:
    backlog, dropped = kept(tmp_path, 1, 2)
    first = backlog.oldest()
    assert first is not None
    assert backlog.forget(first)
    backlog.drop(first)
    assert (dropped, first.path.exists(), len(backlog), backlog.size_bytes) == ([], True, 1, 100)


def test_no_more_is_dropped_than_must(tmp_path: Path) -> None:
    backlog, dropped = kept(tmp_path, 1, 2, 3)
    backlog.trim(200, -1.0)
    assert (dropped, backlog.size_bytes) == ([1], 200)
    backlog.trim(200, 1.0)
    assert (dropped, backlog.size_bytes, list(tmp_path.iterdir())) == ([1, 2, 3], 0, [])


def test_segment_is_not_too_old_before_it_is_dated(tmp_path: Path) -> None:
    backlog, dropped = kept(tmp_path, 1, since=None)
    backlog.trim(100, 1e9)
    assert dropped == []
    backlog.look_at_clock(10.0, (tmp_path / "00000001.pcapng").stat().st_mtime_ns + 5_000_000_000)
    segment = backlog.oldest()
    assert segment is not None
    assert segment.since == pytest.approx(5.0)


def test_beyond_its_bytes_the_oldest_goes_and_is_counted(tmp_path: Path) -> None:
    spool = small(tmp_path, segment_max_bytes=10_000, spool_max_bytes=35_000, flush_interval_s=0)
    for _ in range(90):
        spool.write(observation(b"x" * 1000), 0.0)
    spool.tick(0.0, START_NS)
    assert spool.size_bytes <= 35_000
    lost = spool.lost()
    assert lost["dropped_segments"] >= 5
    assert count_spool(tmp_path) == 90 - lost["dropped_observations"]
    assert segment_files(tmp_path)[0].name != "00000001.pcapng"


def test_beyond_its_days_it_goes_also_when_an_earlier_run_wrote_it(tmp_path: Path) -> None:
    spool = small(tmp_path)
    spool.write(observation(), 0.0)
    spool.write(observation(), 0.0)
    close(spool)
    again = small(tmp_path, spool_max_days=1)
    modified = segment_files(tmp_path)[0].stat().st_mtime_ns
    again.tick(80_000.0, modified + 80_000_000_000_000)
    assert again.lost()["dropped_observations"] == 0
    again.tick(90_000.0, modified + 90_000_000_000_000)
    assert again.lost() == {"lost_observations": 0, "dropped_segments": 1, "dropped_observations": 2}


def test_refused_segment_stays_and_is_shipped_no_more(tmp_path: Path) -> None:
    spool = small(tmp_path)
    spool.write(observation(), 0.0)
    close(spool)
    segment = spool.backlog.oldest()
    assert segment is not None
    spool.backlog.set_aside(segment)
    assert spool.backlog.oldest() is None
    assert (tmp_path / "00000001.pcapng.refused").exists()
    assert count_spool(tmp_path) == 1


def test_what_was_acknowledged_goes_before_anything_is_lost(tmp_path: Path) -> None:
    spool = closed(tmp_path, 4)
    acknowledge(spool, 2)
    close(spool)
    again = small(tmp_path, spool_max_bytes=spool.size_bytes)
    again.tick(0.0, START_NS)
    assert (waiting(again), again.shelf.numbers, again.lost()["dropped_segments"]) == ([3, 4], None, 0)


@pytest.mark.parametrize("days", [40, -40])
def test_clock_that_is_set_makes_nothing_too_old(tmp_path: Path, days: int) -> None:
    spool = closed(tmp_path, 2, spool_max_days=30)
    now_ns = segment_files(tmp_path)[0].stat().st_mtime_ns
    step_ns = days * 86_400_000_000_000
    spool.tick(10.0, now_ns)
    spool.tick(11.0, now_ns + step_ns)
    close(spool, 12.0)
    again = small(tmp_path, spool_max_days=30)
    again.tick(0.0, now_ns + step_ns)
    assert (waiting(again), again.lost()["dropped_segments"]) == ([1, 2], 0)
    again.tick(31 * 86_400.0, now_ns + step_ns + 31 * 86_400_000_000_000)
    assert again.lost()["dropped_segments"] == 2
