"""Messages in several SCTP chunks."""

import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture import ReadOptions
from relaytrap.capture.sctp import MAX_ASSOCIATIONS, MAX_CHUNKS, Chunks
from tests.capture.packets import ipv4, open_capture, pcap, read_frames, request, udp

LONG = request(1, body=b"v=0\r\n" * 300)


def parts_over_sctp(message: bytes, size: int, first: int = 0xFFFFFFFE) -> list[bytes]:
    """A message in DATA chunks of `size` octets, one a packet; their numbers wrap."""
    packets = []
    for count, at in enumerate(range(0, len(message), size)):
        part = message[at : at + size]
        flags = 2 * (at == 0) | (at + size >= len(message))
        number = (first + count) & 0xFFFFFFFF
        head = struct.pack(">HHIIBBHIHHI", 40000, 5060, 1, 0, 0, flags, 16 + len(part), number, 0, 0, 0)
        packets.append(ipv4(head + part + bytes(-len(part) % 4), 132))
    return packets


@given(st.permutations(parts_over_sctp(LONG, 200)))
def test_a_message_in_several_sctp_chunks_is_put_together_in_any_order(packets):
    (message,), reader = read_frames([*packets, packets[0]], 101)
    assert (message.raw, message.frame) == (LONG, len(packets))
    assert reader.report.unread == {"SCTP data chunk seen before": 1}


@pytest.mark.parametrize("size", [200, 2000])
def test_a_message_that_sctp_sends_again_is_one(size):
    sent = parts_over_sctp(LONG, size)
    messages, reader = read_frames([*sent, *sent], 101)
    assert [message.raw for message in messages] == [LONG]
    assert reader.report.unread == {"SCTP data chunk seen before": len(sent)}


def test_a_message_with_the_number_of_one_before_and_other_octets_is_another():
    other = LONG.replace(b"tag=a1", b"tag=b2")
    messages, _ = read_frames([*parts_over_sctp(LONG, 2000), *parts_over_sctp(other, 2000)], 101)
    assert [message.raw for message in messages] == [LONG, other]


def test_sctp_chunks_of_a_message_that_never_became_whole_are_counted():
    messages, reader = read_frames(parts_over_sctp(LONG, 200)[:-1], 101)
    assert not messages
    assert reader.report.unread == {"SCTP data chunk of a message that never became whole": len(LONG) // 200}


@pytest.mark.parametrize("size", [1, 100, 60_000])
def test_memory_for_sctp_chunks_is_bounded(size):
    chunks = Chunks(unread := Counter(), max_held=1 << 20)
    most = 0
    for number in range(0, 20_000, 2):
        assert not chunks.whole(b"%d" % (number % 70), number, 0, bytes(size))
        most = max(most, chunks.held)
    assert most <= min(1 << 20, MAX_ASSOCIATIONS * MAX_CHUNKS * size)
    chunks.finish()
    assert (chunks.held, unread) == (0, {"SCTP data chunk of a message that never became whole": 10_000})


def test_sctp_chunks_of_a_capture_keep_within_its_bound():
    frames = []
    for number in range(0, 80, 2):
        head = struct.pack(">HHIIBBHIHHI", 40000, 5060, 1, 0, 0, 0, 60_000, number, 0, 0, 0)
        frames += [ipv4(head + bytes(60_000 - 16), 132), ipv4(udp(request(number)))]
    reader = open_capture(pcap(frames, link_type=101), ReadOptions(max_held_bytes=1 << 20))
    assert 120_000 <= max(reader.held for _ in reader) <= 1 << 18
