"""TCP streams as captures show them: cut anywhere, reordered, repeated, lost, joined late, wrapped, hostile."""

import itertools
import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.capture import ReadOptions
from relaytrap.capture.assembly import CHUNK_COST, Assembly
from relaytrap.capture.content import CUT_BY_SNAPLEN, GAP_AFTER, GAP_BEFORE, UNFINISHED
from relaytrap.capture.proxy import NO_SOURCE
from relaytrap.capture.tcp import DISPUTED, MAX_CHUNKS
from tests.capture.packets import (
    SYN,
    answer_segment,
    ethernet,
    ipv4,
    open_capture,
    pcap,
    read_frames,
    request,
    response,
    segment,
    tcp,
)

MESSAGES = [request(1), request(2, body=b"b" * 700), response(3), request(4, method=b"INVITE", body=b"v=0\r\n")]
STREAM = b"".join(MESSAGES)
START = segment(b"", 999, flags=SYN)
"""Opens a connection whose first octet has sequence number 1000."""


def cut(stream: bytes, *places: int, first: int = 1000) -> list[bytes]:
    """Segments of a stream cut at those places."""
    ends = [0, *sorted(places), len(stream)]
    return [segment(stream[a:b], first + a) for a, b in itertools.pairwise(ends) if b > a]


def raws(frames):
    return [message.raw for message in read_frames(frames)[0]]


CUTS = st.lists(st.integers(1, len(STREAM) - 1), max_size=12)


@given(CUTS)
def test_any_segmentation_gives_the_same_messages(places):
    assert raws([START, *cut(STREAM, *places)]) == MESSAGES


def test_one_octet_a_segment():
    assert raws([START, *cut(STREAM, *range(len(STREAM)))]) == MESSAGES


@settings(max_examples=60)
@given(CUTS, st.randoms(use_true_random=False))
def test_any_order_of_segments_gives_the_same_messages(places, chance):
    segments = cut(STREAM, *places)
    chance.shuffle(segments)
    assert raws([START, *segments]) == MESSAGES


@settings(max_examples=60)
@given(CUTS, CUTS, st.randoms(use_true_random=False))
def test_retransmissions_cut_otherwise_change_nothing(places, again, chance):
    segments = cut(STREAM, *places) + cut(STREAM, *again)
    chance.shuffle(segments)
    assert raws([START, *segments]) == MESSAGES


@given(CUTS, st.integers(0, 2**32 - 1))
def test_sequence_numbers_wrap(places, first):
    opening = segment(b"", first - 1, flags=SYN)
    assert raws([opening, *cut(STREAM, *places, first=first)]) == MESSAGES


@pytest.mark.parametrize("at", [1, 500, len(STREAM) - 1])
def test_a_stream_that_wraps_in_the_midst_and_is_reordered(at):
    first = 2**32 - at
    segments = cut(STREAM, *range(100, len(STREAM), 100), first=first)
    random.Random(at).shuffle(segments)
    assert raws([segment(b"", first - 1, flags=SYN), *segments]) == MESSAGES


def test_the_frame_is_the_packet_that_completed_the_message():
    first, second = MESSAGES[0], MESSAGES[1]
    frames = [START, *cut(first + second, 10, len(first) + 5)]
    messages, _ = read_frames(frames)
    assert [message.frame for message in messages] == [3, 4]


def test_a_late_segment_completes_the_message_not_those_that_waited():
    early, late = cut(MESSAGES[0], 50)
    messages, _ = read_frames([START, late, early])
    assert [message.frame for message in messages] == [3]


def test_both_directions_are_streams_of_one_flow():
    frames = [START, segment(request(1), 1000), answer_segment(response(1), 5000)]
    messages, _ = read_frames(frames)
    assert [(message.direction, message.source, message.local_port) for message in messages] == [
        ("in", "198.51.100.7", 5060),
        ("out", "198.51.100.7", 5060),
    ]
    assert {message.transport for message in messages} == {"tcp"}


def test_data_with_the_syn_is_the_start_of_the_stream():
    assert raws([segment(STREAM[:20], 999, flags=SYN), segment(STREAM[20:], 1020)]) == MESSAGES


