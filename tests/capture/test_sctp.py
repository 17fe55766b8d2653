"""Messages in several SCTP chunks."""

import struct
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.sctp import MAX_ASSOCIATIONS, MAX_CHUNKS, Chunks
from tests.capture.packets import ipv4, read_frames, request

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
    assert reader.report.unread == {
        "SCTP data chunk of a message that never became whole": 1
    }  # the one that came again


def test_sctp_chunks_of_a_message_that_never_became_whole_are_counted():
    messages, reader = read_frames(parts_over_sctp(LONG, 200)[:-1], 101)
    assert not messages
    assert reader.report.unread == {"SCTP data chunk of a message that never became whole": len(LONG) // 200}


def test_memory_for_sctp_chunks_is_bounded():
    chunks = Chunks(unread := Counter())
    for number in range(0, 200_000, 2):
        assert not chunks.whole(b"%d" % (number % 1000), number, 0, bytes(100))
    assert chunks.held <= MAX_ASSOCIATIONS * MAX_CHUNKS * 100
    chunks.finish()
    assert (chunks.held, unread) == (0, {"SCTP data chunk of a message that never became whole": 100_000})
