"""SIP over WebSocket in the clear."""

import itertools
import random
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.websocket import WebSocketFrames, first_payload
from tests.capture.packets import SYN, answer_segment, ethernet, ipv4, read_frames, request, response, segment, tcp

ASK = (
    b"GET /ws HTTP/1.1\r\nHost: sip.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade:WebSocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Protocol: sip\r\n\r\n"
)
OPEN = [
    segment(b"", 999, flags=SYN),
    ethernet(ipv4(tcp(b"", 4999, 5060, 40000, SYN), 6, "203.0.113.5", "198.51.100.7")),
]


def frame(payload: bytes, *, opcode: int = 1, final: bool = True, key: bytes = b"") -> bytes:
    first = opcode | (0x80 if final else 0)
    size = len(payload)
    mask_bit = 0x80 if key else 0
    if size < 126:
        head = bytes([first, size | mask_bit])
    elif size < 65_536:
        head = bytes([first, 126 | mask_bit]) + struct.pack(">H", size)
    else:
        head = bytes([first, 127 | mask_bit]) + struct.pack(">Q", size)
    if key:
        payload = bytes(octet ^ key[at % 4] for at, octet in enumerate(payload))
    return head + key + payload


def test_messages_of_both_sides_come_out_unmasked():
    frames = [
        *OPEN,
        segment(ASK, 1000),
        answer_segment(ANSWER, 5000),
        segment(frame(request(1), key=b"\x01\xfe\x7f\x80"), 1000 + len(ASK)),
        answer_segment(frame(response(1)), 5000 + len(ANSWER)),
    ]
    messages, reader = read_frames(frames)
    assert [(message.raw, message.transport, message.direction) for message in messages] == [
        (request(1), "ws", "in"),
        (response(1), "ws", "out"),
    ]
    assert reader.report.unread == {"TCP segment without payload": 2, "WebSocket handshake": 2}


def test_a_lost_segment_costs_its_messages_and_no_others():
    opening = [*OPEN, segment(ASK, 1000)]
    at, segments = 1000 + len(ASK), []
    for number in range(5):
        octets = frame(request(number), key=b"a\xffcd")
        segments.append(segment(octets, at))
        at += len(octets)
    messages, _ = read_frames([*opening, *segments[:2], *segments[3:]])
    assert [message.raw for message in messages] == [request(0), request(1), request(3), request(4)]
    assert [message.notes for message in messages] == [(), (), ("TCP gap before this",), ()]


@pytest.mark.parametrize("key", [b"", b"a\xffcd"], ids=["plain", "masked"])
def test_rest_of_a_message_behind_a_gap_hides_none_of_the_next(key):
    octets = [frame(request(number, body=b"b" * 300), key=key) for number in range(4)]
    starts = list(itertools.accumulate(map(len, octets), initial=1000 + len(ASK)))
    whole = [segment(piece, at) for piece, at in zip(octets, starts, strict=False)]
    cut = [segment(octets[1][:100], starts[1]), segment(octets[1][200:], starts[1] + 200)]
    messages, _ = read_frames([*OPEN, segment(ASK, 1000), whole[0], *cut, *whole[2:]])
    assert [message.raw for message in messages] == [request(number, body=b"b" * 300) for number in (0, 2, 3)]
    assert {message.transport for message in messages} == {"ws"}
    assert {message.transport for message in messages} == {"ws"}


@pytest.mark.parametrize("key", [b"", b"abcd"])
def test_messages_of_a_websocket_joined_midway_are_found(key):
    long = request(2, body=b"v=0\r\n" * 300)
    stream = frame(request(1), key=key) + frame(b"\r\n\r\n", key=key) + frame(long, key=key)
    messages, reader = read_frames([segment(stream[:700], 1000), segment(stream[700:], 1700)])
    assert [(message.raw, message.transport) for message in messages] == [(request(1), "ws"), (long, "ws")]
    assert reader.report.unread == {"keepalive": 1}


@given(st.binary(max_size=300))
def test_any_octets_have_a_first_payload_or_none(octets):
    assert len(first_payload(octets)) <= len(octets)
    assert first_payload(frame(octets, key=b"abcd")) == octets


def test_a_message_that_the_capture_ends_in_is_counted():
    cut = frame(request(2), key=b"abcd")[:-9]
    frames = [*OPEN, segment(ASK, 1000), segment(frame(request(1), key=b"abcd") + cut, 1000 + len(ASK))]
    messages, reader = read_frames(frames)
    assert [message.raw for message in messages] == [request(1)]
    assert reader.report.unread["WebSocket message that never became whole"] == 1


def test_keepalives_and_control_frames_are_no_messages():
    stream = ASK + frame(b"\r\n\r\n") + frame(b"ping", opcode=9) + frame(request(1)) + frame(b"what")
    messages, reader = read_frames([OPEN[0], segment(stream, 1000)])
    assert [message.raw for message in messages] == [request(1)]
    assert reader.report.unread["keepalive"] == 1


def test_a_websocket_for_something_else_is_not_looked_into():
    other = ASK.replace(b"Protocol: sip", b"Protocol: sipper")
    messages, _ = read_frames([OPEN[0], segment(other + frame(request(1)), 1000)])
    assert not messages


@given(st.lists(st.integers(1, 400), max_size=8), st.binary(min_size=4, max_size=4))
def test_any_cuts_give_the_same_messages(places, key):
    messages = [request(1), b"x" * 200, request(2)]
    stream = b"".join(frame(message, key=key) for message in messages)
    frames = WebSocketFrames()
    ends = [0, *sorted(places), len(stream)]
    out = [message for a, b in itertools.pairwise(ends) for message in frames.receive(stream[a:b])]
    assert out == messages
    assert frames.held == 0