def test_a_repeated_or_late_syn_is_no_new_connection():
    halves = cut(STREAM, 300)
    assert raws([START, halves[0], START, halves[1]]) == MESSAGES
    assert raws([halves[0], START, halves[1]]) == MESSAGES


@pytest.mark.parametrize("order", [[1, "syn", 0, 2], [2, 1, "syn", 0], [1, 2, "syn", 0]])
def test_a_syn_that_comes_after_segments_of_its_connection_is_their_start(order):
    parts = {**dict(enumerate(cut(MESSAGES[0] + MESSAGES[1], 30, 200))), "syn": START}
    messages, reader = read_frames([parts[each] for each in order])
    assert [(message.raw, message.notes) for message in messages] == [(MESSAGES[0], ()), (MESSAGES[1], ())]
    assert reader.report.unread == {"TCP segment without payload": 1}


def test_a_new_connection_on_the_same_ports():
    frames = [START, *cut(STREAM[:-5]), segment(b"", 70_000_000, flags=SYN), *cut(STREAM, first=70_000_001)]
    messages, _ = read_frames(frames)
    assert [message.raw for message in messages if not message.notes] == MESSAGES[:-1] + MESSAGES
    assert [message.notes for message in messages if message.notes] == [(UNFINISHED,)]


def test_a_new_connection_whose_opening_is_not_in_the_capture():
    assert raws([START, *cut(STREAM), *cut(STREAM, first=3_000_000_000)]) == MESSAGES * 2


@given(CUTS)
def test_a_capture_that_starts_within_a_connection_at_a_message(places):
    assert raws(cut(STREAM, *places)) == MESSAGES


def test_a_capture_that_starts_within_a_message_goes_on_at_the_next():
    messages, reader = read_frames(cut(STREAM[100:], 400, 500))
    assert [message.raw for message in messages] == MESSAGES[1:]
    assert reader.report.incomplete == 0


def test_the_first_segments_of_a_capture_may_be_out_of_order():
    one, two, three = cut(STREAM, 150, len(MESSAGES[0]) + 30)
    assert sorted(raws([two, one, three])) == sorted(MESSAGES)


def test_a_whole_message_from_before_the_first_segment_seen_is_read_too():
    first, second = cut(MESSAGES[0] + MESSAGES[1], len(MESSAGES[0]))
    assert raws([second, first]) == [MESSAGES[1], MESSAGES[0]]


def test_a_lost_segment_costs_its_message_and_no_other():
    places = [len(MESSAGES[0]) + 100, len(MESSAGES[0]) + 200]
    segments = cut(STREAM, *places)
    del segments[1]
    messages, reader = read_frames([START, *segments])
    assert [message.raw for message in messages if not message.notes] == [MESSAGES[0], MESSAGES[3]]
    kept, after = (message for message in messages if message.notes)
    assert (kept.raw, kept.notes) == (MESSAGES[1][:100], (GAP_AFTER,))
    assert (after.raw, after.notes) == (MESSAGES[2], (GAP_BEFORE,))
    assert (reader.report.messages, reader.report.incomplete) == (3, 1)


def test_a_hole_is_given_up_when_too_much_waits_behind_it():
    stream = request(1) + request(2, body=b"b" * MAX_CHUNKS)
    frames = [START, *cut(stream, *range(1, len(stream)), first=2000)]
    reader = open_capture(pcap(frames))
    next(iter(reader))
    assert reader.report.packets < len(frames)


def test_a_hole_is_given_up_after_half_a_minute():
    frames = [START, segment(request(1), 2000), segment(request(2), 2000 + len(request(1)))]
    reader = open_capture(pcap(frames, step_s=31))
    first, second = reader
    assert (first.raw, first.notes, first.frame) == (request(1), (GAP_BEFORE,), 2)
    assert (second.raw, second.frame) == (request(2), 3)


def test_a_message_cut_by_the_snap_length_within_a_stream_is_a_message_and_says_so():
    stream = request(1) + request(2, body=b"b" * 300)
    frames = [START, *cut(stream, len(stream)), segment(request(3), 1000 + len(stream))]
    kept = len(request(1)) + 100
    reader = open_capture(pcap(frames, snap_length=54 + kept))
    assert [(message.raw, message.notes) for message in reader] == [
        (request(1), ()),
        (request(2, body=b"b" * 300)[:100], (CUT_BY_SNAPLEN,)),
        (request(3), (GAP_BEFORE,)),
    ]
    assert (reader.report.messages, reader.report.incomplete) == (3, 0)


