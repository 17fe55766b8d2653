"""Acknowledged segments that are kept: the oldest go first, and what a hub lost comes back in order."""

from pathlib import Path

from relaytrap.sensor.shelf import Shelf


def filled(folder: Path, *numbers: int, octets: int = 100) -> Shelf:
    shelf = Shelf(folder)
    for number in numbers:
        path = folder / f"{number:08d}.pcapng"
        path.write_bytes(bytes(octets))
        shelf.put(number, path)
    return shelf


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_kept_segment_is_no_longer_one_that_waits(tmp_path: Path) -> None:
    shelf = filled(tmp_path, 1)
    assert names(tmp_path) == ["00000001.pcapng.acked"]
    assert (shelf.numbers, shelf.size_bytes) == ((1, 1), 100)


def test_oldest_go_first_when_there_is_too_much(tmp_path: Path) -> None:
    shelf = filled(tmp_path, 1, 2, 3)
    shelf.trim(200)
    assert (shelf.numbers, shelf.size_bytes) == ((2, 3), 200)
    shelf.trim(0)
    assert (shelf.numbers, shelf.size_bytes, names(tmp_path)) == (None, 0, [])


def test_what_lies_beyond_a_number_waits_again_in_order(tmp_path: Path) -> None:
    shelf = filled(tmp_path, 8, 9, 10, 11)
    assert [number for number, _ in shelf.take_back(9)] == [10, 11]
    assert names(tmp_path) == ["00000008.pcapng.acked", "00000009.pcapng.acked", "00000010.pcapng", "00000011.pcapng"]
    assert (shelf.numbers, shelf.size_bytes) == ((8, 9), 200)


def test_next_start_finds_what_was_kept(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2)
    (tmp_path / "nonsense.acked").touch()
    again = Shelf(tmp_path)
    assert (again.numbers, again.size_bytes) == ((1, 2), 200)


def test_segment_that_somebody_removed_is_no_reason_to_stop(tmp_path: Path) -> None:
    shelf = filled(tmp_path, 1, 2)
    (tmp_path / "00000002.pcapng.acked").unlink()
    assert shelf.take_back(1) == []
    shelf.put(3, tmp_path / "00000003.pcapng")
    assert shelf.numbers == (1, 1)
