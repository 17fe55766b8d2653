"""HEP3 packets as agents send them, and a store that keeps what came of them."""

import struct
from collections.abc import Sequence

from relaytrap.observation import Observation
from tests.hub.traffic import request

NOON_S = 1_767_614_400


def chunk(kind: int, value: bytes) -> bytes:
    return struct.pack(">HHH", 0, kind, 6 + len(value)) + value


def hep(
    payload: bytes | None = None,
    *,
    number: int = 0,
    at_s: int | None = None,
    capture_id: int = 2001,
    node: bytes = b"",
    key: bytes = b"",
    protocol: int = 17,
    kind: int = 1,
) -> bytes:
    """One message from 203.0.113.9:5060 to 198.51.100.1:5060, without a time unless one is given."""
    chunks = (
        chunk(1, b"\x02")
        + chunk(2, bytes([protocol]))
        + chunk(3, bytes([203, 0, 113, 9]))
        + chunk(4, bytes([198, 51, 100, 1]))
        + chunk(7, struct.pack(">H", 5060))
        + chunk(8, struct.pack(">H", 5060))
        + (chunk(9, struct.pack(">I", at_s)) + chunk(10, bytes(4)) if at_s is not None else b"")
        + chunk(11, bytes([kind]))
        + chunk(12, struct.pack(">I", capture_id))
        + (chunk(14, key) if key else b"")
        + chunk(15, request(number) if payload is None else payload)
        + (chunk(19, node) if node else b"")
    )
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks


class Kept:
    """Everything that was stored."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []

    def take(self, batch: Sequence[Observation], token: str) -> int:
        self.observations += batch
        return len(batch)

    def raws(self) -> list[bytes]:
        return [each.raw for each in self.observations]
