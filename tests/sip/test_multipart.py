"""Multipart bodies."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import Request, parse_message
from relaytrap.sip.multipart import split_multipart
from tests.sip.torture import INVITE, SDP, message

TYPE = b'multipart/mixed; boundary="b 1"'


def test_parts_are_exact() -> None:
    body = b"preamble\r\n--b 1\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    body += b"--b 1  \r\n\r\n\x00\r\n--b 2\r\n\xff\r\n--b 1--\r\nend"
    first, second = split_multipart(body, TYPE)
    assert (first.headers.get(b"content-type"), first.body) == (b"text/plain", b"Hello")
    assert (len(second.headers), second.body) == (0, b"\x00\r\n--b 2\r\n\xff")


def test_cut_body_gives_its_last_part() -> None:
    assert [part.body for part in split_multipart(b"--b 1\r\n\r\nabc", TYPE)] == [b"abc"]


def test_type_without_boundary_has_no_parts() -> None:
    assert split_multipart(b"--b\r\n\r\nabc", b"multipart/mixed") == ()


def test_message_finds_the_description_among_its_parts() -> None:
    body = (
        b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x\r\nContent-Type: application/sdp\r\n\r\n"
        + SDP
        + b"\r\n--x--"
    )
    parsed = parse_message(message(INVITE, b"Content-Type: multipart/mixed;boundary=x", body=body))
    assert isinstance(parsed, Request)
    assert parsed.sdp is not None
    assert parsed.sdp.connection == b"192.0.2.7"
    assert parsed.body == body


def test_missing_boundaries_are_an_anomaly() -> None:
    parsed = parse_message(message(INVITE, b"Content-Type: multipart/mixed;boundary=x", body=b"none"))
    assert [anomaly.name for anomaly in parsed.anomalies] == ["multipart"]


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_what_is_joined_is_split(bodies: list[bytes]) -> None:
    joined = b"".join(b"--7f3a9c\r\nX: y\r\n\r\n" + body + b"\r\n" for body in bodies) + b"--7f3a9c--"
    assert [part.body for part in split_multipart(joined, b"multipart/mixed;boundary=7f3a9c")] == bodies


@given(st.text("-x\r\n:a", max_size=80).map(str.encode))
def test_any_octets_are_split(body: bytes) -> None:
    assert all(part.body in body for part in split_multipart(body, b"multipart/x;boundary=x"))
