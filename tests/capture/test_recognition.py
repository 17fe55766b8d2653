"""SIP by its first line, on any port, damaged or not; and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.recognition import (
    begins_cut_request,
    begins_message,
    find_message,
    is_one_message,
    is_response,
    may_begin,
    what_else,
)
from relaytrap.sip.stream import Framed, StreamParser
from tests.capture.packets import request, response

MESSAGES = [
    request(),
    response(),
    b"OPTIONS sip:t.watson@example.org SIP/7.0\r\n",  # RFC 4475 3.1.2.16
    b"INVITE  sip:user@example.com  SIP/2.0\r\n",  # RFC 4475 3.1.2.9
    b"OPTIONS sip:remote-target@example.com SIP/2.0  \r\n",  # RFC 4475 3.1.2.10
    b"!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@a SIP/2.0\r\n",
    b"INVITE sip:user@example.com; lr SIP/2.0\r\n",
    b"REGISTER nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0\n",
    b"SIP/2.0 4294967301 better not break the receiver\r\n",
    b"sip/2.0 200 OK\r\n",
    b"SIP/2.0  200\r\n",
    b"\r\n\r\nREGISTER sip:a SIP/2.0\r\n",
    b"\0\0INVITE sip:a SIP/2.0\r\n",
    b"INVITE sip:x@y.z SIP/2.0/UDP\n",
    b"INVITE SIP/2.0\r\n",
    b"BYE sip:a SIP/2.0",  # and no line end at all
    b"SUBSCRIBE sip:a SIP/2.0\rVia: x\r",
]
OTHERS = {
    b"": "empty UDP datagram",
    b"\r\n\r\n": "keepalive",
    bytes(4): "keepalive",
    b"jaK": "keepalive",
    b"\x80\x00" + bytes(170): "RTP or RTCP",
    b"\x80\xc8" + bytes(26): "RTP or RTCP",
    b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12): "STUN or TURN",
    b"GET / HTTP/1.1\r\nHost: SIP/2.0\r\n\r\n": "HTTP or SSDP",
    b"HTTP/1.1 200 OK\r\nServer: SIP/2.0 200\r\n": "HTTP or SSDP",
    b"M-SEARCH * HTTP/1.1\r\n": "HTTP or SSDP",
    b"NOTIFY * HTTP/1.1\r\n": "HTTP or SSDP",
    b"OPTIONS rtsp://a/ RTSP/1.0\r\n": "RTSP",
    b"RTSP/1.0 200 OK\r\n": "RTSP",
    b"SIP": "UDP payload that is not SIP",
    b"SIP/2.0\r\n": "UDP payload that is not SIP",
    b"Via: SIP/2.0/UDP 1.2.3.4\r\n": "UDP payload that is not SIP",
    b"OPTIONS sip:a\r\nVia: SIP/2.0\r\n": "UDP payload that is not SIP",
    b"<134>asterisk: INVITE sip:a SIP/2.0\r\n": "UDP payload that is not SIP",
}


@pytest.mark.parametrize("payload", MESSAGES)
def test_is_a_message(payload):
    assert begins_message(payload)


@pytest.mark.parametrize("payload", OTHERS)
def test_is_something_else_by_name(payload):
    assert not begins_message(payload)
    assert what_else(payload, 40000, 5060) == OTHERS[payload]


def test_names_are_looked_up_on_their_ports():
    assert what_else(b"\x12\x34\x01\x00\0\x01", 53, 40000) == what_else(b"\0\0\x84", 5353, 5353) == "DNS and its kin"


def test_a_response_is_told_from_a_request_also_behind_line_breaks():
    assert is_response(b"\r\n\r\n" + response())
    assert not is_response(request())
    assert not is_response(b"SIPHON sip:a SIP/2.0\r\n")


def test_a_request_cut_in_its_first_line_needs_a_known_method_and_a_uri():
    assert begins_cut_request(b"INVITE sip:100@203.0")
    assert not begins_cut_request(b"INVITE someone")
    assert not begins_cut_request(b"HELLO sip:100@203.0")


@given(st.integers(0, len(request()) - 1))
def test_a_start_of_a_message_may_begin_one_until_it_does(kept):
    start = request()[:kept]
    assert begins_message(start) or may_begin(start)


@given(
    st.sampled_from([request(), request(body=b"four"), response(), request(body=b"a\r\n\r\nb")]),
    st.integers(0, 400),
    st.sampled_from([b"", b"\r\n", b"l: 0\r\n", b"x", b"\n", b" ", b"\0", b"Content-Length: 4\r\n", b"SIP/2.0 "]),
    st.integers(0, 3),
)
def test_what_is_plainly_one_message_is_framed_as_that_one(message, place, inserted, removed):
    at = place % (len(message) + 1)
    octets = message[:at] + inserted + message[at + removed :]
    if is_one_message(octets):
        assert StreamParser().receive(octets) == [Framed(octets, "message", "")]


def test_messages_as_programs_write_them_are_plainly_one():
    assert is_one_message(request(body=b"four"))
    assert is_one_message(response())
    assert not is_one_message(request(body=b"four", length=3))
    assert not is_one_message(request() + request())
    assert not is_one_message(b"\r\n" + request())


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"x" * 9000])
def test_what_can_no_longer_become_a_start_line(octets):
    assert not may_begin(octets)


def test_a_message_is_found_behind_a_body_with_or_without_a_line_break():
    for before in (b"rest of a body", b"a=sendrecv\r\n", b"<xml/>"):
        for message in (request(), response()):
            assert find_message(before + message) == len(before)


@pytest.mark.parametrize(
    "octets",
    [
        b"Via: SIP/2.0/UDP 192.0.2.1\r\nCSeq: 1 INVITE\r\n\r\n",
        b"\r\n\r\nSIP/2.0 100 Trying\r\n",  # the body of a NOTIFY about a REFER (RFC 3515): no header below
        b"SIP/2.0 200 OK\r\n\r\n",
        b"no start at all\r\nin any line\r\n",
    ],
)
def test_no_message_is_found_where_none_begins(octets):
    assert find_message(octets) == -1


@pytest.mark.parametrize(
    "octets",
    [
        b"A ",
        b" ",
        b"A",
        b"\nA ",
        b"A SIP/2 ",
        b"SIP/2.0 200 ",
        b"INVITE sip:",
        b"INVITE sip:a SIP/2.0 ",
        b"\r\n\0 ",
        b"\nA a SIP/2.0",
        b"SIP/2",
    ],
)
def test_a_megabyte_of_anything_is_judged_in_linear_time(octets):
    """A quadratic match would take minutes here and run into the time limit of the suite."""
    data = octets * ((1 << 20) // len(octets)) + b"SIP/"
    begins_message(data)
    find_message(data)
    may_begin(data)
