"""SegmentWriter: what stands in the file, and what happens when the disk is full."""

import io
import struct

import pytest

from relaytrap import __version__
from relaytrap.capture.container import PacketSource, walk_pcapng
from relaytrap.capture.pcapng import SegmentWriter, write_capture
from relaytrap.capture.segment import read_segment
from relaytrap.observation import Observation
from tests.capture.packets import request


def observation(raw: bytes = b"x", **changes) -> Observation:
    values = {
        "received_at_ns": 1_700_000_000_123_456_789,
        "sensor": "hp1",
        "direction": "in",
        "transport": "udp",
        "source": "198.51.100.7",
        "source_port": 40000,
        "local": "203.0.113.5",
        "local_port": 5060,
        "raw": raw,
    }
    return Observation(**(values | changes))


def written(*observations: Observation, sensor: str = "hp1", segment: int = 3) -> bytes:
    file = io.BytesIO()
    writer = SegmentWriter(file, sensor=sensor, segment=segment)
    for item in observations:
        writer.write(item)
    return file.getvalue()


def packets(data: bytes) -> list[bytes]:
    return [packet[3] for packet in walk_pcapng(PacketSource(io.BytesIO(data)))]


def ones_complement_sum(data: bytes) -> int:
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_the_section_header_names_program_sensor_segment_and_format():
    data = written(sensor="hp1", segment=42)
    assert f"Relaytrap {__version__}".encode() in data
    assert b"Relaytrap segment 42 of sensor 'hp1'" in data
    assert b'relaytrap:{"format":1,"sensor":"hp1","segment":42}' in data


def test_each_observation_is_one_write():
    class Counting(io.BytesIO):
        writes = 0

        def write(self, data):
            self.writes += 1
            return super().write(data)

    file = Counting()
    writer = SegmentWriter(file, sensor="hp1")
    opened = file.writes
    for sensor in ("hp1", "hp2"):  # the second needs an interface description too
        writer.write(observation(request(body=b"x" * 70_000), transport="tcp", sensor=sensor))
    assert file.writes == opened + 2


def test_the_result_of_write_and_size_count_octets():
    file = io.BytesIO()
    writer = SegmentWriter(file, sensor="hp1")
    before = writer.size
    taken = writer.write(observation())
    assert writer.size == before + taken == len(file.getvalue())
    assert writer.count == 1


@pytest.mark.parametrize("size", [0, 1, 2, 3, 600, 1471])
def test_ipv4_header_and_udp_checksums_are_valid(size):
    packet = packets(written(observation(b"\xa5" * size)))[0]
    assert ones_complement_sum(packet[:20]) == 0xFFFF
    pseudo_header = packet[12:20] + b"\0\x11" + packet[24:26]
    assert ones_complement_sum(pseudo_header + packet[20:]) == 0xFFFF


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("size", [0, 1, 601])
def test_ipv6_checksums_are_valid(transport, size):
    data = written(
        observation(request(body=b"\x5a" * size), transport=transport, source="2001:db8::1", local="2001:db8::2")
    )
    packet = packets(data)[0]
    pseudo_header = packet[8:40] + struct.pack(">II", len(packet) - 40, packet[6])
    assert ones_complement_sum(pseudo_header + packet[40:]) == 0xFFFF


def test_an_answer_stands_with_our_address_as_its_source():
    packet = packets(written(observation(direction="out")))[0]
    assert packet[12:20] == bytes((203, 0, 113, 5, 198, 51, 100, 7))
    assert struct.unpack(">HH", packet[20:24]) == (5060, 40000)


def test_tcp_sequence_numbers_continue_within_a_flow_and_acknowledge_the_other_side():
    first, second = request(1), request(2)
    data = written(
        observation(first, transport="tcp"),
        observation(b"\r\n", transport="tcp", direction="out"),
        observation(second, transport="tcp"),
    )
    (sequence_1, _), (sequence_2, acknowledged_2), (sequence_3, _) = (
        struct.unpack(">II", packet[24:32]) for packet in packets(data)
    )
    assert sequence_3 == sequence_1 + len(first)
    assert acknowledged_2 == sequence_1 + len(first)
    assert sequence_2 == sequence_1


def test_a_message_over_64_kib_spans_several_segments():
    raw = request(1, body=b"b" * 150_000)
    data = written(observation(raw, transport="tcp"))
    parts = packets(data)
    assert len(parts) == 3
    assert b"".join(part[40:] for part in parts) == raw


@pytest.mark.parametrize(
    "raw", [b"junk", request(length=9), request(body=b"four", length=1), b"OPTIONS sip:a SIP/2.0\r\n\r\n"]
)
def test_a_piece_of_a_stream_that_readers_cannot_delimit_stands_as_a_datagram_and_says_so(raw):
    data = written(observation(raw, transport="tcp"))
    assert packets(data)[0][9] == 17
    assert b"it does not end where its headers say" in data
    assert next(iter(read_segment(io.BytesIO(data)))).transport == "tcp"


def test_a_name_in_the_header_cannot_break_out_of_its_comment():
    data = written(sensor='hp"\n\x1b[31m\u202e')
    assert b"\x1b" not in data.split(b"hp", 1)[0]
    assert list(read_segment(io.BytesIO(data))) == []


class FullDisk(io.BytesIO):
    """Takes `room` octets, then only part of a write."""

    room = 1 << 60

    def write(self, data):
        fits = data[: max(0, self.room - len(self.getvalue()))]
        return super().write(fits)


def test_a_full_disk_leaves_whole_observations_and_says_so():
    file = FullDisk()
    writer = SegmentWriter(file, sensor="hp1")
    writer.write(observation(b"first"))
    file.room = writer.size + 20
    with pytest.raises(OSError, match="No space left"):
        writer.write(observation(b"second"))
    file.room = 1 << 60
    writer.write(observation(b"third"))
    reader = read_segment(io.BytesIO(file.getvalue()))
    assert [item.raw for item in reader] == [b"first", b"third"]
    assert not reader.unread


def test_a_sensor_first_seen_on_a_full_disk_is_described_again_later():
    file = FullDisk()
    writer = SegmentWriter(file, sensor="hp1")
    file.room = writer.size
    with pytest.raises(OSError):
        writer.write(observation(sensor="hp2"))
    file.room = 1 << 60
    writer.write(observation(sensor="hp2"))
    assert [item.sensor for item in read_segment(io.BytesIO(file.getvalue()))] == ["hp2"]


def test_write_capture_takes_observations_of_many_sensors_and_captures():
    observations = [
        observation(b"a", sensor="hp1"),
        observation(b"b", sensor="hp2", capture="old.pcap", frame=17),
        observation(b"c", sensor="hp1", source="2001:db8::1", local="2001:db8::2"),
    ]
    file = io.BytesIO()
    assert write_capture(file, observations) == 3
    file.seek(0)
    assert list(read_segment(file)) == observations
