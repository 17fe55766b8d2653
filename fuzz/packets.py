"""Packets. Octets cut into frames of any link type: IP of both versions, fragments, tunnels, TCP streams. Nothing is
raised, fragments and streams stay within their bounds, and giving up at the end leaves nothing held.
"""

import struct
from collections import Counter

from tests.capture.scenes import frames

from relaytrap.capture.content import StreamContent
from relaytrap.capture.linklayer import NETWORK_LAYER
from relaytrap.capture.network import Network
from relaytrap.capture.tcp import Streams

PIECES = (b"\x45\0\0\x54", b"\x60\0\0\0", b"\x08\0", b"\x86\xdd", b"\x81\0\0\x05", b"\x2c\0", bytes(20), b"\xff" * 4)
TCP = 6
BOUND = 1 << 14
FRAME_MAX = 1 << 16
"""What one more frame may add before something is given up."""


def seeds() -> list[bytes]:
    """A capture's frames together and one by one, as link type and length before each."""
    each = [struct.pack(">BH", 0, len(frame)) + frame for frame in frames()]
    return [b"".join(each), *each]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    kinds = sorted(NETWORK_LAYER)
    unread: Counter[str] = Counter()
    network = Network(unread, max_fragment_octets=BOUND)
    streams = Streams(unread, lambda opened: StreamContent(unread, opened=opened), max_flows=8, max_held=BOUND)
    at = number = 0
    while at + 3 <= len(data):
        kind, length = struct.unpack_from(">BH", data, at)
        frame, at, number = data[at + 3 : at + 3 + length], at + 3 + length, number + 1
        payload = network.payload(kinds[kind % len(kinds)], frame, number, number)
        network.given_up.clear()
        if payload is not None and payload.protocol == TCP:
            streams.segment(payload)
        assert network.held <= BOUND + FRAME_MAX
        assert streams.held <= BOUND + FRAME_MAX
    network.finish()
    streams.finish()
    assert (network.held, streams.held) == (0, 0)
