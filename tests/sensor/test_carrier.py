"""What a connection carries, told by its first octets; and no octet of it lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sensor.carrier import Layer, Opening, Piece, SipLayer
from tests.sensor.talk import request


class Taking:
    """A layer that only says its name."""

    held = 0
    is_over = False

    def __init__(self, name: str) -> None:
        self._name = name

    def receive(self, data: bytes) -> list[Piece]:
        return [Piece(data, "tcp", "other", (self._name,))]

    def take_out(self) -> bytes:
        return b""

    def wrap(self, data: bytes) -> bytes:
        return data

    def close(self) -> list[Piece]:
        return []


def opening() -> Layer:
    return Opening("tcp", lambda: Taking("sip"), lambda: Taking("http"), lambda: Taking("tls"))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (request(), "sip"),
        (b"OPTIONS sip:nm SIP/2.0\r\nVia: x\r\n", "sip"),
        (b"OPTIONS * HTTP/1.0\r\n\r\n", "http"),
        (b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "http"),
        (b"GET / HTTP/2.0\r\n\r\n", "sip"),
        (b"\x16\x03\x01\x02\x00\x01", "tls"),
        (b"\x16\x02", "sip"),
        (b"\r\n\r\n", "sip"),
        (b"\x00\x01\x02", "sip"),
        (b"SIP/2.0 200 OK\r\n", "sip"),
        (b"X" * 9000, "sip"),
    ],
)
@pytest.mark.parametrize("cut", [1, 3, 10_000])
def test_first_octets_tell_the_protocol_however_they_come(data: bytes, told: str, cut: int) -> None:
    layer = opening()
    pieces = [piece for at in range(0, len(data), cut) for piece in layer.receive(data[at : at + cut])]
    pieces += layer.close()
    assert {piece.notes for piece in pieces} == {(told,)}
    assert b"".join(piece.raw for piece in pieces) == data


def test_connection_that_says_nothing_is_a_piece() -> None:
    assert opening().close() == [Piece(b"", "tcp", "other", ("connection that said nothing",))]


def test_octets_that_wait_for_a_decision_are_held() -> None:
    layer = opening()
    layer.receive(b"GET /")
    assert layer.held == 5


def test_tls_inside_tls_is_no_tls() -> None:
    layer = Opening("tls", lambda: Taking("sip"), lambda: Taking("http"))
    assert layer.receive(b"\x16\x03\x01")[0].notes == ("sip",)


streams = st.lists(st.one_of(st.just(request()), st.binary(max_size=40), st.just(b"\r\n\r\n")), max_size=6)


@given(streams, st.integers(1, 500), st.booleans())
def test_every_octet_of_a_sip_stream_comes_out(parts: list[bytes], cut: int, pings: bool) -> None:
    layer, data = SipLayer("tls", answers_ping=pings), b"".join(parts)
    pieces = [piece for at in range(0, len(data), cut) for piece in layer.receive(data[at : at + cut])]
    pieces += layer.close()
    assert b"".join(piece.raw for piece in pieces if piece.kind != "said") == data
    assert layer.take_out() == b"".join(piece.raw for piece in pieces if piece.kind == "said")
    assert {piece.transport for piece in pieces} <= {"tls"}


@pytest.mark.parametrize(
    "unframed",
    [
        b"hello\r\n\r\n",
        request().replace(b"Content-Length: 0\r\n", b""),
        request().replace(b"Content-Length: 0", b"Content-Length: x"),
    ],
    ids=["no SIP", "no Content-Length", "Content-Length that is no number"],
)
def test_strict_product_ends_a_connection_that_it_cannot_frame_and_answers_no_more_of_it(unframed: bytes) -> None:
    strict, lenient = (SipLayer("tcp", answers_ping=False, is_strict=each) for each in (True, False))
    data = request(branch="z9hG4bK-1") + unframed + request(branch="z9hG4bK-2")
    pieces = strict.receive(data)
    assert strict.is_over
    assert pieces[0] == Piece(request(branch="z9hG4bK-1"), "tcp", "message")
    assert {piece.kind for piece in pieces[1:]} == {"other"}
    assert b"".join(piece.raw for piece in pieces) == data
    assert lenient.receive(data)[-1].kind == "message"
    assert not lenient.is_over