@pytest.mark.parametrize("start", [[START], []], ids=["opened", "joined midway"])
@pytest.mark.parametrize("kept", [20, 60, 150])
def test_every_message_of_a_stream_is_found_when_the_snap_length_cuts_each_segment(start, kept):
    first = 1000
    frames = list(start)
    for message in MESSAGES:
        frames.append(segment(message, first))
        first += len(message)
    reader = open_capture(pcap(frames, snap_length=54 + kept))
    found = list(reader)
    assert [message.raw for message in found] == [message[:kept] for message in MESSAGES]
    assert [message.frame for message in found] == [len(start) + 1 + at for at in range(len(MESSAGES))]
    assert all(CUT_BY_SNAPLEN in message.notes for message in found)
    assert reader.report.messages == len(MESSAGES)


def test_a_message_that_the_capture_ends_in_is_kept_as_incomplete():
    messages, reader = read_frames([START, *cut(MESSAGES[1][:-1])])
    assert [(message.raw, message.notes) for message in messages] == [(MESSAGES[1][:-1], (UNFINISHED,))]
    assert (reader.report.messages, reader.report.incomplete) == (0, 1)


FORGED = request(9)
assert len(FORGED) == len(MESSAGES[0])


def test_a_message_sent_again_with_other_octets_is_read_by_itself_and_says_so():
    messages, reader = read_frames([START, *cut(MESSAGES[0]), *cut(FORGED), *cut(MESSAGES[0])])
    assert [(message.raw, message.notes) for message in messages] == [(MESSAGES[0], ()), (FORGED, (DISPUTED,))]
    assert reader.report.unread["TCP segment seen before"] == 1


def test_segments_that_disagree_about_a_message_in_progress_are_noted_at_it():
    one, two, three = cut(MESSAGES[0] + MESSAGES[1], 40, len(MESSAGES[0]))
    for other in (segment(b"X" * 20, 1010), segment(b"X" * 50, 1010)):
        messages, _ = read_frames([START, one, other, two, three])
        assert [(message.raw, message.notes) for message in messages][1:] == [(MESSAGES[1], ())]
        assert messages[0].notes == (DISPUTED,)
        assert messages[0].raw[:40] == STREAM[:40]


def test_segments_that_disagree_while_they_wait_are_noted_at_their_message():
    first, second = MESSAGES[0], MESSAGES[1]
    one, two = cut(first + second, len(first))
    messages, _ = read_frames([START, two, segment(b"X" * 20, 1000 + len(first) + 50), one])
    assert [(message.raw, message.notes) for message in messages] == [(first, ()), (second, (DISPUTED,))]


def disputed(frames):
    """Call-ID and whether segments disagree about it, of each message."""
    return [(message.raw.split(b"Call-ID: ")[1][:1], DISPUTED in message.notes) for message in read_frames(frames)[0]]


def altered(stream: bytes, *places: int) -> bytes:
    return bytes(octet ^ 1 if at in places else octet for at, octet in enumerate(stream))


@pytest.mark.parametrize("more", [1, 2, len(MESSAGES[1]), len(MESSAGES[1]) + 30])
def test_a_message_sent_again_with_other_octets_and_more_behind_it_is_read_by_itself_too(more):
    first, second = MESSAGES[:2]
    frames = [START, *cut(first), *cut((FORGED + second + second)[: len(first) + more])]
    frames += cut(second[more:], first=1000 + len(first) + more)
    found = [(message.raw, message.notes) for message in read_frames(frames)[0]]
    assert found[:3] == [(first, ()), (FORGED, (DISPUTED,)), (second, ())]


def test_a_longer_message_in_place_of_a_shorter_one_is_read_whole():
    longer = request(9, body=b"b" * 40)
    found = [(message.raw, message.notes) for message in read_frames([START, *cut(MESSAGES[0]), *cut(longer)])[0]]
    assert found == [(MESSAGES[0], ()), (longer, (DISPUTED,))]


