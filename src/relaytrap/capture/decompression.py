"""Reading through gzip, bzip2 and xz as if the file were plain, in bounded memory, up to where it is damaged."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Final, Protocol

from relaytrap.capture.container import Readable

__all__ = ["Decompressed", "decompressor_for"]

CHUNK: Final = 1 << 14
"""Compressed octets at a time; small, because what damage spoils is all that one chunk would have given."""
MAX_DICTIONARY: Final = 256 << 20
"""An xz header may ask for 4 GiB; `xz -9` asks for 65 MiB to unpack."""


class Decompressor(Protocol):
    """What bz2 and lzma give, and zlib through `_Gzip`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's gzip decoder with the interface of the other two."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max(max_length, 0))


MAGICS: Final[dict[bytes, Callable[[], Decompressor]]] = {
    b"\x1f\x8b\x08": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY),
}


def decompressor_for(head: bytes) -> Callable[[], Decompressor] | None:
    """Makes decompressors for a file that starts like this; None for one that is not compressed."""
    for magic, make in MAGICS.items():
        if head.startswith(magic):
            return make
    return None


class Decompressed:
    """`read` of the plain octets of a compressed stream; members that follow one another are joined.

    damaged: whether the compressed data ended or broke early; what came before was delivered.
    """

    def __init__(self, stream: Readable, head: bytes, make: Callable[[], Decompressor]) -> None:
        self._stream = stream
        self._input = head
        self._make = make
        self._decompressor = make()
        self.damaged = False
        self.position = len(head)

    def read(self, size: int) -> bytes:
        """Up to `size` octets; b"" at the end."""
        while not self.damaged:
            if self._decompressor.eof:
                self._input = self._decompressor.unused_data.lstrip(b"\0")  # some writers pad
                if not self._more_input():
                    return b""
                self._decompressor = self._make()
            starved = self._decompressor.needs_input and not self._more_input()
            try:
                data = self._decompressor.decompress(self._input, size)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
                self.damaged = True
                return b""
            self._input = b""
            if data:
                return data
            self.damaged = starved and not self._decompressor.eof
        return b""

    def _more_input(self) -> bool:
        if not self._input:
            self._input = self._stream.read(CHUNK)
            self.position += len(self._input)
        return bool(self._input)
