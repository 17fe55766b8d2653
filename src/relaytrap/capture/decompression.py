"""Reading through gzip, bzip2, xz and Zstandard as if the file were plain, in bounded memory, up to the damage."""

import bz2
import contextlib
import importlib
import lzma
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final, Protocol

from relaytrap.capture.container import Readable
from relaytrap.errors import InputError

__all__ = ["Decompressed", "decompressor_for"]

CHUNK: Final = 1 << 14
"""Compressed octets at a time; small, because what damage spoils is all that one chunk would have given."""
MAX_DICTIONARY: Final = 256 << 20
"""An xz header may ask for 4 GiB; `xz -9` asks for 65 MiB to unpack."""
MAX_WINDOW_LOG: Final = 27
"""A Zstandard header may ask for 2 GiB; `zstd --ultra -22` and `--long` ask for 128 MiB, and `unzstd` takes no more."""
ZSTD_MODULES: Final = ("compression.zstd", "backports.zstd")
"""From Python 3.14 on, and what the hub's extra brings along before."""


class Decompressor(Protocol):
    """What bz2, lzma and zstd give, and zlib through `_Gzip`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's gzip decoder with the interface of the others, which gives all that stands before damage."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self._broken = False

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
        """Raises zlib.error at damage, once what stands before it was given."""
        if self._broken:
            raise zlib.error("damaged before")
        before, data = self._inflate.copy(), self._inflate.unconsumed_tail + data
        try:
            return self._inflate.decompress(data, max(max_length, 0))
        except zlib.error:
            self._broken = True
        return _before_damage(before, data)


def _before_damage(inflate: "zlib._Decompress", data: bytes) -> bytes:
    """What deflated octets give up to the one at which damage shows: taken together they give nothing."""
    given = bytearray()
    for at in range(len(data)):
        try:
            given += inflate.decompress(data[at : at + 1])
        except zlib.error:
            break
    return bytes(given)


class _Zstandard:
    """Zstandard's decoder, whose own kind of error is another in each module."""

    def __init__(self, module: Any) -> None:
        options = {module.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
        self._decompressor: Decompressor = module.ZstdDecompressor(options=options)
        self._error: type[Exception] = module.ZstdError

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def needs_input(self) -> bool:
        return self._decompressor.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        try:
            return self._decompressor.decompress(data, max_length)
        except self._error as error:
            raise ValueError(str(error)) from None


def _zstandard() -> Decompressor:
    return _Zstandard(_first_module(ZSTD_MODULES))


@cache
def _first_module(names: tuple[str, ...]) -> Any:
    """The first of these that there is; looked for once, as a file may hold a hundred thousand members a megabyte."""
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise InputError("the capture is compressed with Zstandard, which this Python cannot read: unpack it with `unzstd`")


MAGICS: Final[dict[bytes, Callable[[], Decompressor]]] = {
    b"\x1f\x8b\x08": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY),
    b"\x28\xb5\x2f\xfd": _zstandard,
    b"\x50\x2a\x4d\x18": _zstandard,  # what pzstd puts before each frame, to be passed over
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