def test_a_disagreement_is_noted_at_the_message_that_it_is_about():
    first, second = MESSAGES[:2]
    stream, end, half = first + second, len(first), len(first) + 60
    late = [segment(stream[:1], 1000), segment(stream[half:], 1000 + half)]  # lets the segments between wait
    waits = segment(stream[1:half], 1001)
    in_first, in_second = (segment(altered(stream, at)[1:half], 1001) for at in (5, end + 30))
    assert disputed([START, waits, in_first, *late]) == [(b"1", True), (b"2", False)]
    assert disputed([START, waits, in_second, *late]) == [(b"1", False), (b"2", True)]
    assert disputed([START, waits, in_first, in_second, *late]) == [(b"1", True), (b"2", True)]
    assert disputed([START, waits, in_second, in_first, *late]) == [(b"1", True), (b"2", True)]


def test_a_message_behind_one_retold_otherwise_in_the_same_segment_is_not_disputed():
    stream = altered(MESSAGES[0], 55) + MESSAGES[1]
    assert disputed([START, *cut(MESSAGES[0]), segment(stream[50:], 1050)]) == [(b"1", False), (b"2", False)]


@pytest.mark.parametrize("last", [5, len(MESSAGES[0]) + 30])
def test_however_many_disagreements_come_before_none_is_forgotten(last):
    stream = MESSAGES[0] + MESSAGES[1]
    places = [*range(len(MESSAGES[0]) + 31, len(MESSAGES[0]) + 131, 2), last]
    others = [segment(altered(stream, at)[at : at + 1], 1000 + at) for at in places]
    frames = [START, segment(stream[1:], 1001), *others, segment(stream[:1], 1000)]
    assert all(noted for _, noted in disputed(frames))


def test_other_octets_of_a_message_handed_on_that_begin_none_are_counted():
    messages, reader = read_frames([START, *cut(MESSAGES[0]), segment(b"X" * 20, 1010)])
    assert [(message.raw, message.notes) for message in messages] == [(MESSAGES[0], ())]
    assert reader.report.unread["TCP segment that says otherwise than one before it"] == 1


def test_the_octet_of_a_tcp_keepalive_is_no_disagreement():
    frames = [START, *cut(MESSAGES[0]), segment(b"\0", 999 + len(MESSAGES[0]))]
    frames += cut(MESSAGES[1], first=1000 + len(MESSAGES[0]))
    messages, reader = read_frames(frames)
    assert [(message.raw, message.notes) for message in messages] == [(MESSAGES[0], ()), (MESSAGES[1], ())]
    assert reader.report.unread["TCP segment seen before"] == 1


def test_keepalives_and_junk_between_messages_are_counted():
    stream = b"\r\n\r\n" + request(1) + b"\r\n" + b"what is this\r\n" + request(2)
    messages, reader = read_frames([START, *cut(stream)])
    assert [message.raw for message in messages] == [request(1), request(2)]
    assert reader.report.unread["keepalive"] == 2
    assert reader.report.unread["junk between SIP messages in a TCP stream"] == 1


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"EHLO example.com\r\nMAIL FROM:<a@b>\r\n",
    ],
)
def test_other_protocols_are_counted(stream):
    messages, reader = read_frames([START, *cut(stream)])
    assert not messages
    assert reader.report.unread["TCP payload that is not SIP"] == 1


def test_sip_quoted_in_a_web_page_is_not_a_message():
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"log:\r\n" + request(1)
    assert raws([START, *cut(page, 60)]) == []


V2 = b"\r\n\r\n\0\r\nQUIT\n"
ENDS_4 = b"\xc0\x00\x02\x09\xcb\x00\x71\x05\xc3\x50\x13\xc4"
CLAIMED = "PROXY header before this says it came from 192.0.2.9 port 50000"
PROXY_HEADERS = {
    b"PROXY TCP4 192.0.2.9 203.0.113.5 50000 5060\r\n": CLAIMED,
    V2 + b"\x21\x11\0\x0c" + ENDS_4: CLAIMED,
    V2 + b"\x21\x11\0\x10" + ENDS_4 + b"\x04\0\x01x": CLAIMED,
    V2 + b"\x21\x21\0\x24" + bytes(15) + b"\x01" + bytes(16) + b"\0\x07\x13\xc4": CLAIMED.replace(
        "192.0.2.9 port 50000", "::1 port 7"
    ),
    V2 + b"\x20\0\0\0": NO_SOURCE,
    V2 + b"\x21\x11\0\x04" + bytes(4): NO_SOURCE,
    b"PROXY UNKNOWN\r\n": NO_SOURCE,
    b"PROXY TCP4 1.2.3 203.0.113.5 50000 5060\r\n": NO_SOURCE,
}


