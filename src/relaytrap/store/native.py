"""Rows of `messages` as one block in ClickHouse's Native format, built where the rows are made.

A worker process builds the block and the store hands the engine nothing but bytes: the process that owns the engine
never touches single values. Native is column after column: name, type, then the values; text is a length (LEB128)
and its bytes.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from relaytrap.store.schema import COLUMNS

__all__ = ["native_block"]

Row = Sequence[Any]


def native_block(rows: Sequence[Row]) -> bytes:
    """One Native block of rows in the order of schema.COLUMNS; text values are `bytes`, addresses 16 bytes.

    Times are int: nanoseconds for received_at, milliseconds for ingested_at. Enum values are their numbers.
    """
    parts = [varint(len(COLUMNS)), varint(len(rows))]
    for (head, encode), values in zip(ENCODERS, zip(*rows, strict=True), strict=True):
        parts.append(head)
        parts.append(encode(values))
    return b"".join(parts)


def varint(number: int) -> bytes:
    """LEB128, as Native writes lengths."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


SHORT = tuple(varint(length) for length in range(1 << 14))


def _texts(values: Sequence[bytes]) -> bytes:
    first = values[0] if values else b""
    if values and first == values[-1] and values.count(first) == len(values):
        return (varint(len(first)) + first) * len(values)
    short = SHORT
    try:
        return b"".join([short[len(v)] + v for v in values])
    except IndexError:  # one of them is longer than the table of lengths
        return b"".join([varint(len(v)) + v for v in values])


class _Words(dict[bytes, bytes]):
    """Word → the word behind its length; made when first seen, forgotten all at once when there are too many."""

    def __missing__(self, word: bytes) -> bytes:
        if len(self) >= WORDS_MAX:
            self.clear()
        self[word] = made = varint(len(word)) + word
        return made


WORDS_MAX = 1 << 16
WORDS = _Words()


def _words(values: Sequence[bytes]) -> bytes:
    first = values[0] if values else b""
    if values and first == values[-1] and values.count(first) == len(values):
        return WORDS[first] * len(values)
    return b"".join(map(WORDS.__getitem__, values))


def _text_lists(values: Sequence[Sequence[bytes]]) -> bytes:
    end, ends = 0, array("Q")
    flat: list[bytes] = []
    for value in values:
        end += len(value)
        ends.append(end)
        flat.extend(value)
    return _little(ends) + _words(flat)


def _numbers(code: str) -> Callable[[Sequence[int]], bytes]:
    def encode(values: Sequence[int]) -> bytes:
        return _little(array(code, values))

    return encode


def _little(values: "array[int]") -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


BY_TYPE: dict[str, Callable[[Any], bytes]] = {
    "UInt64": _numbers("Q"),
    "UInt32": _numbers("I"),
    "UInt16": _numbers("H"),
    "UInt8": _numbers("B"),
    "Int16": _numbers("h"),
    "Bool": _numbers("B"),
    "DateTime64": _numbers("q"),
    "Enum8": _numbers("b"),
    "IPv6": b"".join,
    "String": _texts,
    "Array": _text_lists,
}


def _encoders() -> tuple[tuple[bytes, Callable[[Any], bytes]], ...]:
    assert struct.calcsize("I") == 4
    made = []
    for column in COLUMNS:
        name, sent = column.name.encode(), column.sent.encode()
        head = varint(len(name)) + name + varint(len(sent)) + sent
        encode = _words if column.stored == "LowCardinality(String)" else BY_TYPE[column.sent.partition("(")[0]]
        made.append((head, encode))
    return tuple(made)


ENCODERS = _encoders()
