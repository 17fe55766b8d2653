"""HEP in datagrams, in streams, in files; versions 1, 2, 3; whole, cut and forged."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.hep import hep3_length, read_hep
from tests.capture.packets import TIME_S, datagram, open_capture, packed, pcap, read, read_frames, request, segment

TAKEN_NS = 1_234_567_890_000_001_000


def chunk(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack(">HHH", vendor, kind, 6 + len(value)) + value


def hep3(
    payload: bytes,
    *,
    source: str = "192.0.2.1",
    destination: str = "192.0.2.2",
    protocol: int = 17,
    timed: bool = True,
    compressed: bool = False,
    kind: int = 1,
) -> bytes:
    v6 = ":" in source
    chunks = (
        chunk(1, b"\x0a" if v6 else b"\x02")
        + chunk(2, bytes([protocol]))
        + chunk(5 if v6 else 3, packed(source))
        + chunk(6 if v6 else 4, packed(destination))
        + chunk(7, struct.pack(">H", 40001))
        + chunk(8, struct.pack(">H", 5070))
        + (chunk(9, struct.pack(">I", 1_234_567_890)) + chunk(10, struct.pack(">I", 1)) if timed else b"")
        + chunk(11, bytes([kind]))
        + chunk(12, struct.pack(">I", 2001))
        + chunk(15, b"of another vendor", vendor=9)
        + (chunk(16, zlib.compress(payload)) if compressed else chunk(15, payload))
    )
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks


@pytest.mark.parametrize(("protocol", "transport"), [(17, "udp"), (6, "tcp"), (132, "sctp")])
def test_hep3_gives_the_endpoints_and_time_that_the_agent_saw(protocol, transport):
    (message,), reader = read_frames([datagram(hep3(request(1), protocol=protocol), destination_port=9060)])
    assert (message.raw, message.transport) == (request(1), transport)
    assert (message.source, message.source_port, message.local, message.local_port) == (
        "192.0.2.1",
        40001,
        "192.0.2.2",
        5070,
    )
    assert message.received_at_ns == TAKEN_NS
    assert message.notes == ("came inside HEP",)
    assert not reader.report.unread


def test_hep3_over_ipv6_and_compressed():
    packet = hep3(request(1), source="2001:db8::1", destination="2001:db8::2", compressed=True)
    (message,), _ = read_frames([datagram(packet)])
    assert (message.raw, message.source) == (request(1), "2001:db8::1")


def test_without_a_time_the_packet_s_own_is_taken():
    (message,), _ = read_frames([datagram(hep3(request(1), timed=False))])
    assert message.received_at_ns == TIME_S * 10**9


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("family", "source"), [(2, "192.0.2.1"), (10, "2001:db8::1")])
def test_hep_1_and_2(version, family, source):
    head = struct.pack(">BBBBHH", version, 16, family, 17, 40001, 5070) + packed(source) * 2
    time = struct.pack("<IIHH", 1_234_567_890, 1, 7, 0) if version == 2 else b""
    (message,), _ = read_frames([datagram(head + time + request(1))])
    assert (message.raw, message.source, message.source_port) == (request(1), source, 40001)
    if version == 2:
        assert message.received_at_ns == TAKEN_NS


def test_a_hep_packet_about_something_else_is_counted():
    _, reader = read_frames([datagram(hep3(b'{"sender_information":{}}', kind=5))])
    assert reader.report.unread == {"HEP packet without a SIP message": 1}


def test_a_hep_packet_cut_by_the_snap_length_keeps_its_message():
    packet = datagram(hep3(request(1)))
    (message,) = open_capture(pcap([packet], snap_length=len(packet) - 30))
    assert request(1).startswith(message.raw)
    assert "cut by snaplen" in message.notes


def test_what_follows_a_gap_in_a_stream_of_hep_is_still_from_whom_the_agent_saw():
    packets = [hep3(payload=request(number, body=b"b" * 300)) for number in range(3)]
    first, second, third = (1000 + sum(map(len, packets[:number])) for number in range(3))
    cut = [segment(packets[1][:40], second), segment(packets[1][400:], second + 400)]
    messages, _ = read_frames([segment(packets[0], first), *cut, segment(packets[2], third)])
    assert [message.raw for message in messages] == [request(number, body=b"b" * 300) for number in (0, 2)]
    assert len({(message.source, message.transport) for message in messages}) == 1


def test_a_file_of_hep_packets():
    messages = read(hep3(request(1)) + hep3(request(2)))
    assert [(message.raw, message.frame) for message in messages] == [(request(1), 1), (request(2), 2)]


def test_a_packet_without_a_time_in_a_file_of_hep_packets_takes_that_of_the_packet_before():
    timeless = hep3(request(2), timed=False)
    before, first, second = read(timeless + hep3(request(1)) + timeless)
    assert (first.received_at_ns, first.notes) == (TAKEN_NS, ("came inside HEP",))
    noted = ("no usable time in the capture; that of the packet before", "came inside HEP")
    assert (second.received_at_ns, second.notes) == (TAKEN_NS, noted)
    assert (before.received_at_ns, before.notes) == (0, noted)


def test_a_file_of_hep_packets_that_is_cut_or_goes_wrong():
    reader = open_capture(hep3(request(1)) + hep3(request(2))[:-1])
    assert len(list(reader)) == 1
    assert reader.report.unread == {"file ends inside a HEP packet": 1}
    reader = open_capture(hep3(request(1)) + b"something else")
    assert len(list(reader)) == 1
    assert reader.report.unread == {"rest of file after something that is no HEP packet": 1}


def test_a_bomb_of_zeros_stays_small():
    bomb = zlib.compress(b"OPTIONS sip:a SIP/2.0\r\n" + bytes(1 << 26), 9)[:65_000]
    message = read_hep(b"HEP3\xff\xff" + chunk(3, bytes(4)) + chunk(4, bytes(4)) + chunk(16, bomb), 0)
    assert message
    assert len(message.payload) <= 1 << 20


def test_a_small_packet_does_not_grow_out_of_all_proportion():
    bomb = zlib.compress(b"OPTIONS sip:a SIP/2.0\r\n" + b"a:b\r\n" * 200_000, 9)
    message = read_hep(b"HEP3\xff\xff" + chunk(3, bytes(4)) + chunk(4, bytes(4)) + chunk(16, bomb), 0)
    assert message
    assert (len(message.payload), message.missing) == (64 * len(bomb), 1)


def test_length_of_what_is_no_hep():
    assert hep3_length(b"HEP3\x01\x02") == 258
    assert hep3_length(b"HEP3\x01") == hep3_length(b"HEP9\x01\x02") == 0


@given(st.binary(max_size=200), st.integers(0, 2**63))
def test_any_octets_are_a_message_or_none(data, now):
    for head in (b"", b"HEP3\x00\xff", b"\x01\x10\x02", b"\x02\x10\x0a"):
        read_hep(head + data, now)
