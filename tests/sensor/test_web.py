"""HTTP and WebSocket as layers: octets in, pieces and octets out. The client's side is wsproto's."""

import base64
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, Ping, Pong, Request, TextMessage

from relaytrap.sensor.carrier import Piece
from relaytrap.sensor.persona import Http
from relaytrap.sensor.web import HttpLayer
from tests.sensor.talk import request

PAGE = Http(status="404 Not Found", headers={"Server": "Asterisk/1", "Date": "{date}"}, body="<p>none</p>")
KEY = base64.b64encode(bytes(16))
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: pbx\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %b\r\n"
    b"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n" % KEY
)


def layer(persona: Http = PAGE, *, has_page: bool = True, answers_ping: bool = False) -> HttpLayer:
    return HttpLayer("tcp", persona, b"192.0.2.7:4000", lambda: b"today", has_page=has_page, answers_ping=answers_ping)


class Client:
    """A WebSocket client joined to a layer; `pieces` is what the sensor took."""

    def __init__(self, *, answers_ping: bool = False) -> None:
        self.server = layer(answers_ping=answers_ping)
        self.wire = WSConnection(ConnectionType.CLIENT)
        self.pieces: list[Piece] = []
        self.events = self.send(Request(host="pbx", target="/ws", subprotocols=["sip"]))

    def send(self, event: object) -> list[object]:
        """Send an event; what the server says to it."""
        return self.push(self.wire.send(event))  # type: ignore[arg-type]

    def push(self, data: bytes) -> list[object]:
        self.pieces += self.server.receive(data)
        return self.pull(self.server.take_out())

    def pull(self, data: bytes) -> list[object]:
        if data:
            self.wire.receive_data(data)
        return list(self.wire.events())


def test_websocket_is_opened_in_the_personas_words() -> None:
    upgraded = {"Sia": "SIP/2.0/{transport} {peer}", "Sec-WebSocket-Accept": "{accept}"}
    server = layer(Http(upgraded=upgraded))
    server.receive(HANDSHAKE)
    assert server.take_out() == (
        b"HTTP/1.1 101 Switching Protocols\r\nSia: SIP/2.0/TCP 192.0.2.7:4000\r\n"
        b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("path", "status"), [(b"/ws", b"101"), (b"/ws?x=1", b"101"), (b"/", b"404"), (b"/wss", b"404")]
)
def test_websocket_is_opened_only_where_the_persona_has_it(path: bytes, status: bytes) -> None:
    server = layer(Http(path="/ws"))
    server.receive(HANDSHAKE.replace(b"/ws", path, 1))
    assert server.take_out().split()[1] == status


def test_browser_gets_the_personas_page_and_is_recorded() -> None:
    server, asked = layer(), b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
    taken, said = server.receive(asked)
    assert taken == Piece(asked, "tcp", "other", ("HTTP request",))
    assert said.kind == "said"
    out = server.take_out()
    assert out == said.raw
    assert out.startswith(
        b"HTTP/1.1 404 Not Found\r\nServer: Asterisk/1\r\nDate: today\r\nContent-Length: 11\r\n\r\n<p>"
    )
    assert server.is_over


def test_browser_on_a_sip_port_is_recorded_and_gets_nothing() -> None:
    server, asked = layer(has_page=False), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert server.receive(asked) == [Piece(asked, "tcp", "other", ("HTTP request",))]
    assert server.take_out() == b""
    assert server.is_over


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_request_with_a_body_is_one_piece(cut: int) -> None:
    server, asked = layer(), b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    pieces = [piece for at in range(0, len(asked), cut) for piece in server.receive(asked[at : at + cut])]
    assert [piece.raw for piece in pieces if piece.kind == "other"] == [asked]


