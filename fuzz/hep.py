"""HEP packets and WebSocket frames. Reading either returns, for any octets; a HEP packet's SIP is part of what came or
of what it unpacks to within bounds; the messages of a WebSocket do not depend on how the octets were cut.
"""

from tests.capture.packets import request
from tests.capture.test_hep import hep3
from tests.capture.test_websocket import ANSWER, ASK, frame

from relaytrap.capture.hep import hep3_length, read_hep
from relaytrap.capture.websocket import WebSocketFrames, begins_handshake, upgrades_to_sip

PIECES = (b"HEP3", b"\0\0\0\x0f", b"\0\0\0\x10", b"\x02\x10\x02\x11", b"\x01\x10", b"\x81\x7e", b"\x81\xff", b"\x01")
NOW_NS = 1_700_000_000_000_000_000


def seeds() -> list[bytes]:
    """HEP of version 3, a WebSocket with its handshake, frames alone."""
    return [hep3(request(1)), hep3(request(2))[:60], ASK, ANSWER, frame(request(3), key=b"1234"), frame(b"ab") * 3]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    read_hep(data, NOW_NS)
    assert hep3_length(data) >= -1
    begins_handshake(data), upgrades_to_sip(data)
    at_once, cut = WebSocketFrames(), WebSocketFrames()
    third = len(data) // 3
    parts = (data[:third], data[third : 2 * third], data[2 * third :])
    assert at_once.receive(data) == [message for part in parts for message in cut.receive(part)]
