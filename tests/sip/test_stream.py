"""Messages out of byte streams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.sip import parse_message
from relaytrap.sip.parse import MAX_HEADER_BYTES
from relaytrap.sip.stream import Framed, StreamParser, find_start
from tests.property.strategies import any_message, cuts, messages, mutated
from tests.sip.torture import INVITE, IS_SDP, OPTIONS, SDP, message

CALL = message(INVITE, IS_SDP, body=SDP)
PROBE = message(OPTIONS)


def frames(*segments: bytes) -> list[Framed]:
    parser = StreamParser()
    found = [frame for segment in segments for frame in parser.receive(segment)]
    return found + parser.close()


def test_message_comes_out_as_soon_as_it_is_whole() -> None:
    parser = StreamParser()
    assert parser.receive(CALL[:-1]) == []
    assert parser.pending == len(CALL) - 1
    assert parser.receive(CALL[-1:]) == [Framed(CALL, "message")]
    assert parser.pending == 0


def test_several_messages_of_one_segment_come_out_in_order() -> None:
    assert frames(CALL + PROBE + CALL) == [Framed(CALL, "message"), Framed(PROBE, "message"), Framed(CALL, "message")]


def test_octets_come_out_one_by_one_fed() -> None:
    assert frames(*(bytes([octet]) for octet in CALL + PROBE)) == [Framed(CALL, "message"), Framed(PROBE, "message")]


def test_double_line_end_is_a_ping() -> None:
    assert frames(b"\r\n\r\n", PROBE) == [Framed(b"\r\n\r\n", "keepalive", "ping"), Framed(PROBE, "message")]


def test_ping_over_two_segments_is_a_ping() -> None:
    assert [frame.note for frame in frames(b"\r", b"\n\r", b"\n")] == ["", "", "ping"]


def test_single_line_end_is_no_ping() -> None:
    assert frames(b"\r\n", PROBE, b"\r\n")[::2] == [Framed(b"\r\n", "keepalive")] * 2


def test_nuls_between_messages_are_keepalives() -> None:
    assert frames(PROBE + b"\x00" * 4 + PROBE)[1] == Framed(b"\x00" * 4, "keepalive")


def test_junk_lines_before_a_message_are_reported() -> None:
    assert frames(b"GET / HTTP/1.1\r\nHost: x\r\n" + PROBE) == [
        Framed(b"GET / HTTP/1.1\r\nHost: x\r\n", "junk"),
        Framed(PROBE, "message"),
    ]


def test_junk_on_the_line_of_a_message_is_cut_off() -> None:
    assert frames(b"\x80\x90" + PROBE) == [Framed(b"\x80\x90", "junk"), Framed(PROBE, "message")]


def test_keepalive_behind_junk_hides_no_response() -> None:
    answer = message(b"SIP/2.0 200 OK")
    for segments in ((b"junk\r\n\x00" + answer,), (b"junk\r\n", b"\x00" + answer), (b"junk\r\n\x00", answer)):
        assert frames(*segments)[-1] == Framed(answer, "message")


def test_response_is_a_message() -> None:
    answer = message(b"SIP/2.0 200 OK")
    assert frames(answer) == [Framed(answer, "message")]


def test_line_that_only_mentions_sip_starts_no_message() -> None:
    assert find_start(b"Server: x SIP/2.0 y\r\n") == -1
    assert find_start(b"Via: SIP/2.0/TCP h\r\n") == -1
    assert find_start(b"X: SIP/2.0 200 OK\r\n") == -1
    assert find_start(b" SIP/2.0\r\n") == -1
    assert find_start(b"INVITE SIP/2.0\r\n") == -1


@pytest.mark.parametrize(
    "line", [b"INVITE sip:a SIP/2.0\r\n", b"X  y z \tsip/2.0  \n", b"SIP/2.0 200\n", b"A b SIP/7.0\r\n"]
)
def test_lines_that_start_messages(line: bytes) -> None:
    assert find_start(line) == 0


def test_message_without_content_length_ends_at_the_empty_line() -> None:
    whole = message(INVITE, b"Content-Length:", IS_SDP)
    assert frames(whole + b"v=0\r\n" + PROBE) == [
        Framed(whole, "message", "no Content-Length"),
        Framed(b"v=0\r\n", "junk"),
        Framed(PROBE, "message"),
    ]


@pytest.mark.parametrize("value", [b"-1", b"x", b""])
def test_unusable_content_length_is_noted(value: bytes) -> None:
    whole = message(INVITE, b"Content-Length: " + value + b" ")
    assert frames(whole) == [Framed(whole, "message", "Content-Length unusable")]


def test_content_lengths_that_differ_are_unusable() -> None:
    whole = PROBE.replace(b"\r\n\r\n", b"\r\nl: 5\r\n\r\n")
    assert frames(whole + b"12345")[0] == Framed(whole, "message", "Content-Length unusable")


def test_folded_and_compact_content_length_is_read() -> None:
    whole = PROBE.replace(b"Content-Length: 0", b"L :\r\n  3") + b"abc"
    assert frames(whole + PROBE) == [Framed(whole, "message"), Framed(PROBE, "message")]


@pytest.mark.parametrize("value", [b"1048577", b"9" * 30, b"9" * 5000])
def test_absurd_content_length_holds_nothing_back(value: bytes) -> None:
    whole = message(INVITE, b"Content-Length: " + value)
    assert frames(whole + PROBE) == [
        Framed(whole, "message", "Content-Length beyond limit"),
        Framed(PROBE, "message"),
    ]


def test_message_cut_by_the_peer_comes_out_at_close() -> None:
    assert frames(CALL[:-5]) == [Framed(CALL[:-5], "message", "cut")]
    assert frames(CALL[:60]) == [Framed(CALL[:60], "message", "cut")]
    assert frames(b"half a li") == [Framed(b"half a li", "junk", "cut")]


def test_bare_line_feeds_frame_messages() -> None:
    whole = CALL.replace(b"\r\n", b"\n").replace(
        b"Length: %d" % len(SDP), b"Length: %d" % len(SDP.replace(b"\r\n", b"\n"))
    )
    assert frames(whole + PROBE) == [Framed(whole, "message"), Framed(PROBE, "message")]


def test_line_without_end_is_held_only_up_to_the_limit() -> None:
    parser = StreamParser()
    for _ in range(100):
        parser.receive(b"x" * 10000)
        assert parser.pending <= MAX_HEADER_BYTES
    assert parser.receive(b"\r\n" + PROBE)[-1] == Framed(PROBE, "message")


def test_header_part_without_end_is_held_only_up_to_the_limit() -> None:
    parser = StreamParser()
    got = parser.receive(b"OPTIONS sip:a SIP/2.0\r\n")
    for _ in range(30):
        got += parser.receive(b"X: " + b"y" * 9995 + b"\r\n")
        assert parser.pending <= MAX_HEADER_BYTES
    assert (got[0].kind, got[0].note, len(got[0].raw)) == ("junk", "header part too long", MAX_HEADER_BYTES)
    assert parser.receive(PROBE)[-1] == Framed(PROBE, "message")


def test_message_larger_than_the_limit_given_is_framed_without_its_body() -> None:
    parser = StreamParser(max_message_bytes=len(PROBE))
    assert parser.receive(CALL)[0].note == "Content-Length beyond limit"


# fuzz/sip.py holds many more streams and cuts against the same.
stream = st.lists(
    messages().map(lambda wire: wire.data)
    | mutated()
    | any_message()
    | st.sampled_from([b"\r\n\r\n", b"\x00", b"junk\r\n", b"\x80", b"x" * 40 + b"\n", PROBE, CALL]),
    max_size=6,
).map(b"".join)


@settings(max_examples=40)
@given(stream, st.data())
def test_which_messages_come_out_does_not_depend_on_the_segments(data: bytes, draw: st.DataObject) -> None:
    whole = [frame for frame in frames(data) if frame.kind == "message"]
    cut = [frame for frame in frames(*draw.draw(cuts(data))) if frame.kind == "message"]
    assert cut == whole


@settings(max_examples=40)
@given(stream, st.data())
def test_every_octet_comes_out_once(data: bytes, draw: st.DataObject) -> None:
    assert b"".join(frame.raw for frame in frames(*draw.draw(cuts(data)))) == data


@settings(max_examples=40)
@given(st.lists(messages(), min_size=1, max_size=4))
def test_well_formed_messages_come_out_as_they_went_in(wires: list[object]) -> None:
    sent = [wire.data for wire in wires]  # type: ignore[attr-defined]
    assert [frame.raw for frame in frames(b"".join(sent)) if frame.kind == "message"] == sent


@given(any_message() | mutated())
def test_what_is_framed_is_parsed(data: bytes) -> None:
    for frame in frames(data):
        assert parse_message(frame.raw).raw == frame.raw


def test_status_line_in_mixed_case_begins_a_message_however_the_stream_is_cut() -> None:
    data = b"SIp/2.0 200 OK\r\nCall-ID: 1\r\n"
    for cut in range(len(data)):
        stream = StreamParser()
        frames = stream.receive(data[:cut]) + stream.receive(data[cut:]) + stream.close()
        assert [(frame.raw, frame.kind) for frame in frames] == [(data, "message")]