def test_second_request_of_a_connection_is_recorded_and_not_answered() -> None:
    server, asked = layer(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    pieces = server.receive(asked + asked)
    assert [piece.raw for piece in pieces if piece.kind != "said"] == [asked, asked]
    assert server.take_out().count(b"HTTP/1.1 404") == 1


def test_broken_http_is_kept_and_refused() -> None:
    server = layer()
    taken, _ = server.receive(b"GET / HTTP/1.1\r\nno colon here\r\n\r\n")
    assert taken.notes == ("HTTP request that cannot be read",)
    assert server.take_out().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_endless_body_is_cut_off() -> None:
    server = layer()
    server.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
    pieces = server.receive(b"x" * 70_000)
    assert pieces[0].notes == ("HTTP request", "cut")
    assert server.is_over


def test_unfinished_request_is_kept() -> None:
    server = layer()
    server.receive(b"GET / HTTP/1.1\r\nHost")
    assert server.close() == [Piece(b"GET / HTTP/1.1\r\nHost", "tcp", "other", ("HTTP request", "cut"))]


def test_websocket_client_is_accepted_for_sip() -> None:
    client = Client()
    assert [type(event) for event in client.events] == [AcceptConnection]
    assert client.events[0].subprotocol == "sip"
    assert client.pieces[0].notes == ("WebSocket handshake",)


@pytest.mark.parametrize("change", [(b"Protocol: sip", b"Protocol: chat"), (b"websocket\r\n", b"h2c\r\n")])
def test_what_is_no_handshake_for_sip_gets_the_page(change: tuple[bytes, bytes]) -> None:
    server = layer()
    server.receive(HANDSHAKE.replace(*change, 1))
    assert server.take_out().startswith(b"HTTP/1.1 404")


def test_product_without_websocket_gives_its_page() -> None:
    server = layer(Http(websocket=False))
    server.receive(HANDSHAKE)
    assert server.take_out().startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("event", [TextMessage(request().decode()), BytesMessage(request())])
def test_message_in_frames_is_a_sip_message(event: Message) -> None:
    client = Client()
    client.send(event)
    assert client.pieces[-1] == Piece(request(), "ws", "message")


def test_message_in_several_frames_is_one() -> None:
    client, text = Client(), request().decode()
    client.send(TextMessage(text[:50], message_finished=False))
    assert client.server.held >= 50
    client.send(TextMessage(text[50:]))
    assert client.pieces[-1].raw == request()
    assert client.server.held == 0


def test_answer_is_one_frame_that_the_client_reads() -> None:
    client = Client()
    assert client.pull(client.server.wrap(b"SIP/2.0 200 OK\r\n\r\n"))[0].data == "SIP/2.0 200 OK\r\n\r\n"
    assert client.pull(client.server.wrap(b"SIP/2.0 200 \xff\r\n\r\n"))[0].data == b"SIP/2.0 200 \xff\r\n\r\n"


def test_ping_gets_its_pong() -> None:
    client = Client()
    assert client.send(Ping(b"are you there")) == [Pong(b"are you there")]
    assert client.pieces[-1] == Piece(b"are you there", "ws", "other", ("WebSocket ping",))


def test_keepalive_is_answered_by_products_that_do() -> None:
    for answers in (True, False):
        client = Client(answers_ping=answers)
        assert bool(client.send(TextMessage("\r\n\r\n"))) is answers
        assert client.pieces[1 + 1].notes == ("keepalive",)


def test_goodbye_is_said_back() -> None:
    client = Client()
    assert isinstance(client.send(CloseConnection(1000, "bye"))[0], CloseConnection)
    assert client.pieces[-1] == Piece(b"bye", "ws", "other", ("WebSocket close 1000",))
    assert client.server.is_over
    assert client.server.wrap(b"SIP/2.0 200 OK\r\n\r\n") == b""


def test_text_that_is_no_utf8_is_kept_as_it_came() -> None:
    client = Client()
    frame = b"\x81\x82\0\0\0\0\xff\xfe"
    client.push(frame)
    assert client.pieces[-1] == Piece(frame, "ws", "other", ("broken WebSocket frame",))
    assert client.server.is_over


def test_frame_that_is_none_is_kept_as_it_came() -> None:
    client = Client()
    client.push(frame := b"\xff\x80\0\0\0\0rest")
    assert client.pieces[-1] == Piece(frame, "ws", "other", ("broken WebSocket frame",))
    assert client.server.is_over


def test_message_without_end_is_cut_off() -> None:
    client = Client()
    for _ in range(2):
        client.send(BytesMessage(b"x" * 50_000, message_finished=False))
    assert client.pieces[-1].notes == ("WebSocket message too long",)
    assert client.server.is_over


def test_pong_that_nobody_asked_for_is_recorded() -> None:
    client = Client()
    assert client.send(Pong(b"carried along")) == []
    assert client.pieces[-1] == Piece(b"carried along", "ws", "other", ("WebSocket pong",))


@pytest.mark.parametrize("control", [Ping(b"p"), Pong(b"p")])
def test_control_frame_inside_a_message_takes_nothing_of_it_away(control: Ping | Pong) -> None:
    client, text = Client(), request().decode()
    client.push(first := client.wire.send(TextMessage(text[:50], message_finished=False)))
    client.send(control)
    assert client.server.close() == [Piece(first, "ws", "other", ("cut",))]
    client = Client()
    client.send(TextMessage(text[:50], message_finished=False))
    client.send(control)
    client.send(TextMessage(text[50:]))
    assert client.pieces[-1] == Piece(request(), "ws", "message")


def test_frame_begun_behind_a_whole_one_is_kept() -> None:
    client = Client()
    ping, second = client.wire.send(Ping(b"one")), client.wire.send(Ping(b"two"))
    client.push(ping + second[:-1])
    assert client.server.close() == [Piece(second[:-1], "ws", "other", ("cut",))]


def test_what_follows_a_goodbye_is_kept() -> None:
    client = Client()
    client.push(client.wire.send(CloseConnection(1000, "bye")) + b"INVITE")
    assert [piece.raw for piece in client.pieces[-2:]] == [b"bye", b"INVITE"]


def test_pings_do_not_lengthen_what_a_message_may_hold() -> None:
    client, sent = Client(), []
    for _ in range(40):
        if client.server.is_over:
            break
        sent.append(client.wire.send(BytesMessage(b"x" * 60_000, message_finished=False)))
        client.push(sent[-1])
        client.push(client.wire.send(Ping(b"")))
    assert len(sent) == 2
    cut = [piece for piece in client.pieces if piece.notes == ("WebSocket message too long",)]
    assert [piece.raw for piece in cut] == [b"".join(sent)]
    assert client.server.held == 0


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_no_octets_raise_and_all_are_kept_before_a_handshake(parts: list[bytes]) -> None:
    server, taken = layer(), []
    for part in parts:
        taken += server.receive(part)
    taken += server.close()
    assert b"".join(piece.raw for piece in taken if piece.kind != "said") == b"".join(parts)


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_no_frames_raise(parts: list[bytes]) -> None:
    server = layer()
    for part in (HANDSHAKE, *parts):
        server.receive(part)
        server.take_out()
    server.close()


class Frame(NamedTuple):
    """A client's frame under a mask of zeros: its payload stands in it as it is."""

    first: int
    payload: bytes

    @property
    def header(self) -> bytes:
        size = len(self.payload)
        return bytes([self.first, 0x80 | min(size, 126)]) + (size.to_bytes(2) if size > 125 else b"") + bytes(4)

    @property
    def wire(self) -> bytes:
        return self.header + self.payload


FRAMES = st.builds(
    Frame,
    st.sampled_from([0x80, 0x00, 0x81, 0x01, 0x82, 0x02, 0x88, 0x89, 0x8A, 0x09, 0x83, 0xC1]),
    st.one_of(
        st.binary(max_size=20),
        st.text(max_size=5).map(str.encode),
        st.integers(126, 300).map(lambda size: b"x" * size),
        st.text(max_size=5).map(lambda reason: b"\x03\xe8" + reason.encode()),
    ),
)


@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(0, 200)), st.integers(0, 5))
def test_every_payload_octet_of_frames_in_any_order_is_in_some_piece(
    frames: list[Frame], cuts: list[int], missing: int
) -> None:
    """Whole messages and control frames give payloads, all else stands as it came: so with masks of zeros, no octet
    beside those of headers may be missing.
    """
    server, taken = layer(), list[Piece]()
    wire = b"".join(frame.wire for frame in frames)
    wire = wire[: max(0, len(wire) - missing)]
    taken += server.receive(HANDSHAKE)[2:]
    edges = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
    for start, end in pairwise(edges):
        taken += server.receive(wire[start:end])
    taken += server.close()
    recorded = Counter(b"".join(piece.raw for piece in taken if piece.kind != "said"))
    payload, at = Counter[int](), 0
    for frame in frames:
        start, at = at + len(frame.header), at + len(frame.wire)
        is_close = frame.first == 0x88  # the first two octets are the code, which the note tells
        payload += Counter(wire[start + 2 * is_close : at])
    assert not payload - recorded
    assert not recorded - Counter(wire)
