"""What a tested server may answer the open-relay test. Over a WebSocket: messages, or a WebSocketError. As datagrams
and streams: the messages found give their status, reason, Vias and product as text; nothing else is raised.
"""

from tests.capture.packets import response
from tests.capture.test_websocket import ANSWER, frame

from relaytrap.probe.websocket import SipWebSocket, WebSocketError
from relaytrap.sip import Response, parse_message
from relaytrap.sip.stream import StreamParser
from relaytrap.sip.text import display

PIECES = (
    b"SIP/2.0 ",
    b"HTTP/1.1 101 \r\n",
    b"\x81\x05",
    b"\x82\x7e",
    b"Server: ",
    b"\x1b[31m",
    b"\r\n\r\n",
    b"\xff\xfe",
)
READ_MAX = 1 << 16


def seeds() -> list[bytes]:
    """Answers, and a WebSocket's handshake with one."""
    return [response(1), response(2, b"401 Unauthorized") + response(3), ANSWER + frame(response(4))]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    sent: list[bytes] = []
    try:
        for message in SipWebSocket.ask("192.0.2.1", sent.append, READ_MAX).receive(data):
            look(message)
        for message in SipWebSocket.await_request(sent.append, READ_MAX).receive(data):
            look(message)
    except WebSocketError as error:
        assert str(error)
    look(data)
    for framed in StreamParser(max_message_bytes=READ_MAX).receive(data):
        look(framed.raw)


def look(data: bytes) -> None:
    """Everything that a result shows of an answer."""
    message = parse_message(data)
    if isinstance(message, Response):
        display(message.reason_phrase), [display(via.sent_by_host) for via in message.vias]
        display(message.headers.get(b"server") or b"")
