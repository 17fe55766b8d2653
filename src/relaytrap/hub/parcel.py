"""A parcel: segments that go through the stream as one message, and into the store as one insert under one token.

A parcel does not change once it is made. Whoever takes it out of the stream, and however often, finds the same
segments, so the same rows and the same token, and the store knows what it has. No I/O here: stream.py moves parcels,
outbox.py fills them.

Its bytes: one line of JSON, a list with sensor, spool, number and length of each segment; behind its line end the
segments, each deflated on its own, so that each is deflated by the thread that brings it and its size is known before
it is put with others.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Annotated, Final

import msgspec

from relaytrap.capture.segment import read_segment
from relaytrap.clock import now_ns
from relaytrap.errors import InputError
from relaytrap.hub.arrival import given_ns
from relaytrap.hub.ledger import SegmentKey, digest_of

__all__ = ["PARCEL_BYTES", "REFUSED", "Packed", "Parcel", "Segment", "inflated", "pack", "token_of", "unpack"]

PARCEL_BYTES: Final = 1 << 20
"""Segments go together up to this size. Some 8,000 messages: beyond that an insert costs by the row, not by itself."""
DEFLATED: Final = 8
"""What deflates better than this counts as if it did not: a parcel holds 8 MiB of segments, and fewer than 100,000
messages, however much alike they are."""
REFUSED: Final = "refused"
"""Folder of the data directory for segments that were acknowledged and cannot be read."""
INFLATED_MAX: Final = 64 << 20
"""No sensor may ship more at once."""


@dataclass(frozen=True)
class Segment:
    """One segment (uncompressed pcapng) of an authenticated sensor.

    spool: the sensor's mark of its spool, within which numbers are unique. arrived_ns: when it came to a hub; nothing
    that tells it from others.
    """

    sensor: str
    spool: str
    number: int
    data: bytes
    arrived_ns: int = field(default_factory=now_ns, compare=False)

    @cached_property
    def digest(self) -> bytes:
        """What tells it from another one under the same number."""
        return digest_of(self.data)

    @cached_property
    def span(self) -> tuple[int, int] | None:
        """The first and the last time that its messages came with (arrival.given_ns); None without messages.

        Raises InputError for bytes that are no segment.
        """
        times = [given_ns(seen) for seen in read_segment(BytesIO(self.data), name=f"segment of {self.sensor}")]
        return (min(times), max(times)) if times else None

    @property
    def key(self) -> SegmentKey:
        """By which the ledger knows it."""
        return self.sensor, self.spool, self.number, self.digest

    @property
    def token(self) -> str:
        """By which the store knows it. The contents are part: two segments under one number are two batches."""
        return f"segment/{self.sensor}/{self.spool}/{self.number}/{self.digest.hex()}"


class _Entry(msgspec.Struct):
    sensor: str
    spool: str
    number: Annotated[int, msgspec.Meta(ge=0)]
    bytes: Annotated[int, msgspec.Meta(ge=0)]


ENTRIES: Final = msgspec.json.Decoder(list[_Entry])


@dataclass(frozen=True, slots=True)
class Packed:
    """A segment as it lies in a parcel.

    weight: how much of PARCEL_BYTES it takes. size: of a message that holds it alone; those of several, taken
    together, are more than the message.
    """

    key: SegmentKey
    token: str
    entry: bytes
    body: bytes
    size: int
    weight: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """Segments that stay together, at least one."""

    contents: tuple[Packed, ...]

    @property
    def token(self) -> str:
        """By which stream and store know it: its contents, whichever hub made it."""
        return token_of([each.token for each in self.contents])

    @property
    def payload(self) -> bytes:
        """The message's bytes, which `unpack` reads."""
        head = b"[" + b",".join(each.entry for each in self.contents) + b"]\n"
        return head + b"".join(each.body for each in self.contents)


def pack(segment: Segment) -> Packed | None:
    """A segment made ready for a parcel; None for one that no hub would take out again."""
    if len(segment.data) > INFLATED_MAX:
        return None
    body = zlib.compress(segment.data, 1)
    entry = msgspec.json.encode(_Entry(segment.sensor, segment.spool, segment.number, len(body)))
    size = len(entry) + len(body) + len(b"[]\n")
    return Packed(segment.key, segment.token, entry, body, size, max(size, len(segment.data) // DEFLATED))


def unpack(payload: bytes, arrived_ns: int) -> list[Segment]:
    """The segments of a message that came in at some time, in the order in which they were put in.

    Raises InputError for what is no parcel, or would inflate to more than INFLATED_MAX.
    """
    head, end, rest = payload.partition(b"\n")
    try:
        entries = ENTRIES.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"a parcel's first line cannot be read ({error})") from None
    if not end or not entries or sum(each.bytes for each in entries) != len(rest):
        raise InputError("a parcel's first line does not tell what follows it")
    room, at = INFLATED_MAX, 0
    segments = []
    for each in entries:
        data = inflated(rest[at : at + each.bytes], room)
        segments.append(Segment(each.sensor, each.spool, each.number, data, arrived_ns))
        room, at = room - len(data), at + each.bytes
    return segments


def inflated(data: bytes, at_most: int = INFLATED_MAX) -> bytes:
    """A segment out of its zlib data; raises InputError for what is none, is cut, has a tail, or becomes larger."""
    unpacker = zlib.decompressobj()
    try:
        made = unpacker.decompress(data, at_most + 1)
    except zlib.error as error:
        raise InputError(f"the segment says it is deflated, and cannot be inflated ({error})") from None
    if len(made) > at_most:
        raise InputError(f"the segment is larger than {at_most:,} bytes; lower sensor.segment_max_bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise InputError("the deflated segment is cut short, or has a tail")
    return made


def token_of(tokens: Sequence[str]) -> str:
    """The token of an insert that holds the segments of these tokens, in their order; one alone keeps its own."""
    return tokens[0] if len(tokens) == 1 else f"segments/{digest_of(chr(10).join(tokens).encode()).hex()}"