@pytest.mark.parametrize("header", PROXY_HEADERS)
def test_whom_a_load_balancers_header_names_is_noted_at_each_message_and_is_not_its_source(header):
    for places in ((), (len(header),), (3, 14, len(header) - 1), range(1, len(header) + 9)):
        messages, reader = read_frames([START, *cut(header + STREAM, *places)])
        assert [(message.raw, message.notes) for message in messages] == [
            (raw, (PROXY_HEADERS[header],)) for raw in MESSAGES
        ]
        assert {message.source for message in messages if message.direction == "in"} == {"198.51.100.7"}
        assert reader.report.unread["PROXY header"] == 1


def test_a_second_load_balancers_header_is_no_sip():
    stream = b"PROXY UNKNOWN\r\n" * 4000 + request(1)
    messages, reader = read_frames([START, *cut(stream, 59_990)])
    assert not messages
    assert reader.report.unread["PROXY header"] == 1


@pytest.mark.parametrize(
    "lead",
    [
        b"hello\r\n",
        b"<134>Nov 22 10:00:00 sbc kamailio: rejected:\r\n",
        b"EHLO x\r\nMAIL FROM:<a@b>\r\nDATA\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300\r\n",
        V2 + b"\x31\x11\0\x0c" + ENDS_4,
    ],
)
def test_a_message_quoted_behind_something_else_is_none_of_the_sender(lead):
    messages, reader = read_frames([START, *cut(lead + request(1, method=b"INVITE"))])
    assert not messages
    assert reader.report.unread["TCP payload that is not SIP"] == 1


def test_hundreds_of_tiny_segments_in_reverse_order():
    assert raws([START, *reversed(cut(STREAM, *range(1, len(STREAM))))]) == MESSAGES


def test_a_sip_message_after_other_traffic_on_the_same_connection_is_found():
    probe = b"GET / HTTP/1.0\r\n\r\n"
    assert raws([START, *cut(probe + request(1), len(probe))]) == [request(1)]


def test_memory_for_streams_is_bounded():
    frames = []
    for port in range(300):
        frames.append(ethernet(ipv4(tcp(b"", 999, 10_000 + port, flags=SYN), 6)))
        frames.append(ethernet(ipv4(tcp(MESSAGES[1][:-1], 1000, 10_000 + port), 6)))
    reader = open_capture(pcap(frames), ReadOptions(max_held_bytes=1 << 16))
    messages = list(reader)
    assert len(messages) == 300
    assert messages[0].frame == 2
    assert reader.report.incomplete == 300


def test_what_waiting_segments_take_beside_their_octets_is_counted():
    assembly = Assembly()
    tracemalloc.start()
    try:
        for number in range(MAX_CHUNKS):
            assembly.add(
                1000 + 3 * number, number.to_bytes(2, "big"), 1000 + number, 1_700_000_000_000_000_000 + number
            )
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken <= 1.1 * (assembly.octets + CHUNK_COST * len(assembly))


def test_hep_over_tcp_is_unwrapped():
    from tests.capture.test_hep import hep3

    stream = hep3(request(1)) + hep3(request(2))
    messages, _ = read_frames([START, *cut(stream, 10, 400)])
    assert [message.raw for message in messages] == [request(1), request(2)]
    assert messages[0].source == "192.0.2.1"


def test_hep_behind_a_gap_of_its_stream_says_so():
    from tests.capture.test_hep import hep3

    messages, _ = read_frames([START, segment(hep3(request(1)), 2000)])
    assert [message.notes for message in messages] == [(GAP_BEFORE, "came inside HEP")]


def test_tls_is_counted_as_such():
    hello = b"\x16\x03\x01\x02\x00" + bytes(512)
    messages, reader = read_frames([START, segment(hello[:300], 1000), segment(hello[300:], 1300)])
    assert not messages
    assert reader.report.unread["TLS, whose keys are not here"] == 2
