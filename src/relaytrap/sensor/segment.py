"""Walking a spool segment's blocks without reading what is in them: where the last whole one ends, how many there are.

Only for segments that this program wrote (big-endian pcapng, one section). A file may be cut anywhere.
"""

import mmap
import struct
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Blocks", "count_received", "whole_blocks"]

ENHANCED: Final = 6
HEAD: Final = struct.Struct(">II")
LENGTH: Final = struct.Struct(">I")
CAPTURED_AT: Final = 20
PACKET_AT: Final = 28
SMALLEST_BLOCK: Final = 12
SMALLEST_ENHANCED: Final = 32
DIRECTION_OCTETS: Final = 8
LATER_PART: Final = b'"part":'
FIRST_PART: Final = b'"part":1,'


class Blocks(NamedTuple):
    """octets: up to the end of the last whole block. observations: how many packets begin one. received: inward."""

    octets: int
    observations: int
    received: int


def whole_blocks(path: Path) -> Blocks:
    """What of a segment is whole. An empty or missing file has none."""
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return Blocks(0, 0, 0)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _walk(data)
    except (FileNotFoundError, ValueError):  # gone meanwhile, or emptied between stat and mmap
        return Blocks(0, 0, 0)


def count_received(path: Path) -> int:
    """Messages received that stand whole in this segment."""
    return whole_blocks(path).received


def _walk(data: mmap.mmap) -> Blocks:
    at = observations = received = 0
    size = len(data)
    head, length_at = HEAD.unpack_from, LENGTH.unpack_from
    while at + SMALLEST_BLOCK <= size:
        kind, length = head(data, at)
        end = at + length
        if length < SMALLEST_BLOCK or length & 3 or end > size or length_at(data, end - 4)[0] != length:
            break
        if kind == ENHANCED:
            if length < SMALLEST_ENHANCED:
                break
            options = at + PACKET_AT + (length_at(data, at + CAPTURED_AT)[0] + 3 & ~3)
            if options + DIRECTION_OCTETS > end:  # damaged: it claims to hold more than it has room for
                break
            # The direction is always the first option (epb_flags: code, length, value); 1 is inward.
            inward = data[options + 7] & 3 == 1
            if end - options > 16 and data.find(LATER_PART, options, end) >= 0 > data.find(FIRST_PART, options, end):
                at = end
                continue
            observations += 1
            received += inward
        at = end
    return Blocks(at, observations, received)
