"""pcap in all its kinds, pcapng with everything in it, whole and cut."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.container import (
    MAX_NAME,
    MAX_PACKET_BYTES,
    NO_TIME_NS,
    PacketSource,
    comments,
    options,
    walk_pcap,
    walk_pcapng,
)
from tests.capture.packets import TIME_S, block, enhanced, interface, option, pcap, section

FRAMES = [b"first", b"", b"the third"]


def walk(data: bytes, chunk: int | None = None):
    """(packets, unread) of a file, its stream giving at most `chunk` octets at a time."""

    class Slow(io.BytesIO):
        def read1(self, size=-1):
            return self.read(min(size, chunk) if chunk else size)

    source = PacketSource(Slow(data))
    source.have(4)
    walker = walk_pcapng if data[:4] == b"\n\r\r\n" else walk_pcap
    return list(walker(source)), source.unread


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_of_either_byte_order_and_resolution(order, nanoseconds):
    packets, unread = walk(pcap(FRAMES, order=order, nanoseconds=nanoseconds, link_type=113))
    assert [packet[3] for packet in packets] == FRAMES
    tick = 1 if nanoseconds else 1000
    assert [packet[0] for packet in packets] == [TIME_S * 10**9 + n * tick for n in range(3)]
    assert {packet[1].link_type for packet in packets} == {113}
    assert not unread


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_with_the_long_record_header(order):
    packets, unread = walk(pcap(FRAMES, order=order, modified=True))
    assert [packet[3] for packet in packets] == FRAMES
    assert not unread


@pytest.mark.parametrize("chunk", [1, 30, None])
def test_pcap_files_joined_end_to_end_are_all_read(chunk):
    files = [pcap(FRAMES), pcap(FRAMES, order=">", link_type=113), pcap([]), pcap(FRAMES, modified=True), pcap(FRAMES)]
    packets, unread = walk(b"".join(files), chunk)
    assert [packet[3] for packet in packets] == FRAMES * 4
    assert [packet[1].link_type for packet in packets] == [1] * 3 + [113] * 3 + [1] * 6
    assert not unread


@pytest.mark.parametrize("kept", [0, 17, 23])
def test_a_pcap_whose_follower_is_cut_inside_its_header_is_told(kept):
    packets, unread = walk(pcap(FRAMES) + pcap([])[:kept])
    assert ([packet[3] for packet in packets], unread.total()) == (FRAMES, int(kept > 0))


def test_the_length_on_the_wire_is_told_of_a_cut_packet():
    packets, _ = walk(pcap([b"x" * 100], snap_length=60))
    assert (packets[0][2], len(packets[0][3])) == (100, 60)


def test_lengths_the_other_way_round_in_files_older_than_2_4():
    data = bytearray(pcap([b"12345"]))
    struct.pack_into("<H", data, 6, 2)
    struct.pack_into("<II", data, 32, 60, 5)
    packets, _ = walk(bytes(data))
    assert (packets[0][2], packets[0][3]) == (60, b"12345")


def test_frame_check_bits_in_the_link_type_field_are_left_out():
    packets, _ = walk(pcap([b"x"], link_type=1 | 0x54000000))
    assert packets[0][1].link_type == 1


@given(st.integers(24, 24 + 3 * 16 + 14))
def test_a_pcap_cut_anywhere_gives_its_whole_packets_and_tells_of_the_cut(cut):
    data = pcap(FRAMES)
    ends = [24, 45, 61, 86]
    packets, unread = walk(data[:cut])
    assert len(packets) == sum(end <= cut for end in ends) - 1
    assert bool(unread) == (cut not in ends)


def test_a_pcap_cut_inside_its_header_is_told():
    assert walk(pcap([])[:11]) == ([], {"file ends inside a packet": 1})


def test_an_impossible_length_ends_reading_with_a_reason():
    data = pcap([b"good"]) + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF) + b"rest"
    packets, unread = walk(data)
    assert [packet[3] for packet in packets] == [b"good"]
    assert unread == {"rest of file after an impossible packet length": 1}


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize(
    "data", [pcap([b"x" * n for n in range(50)]), section() + interface() + enhanced(b"abcde", 1) * 9]
)
def test_a_stream_that_gives_little_at_a_time_reads_the_same(chunk, data):
    assert [packet[3] for packet in walk(data, chunk)[0]] == [packet[3] for packet in walk(data)[0]]


def test_packets_larger_than_a_chunk_of_reading():
    frames = [b"a" * MAX_PACKET_BYTES, b"b", b"c" * (MAX_PACKET_BYTES - 1)]
    packets, _ = walk(pcap(frames, snap_length=1 << 24))
    assert [len(packet[3]) for packet in packets] == [len(frame) for frame in frames]
    assert all(packet[3] == frame for packet, frame in zip(packets, frames, strict=True))


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_interfaces_have_their_own_link_type_clock_and_name(order):
    data = (
        section(order)
        + interface(1, order)
        + interface(101, order, option(9, b"\x09", order) + option(2, b"eth1", order))
        + interface(113, order, option(9, b"\x8a", order))  # 2^-10 s
        + interface(0, order, option(14, struct.pack(order + "q", 100), order))
        + enhanced(b"a", 5_000_001, 0, order)
        + enhanced(b"b", 5_000_000_001, 1, order)
        + enhanced(b"c", 2048, 2, order)
        + enhanced(b"d", 1_000_000, 3, order)
    )
    packets, unread = walk(data)
    assert [(p[0], p[1].link_type, p[1].name) for p in packets] == [
        (5_000_001_000, 1, ""),
        (5_000_000_001, 101, "eth1"),
        (2_000_000_000, 113, ""),
        (101_000_000_000, 0, ""),
    ]
    assert not unread


def test_each_pcapng_section_numbers_its_interfaces_anew_in_its_own_byte_order():
    data = (
        section("<") + interface(1) + enhanced(b"a", 1) + section(">") + interface(101, ">") + enhanced(b"b", 2, 0, ">")
    )
    packets, _ = walk(data)
    assert [(packet[1].link_type, packet[3]) for packet in packets] == [(1, b"a"), (101, b"b")]


def test_of_an_interface_name_longer_than_any_sensor_s_the_beginning_is_kept():
    described = interface(options=option(2, b"n" * 65_000))
    packets, unread = walk(section() + described + enhanced(b"x", 1))
    assert ([packet[1].name for packet in packets], unread) == (["n" * MAX_NAME], {})


def test_simple_and_obsolete_packet_blocks():
    simple = block(3, struct.pack("<I", 9) + b"abcdefghi")
    obsolete = block(2, struct.pack("<HHIIII", 0, 0, 0, 7, 3, 3) + b"xyz\0")
    packets, unread = walk(section() + interface() + simple + obsolete)
    assert [(packet[0], packet[3]) for packet in packets] == [(NO_TIME_NS, b"abcdefghi"), (7000, b"xyz")]
    assert not unread


def test_a_simple_packet_is_cut_at_the_interface_snap_length():
    simple = block(3, struct.pack("<I", 90) + b"abcd")
    packets, _ = walk(section() + interface(snap_length=4) + simple)
    assert (packets[0][2], packets[0][3]) == (90, b"abcd")


def test_unknown_blocks_are_passed_over():
    data = section() + block(0x40000BAD, b"anything") + interface() + block(4, b"names") + enhanced(b"a", 1)
    packets, unread = walk(data)
    assert [packet[3] for packet in packets] == [b"a"]
    assert not unread


def test_an_unknown_block_larger_than_memory_allows_is_passed_over_unread():
    data = section() + block(0x0BAD, bytes(3 * MAX_PACKET_BYTES)) + interface() + enhanced(b"a", 1)
    assert [packet[3] for packet in walk(data)[0]] == [b"a"]


def test_a_packet_of_an_interface_nobody_described_is_counted():
    packets, unread = walk(section() + interface() + enhanced(b"a", 1, 5) + enhanced(b"b", 1))
    assert [packet[3] for packet in packets] == [b"b"]
    assert unread == {"packet of an undescribed pcapng interface": 1}


@pytest.mark.parametrize("damage", [b"\x06\0\0\0\x08\0\0\0", b"\n\r\r\n\x1c\0\0\0\0\0\0\0"])
def test_a_damaged_block_ends_reading_with_a_reason(damage):
    packets, unread = walk(section() + interface() + enhanced(b"a", 1) + damage + bytes(20))
    assert len(packets) == 1
    assert unread == {"rest of file after a damaged pcapng block": 1}


def test_a_time_beyond_all_dates_is_no_time():
    packets, _ = walk(section() + interface(options=option(9, b"\x00")) + enhanced(b"a", 1 << 62))
    assert packets[0][0] == NO_TIME_NS


def test_comments_and_options_end_at_nonsense():
    good = option(1, b"said") + option(1, b"again\xff")
    assert comments(good + option(0, b"") + option(1, b"no"), "<") == ("said", "again\ufffd")
    assert list(options(good + b"\x01\x00\xff\xff", "<")) == [(1, b"said"), (1, b"again\xff")]


@given(st.binary(max_size=400))
def test_no_octets_make_a_walker_raise(data):
    walk(pcap([])[:24] + data)
    walk(section() + interface() + data)
