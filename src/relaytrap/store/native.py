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

from relaytrap.kept import Kept
from relaytrap.store.schema import COLUMNS, Column

__all__ = ["NativeBlock", "native_block"]

Row = Sequence[Any]


class NativeBlock:
    """One Native block of `messages` that grows by some rows at a time.

    Rows are written out soon after they are made, while they are in the processor's cache; only the few columns of
    lists wait for the end, because the ends of all lists stand before their words.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._columns: list[list[Any]] = [[] for _ in COLUMNS]

    def add(self, rows: Sequence[Row]) -> None:
        """Rows in the order of schema.COLUMNS; text values are `bytes`, addresses 16 bytes.

        Times are int: nanoseconds for received_at, milliseconds for ingested_at. Enum values are their numbers.
        """
        self.rows += len(rows)
        for encode, column, values in zip(ENCODE, self._columns, zip(*rows, strict=True), strict=False):
            if encode is None:
                column.extend(values)
            else:
                column.append(encode(values))

    def made(self) -> bytes:
        """The block."""
        parts = [varint(len(COLUMNS)), varint(self.rows)]
        for head, encode, column in zip(HEADS, ENCODE, self._columns, strict=True):
            parts.append(head)
            if encode is None:
                parts.append(_text_lists(column))
            else:
                parts += column
        return b"".join(parts)


def native_block(rows: Sequence[Row]) -> bytes:
    """One Native block of rows as NativeBlock.add takes them."""
    block = NativeBlock()
    block.add(rows)
    return block.made()


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


def _behind_length(word: bytes) -> bytes:
    return varint(len(word)) + word


WORDS = Kept(_behind_length, most=1 << 14, longest=256)


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


BY_TYPE: dict[str, Callable[[Any], bytes] | None] = {
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
    "Array": None,
}


def _head(column: Column) -> bytes:
    name, sent = column.name.encode(), column.sent.encode()
    return varint(len(name)) + name + varint(len(sent)) + sent


def _encoder(column: Column) -> Callable[[Any], bytes] | None:
    """What writes values of a column one behind the other; None for lists, which are written at the end."""
    return _words if column.stored == "LowCardinality(String)" else BY_TYPE[column.sent.partition("(")[0]]


assert struct.calcsize("I") == 4
HEADS = tuple(map(_head, COLUMNS))
ENCODE = tuple(map(_encoder, COLUMNS))
