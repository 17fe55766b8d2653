"""Observation: the one record that crosses rooms, with its format version.

A sensor makes one for each message it receives or sends; an import makes one for each message in a capture. Nothing in
it is interpreted: `evidence` does that, and may do it again years later from the same bytes.
"""

import re
from typing import Final, Literal, get_args

import msgspec

__all__ = ["FORMAT_VERSION", "SENSOR_NAME", "TRANSPORTS", "Direction", "Observation", "Transport"]

FORMAT_VERSION: Final = 1
SENSOR_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What a hub and a sensor take for a sensor's name; captures and agents may bring others."""

Direction = Literal["in", "out"]
Transport = Literal["udp", "tcp", "tls", "ws", "wss", "sctp"]
TRANSPORTS: Final[tuple[Transport, ...]] = get_args(Transport)


class Observation(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One message (or unparsable datagram) seen by one sensor.

    received_at_ns: when the bytes were read (or handed to the kernel), nanoseconds since the epoch, UTC.
    sensor: name of the sensor, or of the import that stands in for one.
    direction: "in" from `source` to `local`; "out" an answer of ours (or, in a capture, of the side that was asked).
    source, source_port: the peer's address as our socket saw it, canonical text. The peer in both directions.
    local, local_port: our own end, canonical text.
    raw: the message exactly as it was on the wire; for streams, one framed message.
    capture, frame: where an import found it: file name, and 1-based number of the packet that completed it. "" and 0
        for live traffic.
    notes: what the reader saw around the bytes ("cut by snaplen", "TCP gap before"); never from the message itself.
    """

    received_at_ns: int
    sensor: str
    direction: Direction
    transport: Transport
    source: str
    source_port: int
    local: str
    local_port: int
    raw: bytes
    capture: str = ""
    frame: int = 0
    notes: tuple[str, ...] = ()
