"""Walking blocks: where the last whole one ends, whatever the file holds."""

import io
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relaytrap.capture import SegmentWriter, read_segment
from relaytrap.observation import Observation
from relaytrap.sensor.segment import count_received, whole_blocks


def segment(*observations: Observation) -> bytes:
    out = io.BytesIO()
    writer = SegmentWriter(out, sensor="s", segment=1)
    for each in observations:
        writer.write(each)
    return out.getvalue()


def observation(raw: bytes, direction: str = "in", **more: object) -> Observation:
    given = {"transport": "udp", "source": "198.51.100.7", "local": "203.0.113.9"} | more
    return Observation(
        1, "s", direction, given["transport"], given["source"], 1, given["local"], 2, raw, notes=given.get("notes", ())
    )


def test_only_what_was_received_is_counted_and_a_message_of_several_packets_once(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(
        segment(
            observation(b"a"),
            observation(b"b", "out"),
            observation(b"", notes=("a note",)),
            observation(b"x" * 200_000, transport="tcp"),
            observation(b"c", source="2001:db8::1", local="2001:db8::2"),
        )
    )
    blocks = whole_blocks(path)
    assert (blocks.observations, blocks.received, count_received(path)) == (5, 4, 4)
    assert blocks.octets == path.stat().st_size


def test_missing_and_empty_files_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert whole_blocks(tmp_path / "empty") == whole_blocks(tmp_path / "none") == (0, 0, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 2000))
def test_cut_file_is_whole_up_to_where_a_reader_gets(tmp_path: Path, cut: int) -> None:
    whole = segment(*(observation(b"x" * length) for length in (0, 1, 2, 3, 300)))
    path = tmp_path / "s"
    path.write_bytes(whole[:cut])
    blocks = whole_blocks(path)
    assert blocks.octets <= min(cut, len(whole))
    if blocks.observations:
        assert len(list(read_segment(io.BytesIO(whole[: blocks.octets])))) == blocks.observations


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_walked_without_failing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s"
    path.write_bytes(segment(observation(b"x")) + data)
    assert whole_blocks(path).observations >= 1


def test_block_that_claims_more_than_it_has_room_for_ends_what_is_whole(tmp_path: Path) -> None:
    """As a dying disk leaves it: the frame of the block stands, what is inside does not."""
    good, path = segment(observation(b"x")), tmp_path / "s"
    for inside in (bytes(4), bytes(12) + b"\x00\x00\xff\xff" + bytes(8)):
        length = (len(inside) + 12).to_bytes(4, "big")
        path.write_bytes(good + b"\x00\x00\x00\x06" + length + inside + length)
        assert whole_blocks(path) == (len(good), 1, 1)
