"""The first thing a TLS client says, and the two names that it is known by: JA3 and JA4.

Both describe the client's library and settings, not its user: a scanner keeps its fingerprint when it changes
its address and its User-Agent. Values under GREASE (RFC 8701) are drawn anew for each connection and so left out.

Layout: RFC 8446 section 4.1.2, which older versions share (RFC 5246 section 7.4.1.2).
"""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["ClientHello", "ClientHelloReader", "begins_tls"]

CLIENT_HELLO: Final = 1
RECORD_MAX: Final = (1 << 14) + 2048
HELLO_MAX: Final = 1 << 16
SERVER_NAME, GROUPS, POINT_FORMATS, SIGNATURES, PROTOCOLS, VERSIONS = 0, 10, 11, 13, 16, 43
VERSION_NAMES: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
NOTHING_HASHED: Final = "000000000000"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers, in its own order.

    version: of the message, not of the record. extensions: kinds. size: octets of the stream that it took, with record
    headers.
    """

    version: int
    ciphers: tuple[int, ...]
    extensions: tuple[int, ...]
    groups: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    signatures: tuple[int, ...] = ()
    protocols: tuple[bytes, ...] = ()
    versions: tuple[int, ...] = ()
    size: int = 0

    @property
    def ja3(self) -> str:
        """32 hexadecimal digits (github.com/salesforce/ja3)."""
        return hashlib.md5(self.ja3_text.encode(), usedforsecurity=False).hexdigest()

    @property
    def ja3_text(self) -> str:
        """What JA3 is the digest of: version, ciphers, extensions, groups, point formats."""
        lists = (_plain(self.ciphers), _plain(self.extensions), _plain(self.groups), self.point_formats)
        return ",".join((str(self.version), *("-".join(map(str, each)) for each in lists)))

    @property
    def ja4(self) -> str:
        """Such as `t13d1516h2_8daaf6152771_e5627efa2ab1` (github.com/FoxIO-LLC/ja4, technical details of JA4)."""
        ciphers, extensions = _plain(self.ciphers), _plain(self.extensions)
        version = max(_plain(self.versions), default=self.version)
        head = f"t{VERSION_NAMES.get(version, '00')}{'d' if SERVER_NAME in extensions else 'i'}"
        head += f"{min(len(ciphers), 99):02d}{min(len(extensions), 99):02d}{self._protocol()}"
        told = _hex(sorted(each for each in extensions if each not in (SERVER_NAME, PROTOCOLS)))
        if signatures := _plain(self.signatures):
            told += f"_{_hex(signatures)}"
        return f"{head}_{_short_hash(_hex(sorted(ciphers)), ciphers)}_{_short_hash(told, extensions)}"

    def _protocol(self) -> str:
        """First and last character of the first application protocol; of its hexadecimal form when they are odd."""
        first = self.protocols[0] if self.protocols else b""
        if not first:
            return "00"
        ends = (first[:1] + first[-1:]).decode("latin-1")
        return ends if ends.isascii() and ends.isalnum() else first.hex()[0] + first.hex()[-1]


def begins_tls(data: bytes) -> bool:
    """Whether a stream starts like a TLS handshake: its record type, and version 3."""
    return data[:2] == b"\x16\x03"


class ClientHelloReader:
    """Reads the client hello at the start of a stream that is still arriving; goes over no octet twice."""

    def __init__(self) -> None:
        self._at = 0
        """Where reading goes on in the stream, and how much of a record is still to come there."""
        self._left = 0
        self._message = bytearray()

    def read(self, stream: bytes | bytearray) -> ClientHello | None:
        """The hello; None while octets are missing. stream: from its first octet, a longer part of it each time.

        Raises ValueError for what will not become one, whatever follows.
        """
        message = self._message
        while self._left or self._enter_record(stream):
            octets = stream[self._at : self._at + self._left]
            self._at += len(octets)
            self._left -= len(octets)
            message += octets
            if message and message[0] != CLIENT_HELLO:
                raise ValueError("no client hello")
            end = 4 + int.from_bytes(message[1:4], "big")
            if len(message) >= 4 and end > HELLO_MAX:
                raise ValueError("a client hello of that size")
            if self._left:
                return None
            if 4 <= len(message) >= end:
                return _read_hello(bytes(message[4:end]), self._at)
        return None

    def _enter_record(self, stream: bytes | bytearray) -> bool:
        """Pass the header of the next record; False while that is not whole."""
        header = stream[self._at : self._at + 5]
        if header[:2] != b"\x16\x03"[: len(header)]:
            raise ValueError("no handshake record")
        if len(header) < 5:
            return False
        length = header[3] << 8 | header[4]
        if not 0 < length <= RECORD_MAX:
            raise ValueError("no handshake record")
        self._at += 5
        self._left = length
        return True


def _read_hello(message: bytes, size: int) -> ClientHello:
    """The body of a client hello that took so many octets of the stream."""
    fields = _Fields(message)
    version = fields.number(2)
    fields.take(32)  # random
    fields.take(fields.number(1))  # session
    ciphers = _numbers(fields.take(fields.number(2)))
    fields.take(fields.number(1))  # compression
    found = _read_extensions(fields.take(fields.number(2))) if fields.left else []
    by_kind = dict(reversed(found))
    return ClientHello(
        version=version,
        ciphers=ciphers,
        extensions=tuple(kind for kind, _ in found),
        groups=_listed(by_kind.get(GROUPS), 2),
        point_formats=tuple(_Fields(by_kind[POINT_FORMATS]).rest(1)) if POINT_FORMATS in by_kind else (),
        signatures=_listed(by_kind.get(SIGNATURES), 2),
        protocols=_read_protocols(by_kind.get(PROTOCOLS)),
        versions=_listed(by_kind.get(VERSIONS), 1),
        size=size,
    )


class _Fields:
    """Reads one field after the other; ValueError where one is missing."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, octets: int) -> bytes:
        if octets > self.left:
            raise ValueError("a field ends beyond its message")
        self._at += octets
        return self._data[self._at - octets : self._at]

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def rest(self, octets: int) -> bytes:
        """What a length of so many octets announces."""
        return self.take(self.number(octets))


def _read_extensions(data: bytes) -> list[tuple[int, bytes]]:
    fields, found = _Fields(data), []
    while fields.left:
        found.append((fields.number(2), fields.rest(2)))
    return found


def _read_protocols(data: bytes | None) -> tuple[bytes, ...]:
    fields = _Fields(_Fields(data).rest(2) if data is not None else b"")
    names = []
    while fields.left:
        names.append(fields.rest(1))
    return tuple(names)


def _listed(data: bytes | None, length_octets: int) -> tuple[int, ...]:
    return _numbers(_Fields(data).rest(length_octets)) if data is not None else ()


def _numbers(data: bytes) -> tuple[int, ...]:
    """Numbers of two octets each."""
    if len(data) & 1:
        raise ValueError("half a number")
    return struct.unpack(f">{len(data) // 2}H", data)


def _plain(values: Iterable[int]) -> list[int]:
    """Without GREASE: 0x0A0A, 0x1A1A and so on."""
    return [value for value in values if value & 0x0F0F != 0x0A0A or value >> 8 != value & 0xFF]


def _hex(values: Iterable[int]) -> str:
    return ",".join(f"{value:04x}" for value in values)


def _short_hash(text: str, values: list[int]) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if values else NOTHING_HASHED