def test_a_message_in_several_frames_with_a_ping_between():
    frames = WebSocketFrames()
    stream = frame(b"one", final=False) + frame(b"", opcode=9) + frame(b"two", opcode=0)
    assert frames.receive(stream) == [b"onetwo"]


@pytest.mark.parametrize("takeover", [True, False])
def test_deflated_messages_are_inflated_beside_plain_ones(takeover):
    deflate = zlib.compressobj(wbits=-15)
    stream = b""
    for number in range(3):
        if not takeover:
            deflate = zlib.compressobj(wbits=-15)
        packed = (deflate.compress(request(number)) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
        stream += frame(packed[:9], opcode=0x41, final=False, key=b"abcd") + frame(packed[9:], opcode=0, key=b"efgh")
    offer = ASK[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    messages, _ = read_frames([OPEN[0], segment(offer + stream + frame(request(3), key=b"1234"), 1000)])
    assert [message.raw for message in messages] == [request(number) for number in range(4)]


def test_a_deflated_message_that_is_none_or_too_large_ends_it():
    for packed in (b"\xff\xff\xff", zlib.compress(bytes(2 << 20), wbits=-15)):
        frames = WebSocketFrames(compressed=True)
        assert frames.receive(frame(packed, opcode=0x41) + frame(request(1))) == []
        assert frames.broken


def deflated(*messages: bytes) -> bytes:
    """Messages in one context, a frame each."""
    deflate = zlib.compressobj(9, wbits=-15)
    packed = (deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH) for message in messages)
    return b"".join(frame(each[:-4], opcode=0x41) for each in packed)


def last_block(octets: bytes) -> bytes:
    return zlib.compress(octets, wbits=-15)


@pytest.mark.parametrize("end", [b"", b"\0"])
def test_a_message_in_a_block_that_says_it_is_the_last_is_read_and_so_is_the_next(end):
    stream = b"".join(frame(last_block(request(number)) + end, opcode=0x41) for number in (1, 2))
    frames = WebSocketFrames(compressed=True)
    assert frames.receive(stream) == [request(1), request(2)]


def test_octets_behind_the_last_block_of_a_deflated_message_end_it_and_are_counted():
    hidden = frame(last_block(request(1)[:6]) + last_block(request(1)[6:]), opcode=0x41)
    offer = ASK[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    messages, reader = read_frames([OPEN[0], segment(offer + hidden + frame(request(2)), 1000)])
    assert not messages
    assert reader.report.unread["TCP payload that is not SIP"] == 1


def test_a_deflated_message_is_as_long_as_a_datagram_at_most():
    for size, broken in ((1 << 16, False), ((1 << 16) + 1, True)):
        payload = random.Random(1).randbytes(size)
        frames = WebSocketFrames(compressed=True)
        assert frames.receive(deflated(payload)) == ([] if broken else [payload])
        assert frames.broken == broken


def test_deflated_messages_that_grow_out_of_all_proportion_end_it():
    stream = deflated(*[request(1, body=bytes(60_000))] * 50)
    frames = WebSocketFrames(compressed=True)
    messages = frames.receive(stream)
    assert frames.broken
    assert sum(map(len, messages)) <= 64 * len(stream)


def test_what_came_behind_a_message_does_not_allow_it_to_grow():
    stream = deflated(request(1, body=bytes(60_000))) + frame(bytes(10_000))
    for ends in ((len(stream),), range(1, len(stream) + 1)):
        frames, at = WebSocketFrames(compressed=True), 0
        for end in ends:
            assert frames.receive(stream[at:end]) == []
            at = end
        assert frames.broken


def test_the_same_message_deflated_again_and_again_is_read_each_time():
    messages = [request(1)] * 1000
    assert WebSocketFrames(compressed=True).receive(deflated(*messages)) == messages


@pytest.mark.parametrize(
    "stream", [b"\xc1\x00", b"\x81\x7f" + b"\xff" * 8, frame(b"", opcode=1, final=False) + b"\xf1\x00"]
)
def test_compressed_or_impossible_frames_end_it(stream):
    frames = WebSocketFrames()
    assert frames.receive(stream + frame(request(1))) == []
    assert frames.broken


def test_large_frames():
    payload = random.Random(1).randbytes(200_000)
    assert WebSocketFrames().receive(frame(payload, key=b"abcd")) == [payload]


def test_small_frames_are_added_to_a_large_message_without_copying_it():
    frames = WebSocketFrames()
    frames.receive(frame(bytes(900_000), final=False))
    small = frame(b"x", opcode=0, final=False)
    frames.receive(small)  # a buffer that grows makes room for more than it needs now
    tracemalloc.start()
    try:
        for _ in range(100):
            frames.receive(small)
        assert tracemalloc.get_traced_memory()[1] < 450_000
    finally:
        tracemalloc.stop()
    assert frames.held == len(frame(bytes(900_000))) + 101 * len(small)


def test_what_is_held_begins_where_the_message_in_progress_does():
    frames = WebSocketFrames()
    begun = (
        frame(b"one", final=False, key=b"abcd") + frame(b"", opcode=9) + frame(b"t", opcode=0, final=False) + b"\x80"
    )
    assert frames.receive(frame(b"ping", opcode=9) + frame(b"first") + frame(b"", opcode=9) + begun) == [b"first"]
    assert frames.held == len(begun)
    assert frames.receive(b"\0") == [b"onet"]
    assert frames.held == 0
