"""SIP over WebSocket, one end against the other and against rubbish."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.probe.websocket import SipWebSocket, WebSocketError


class Pair:
    """Two ends; what one writes waits for the other."""

    def __init__(self, max_bytes: int = 1000) -> None:
        self.to_server: list[bytes] = []
        self.to_client: list[bytes] = []
        self.server = SipWebSocket.await_request(self.to_client.append, max_bytes)
        self.client = SipWebSocket.ask("192.0.2.1:80", self.to_server.append, max_bytes)

    def shake(self) -> "Pair":
        self.server.receive(self.to_server.pop())
        self.client.receive(self.to_client.pop())
        return self


def test_handshake_names_sip_and_both_ends_know_when_it_is_over() -> None:
    pair = Pair().shake()
    assert pair.client.accepted
    assert pair.server.accepted


@given(st.lists(st.binary(min_size=1, max_size=900), max_size=5), st.integers(1, 50))
def test_messages_come_out_as_they_went_in_however_they_were_cut(messages: list[bytes], size: int) -> None:
    pair = Pair().shake()
    for message in messages:
        pair.client.send(message)
    stream = b"".join(pair.to_server)
    found = [
        each for start in range(0, len(stream), size) for each in pair.server.receive(stream[start : start + size])
    ]
    assert found == messages


def test_message_beyond_the_limit_ends_it() -> None:
    pair = Pair(max_bytes=100).shake()
    pair.client.send(b"x" * 101)
    with pytest.raises(WebSocketError, match="more than 100 bytes"):
        pair.server.receive(b"".join(pair.to_server))


@given(st.binary(max_size=2000), st.booleans())
def test_rubbish_raises_nothing_else(data: bytes, shaken: bool) -> None:
    pair = Pair()
    if shaken:
        pair.shake()
    for end in (pair.client, pair.server):
        with suppress(WebSocketError):
            end.receive(data)


def test_header_that_is_no_ascii_raises_nothing_else() -> None:
    with pytest.raises(WebSocketError):
        Pair().server.receive(
            b"GET / HTTP/1.1\r\nHost: \xff\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
