"""Values that a product makes anew each time: tags, nonces, session numbers, written as text with fields.

    as{hex:8}               Asterisk's chan_sip: To tag
    {HEX:6}-{HEX:4}         Cisco IOS
    {time}/{hex:32}         PJSIP inside Asterisk: nonce
    {expiry_b64:300}        Kamailio: base64 of two times and sixteen octets

Fields: `hex:N`, `HEX:N`, `dec:N`, `alnum:N` (N random characters; `dec` never starts with 0), `b64:N` (base64 of N
random octets), `uuid`, `time` (seconds since the epoch), `uptime` (milliseconds since the product "was started", in
upper-case hex), `expiry_b64:N` (N seconds of life). Any other name is looked up in what the caller gives.
Chance and time come from outside: nothing here reads a clock.
"""

import base64
import re
import struct
from binascii import hexlify
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["Pattern", "RandomBytes"]

RandomBytes = Callable[[int], bytes]
Made = Callable[[RandomBytes, int, Mapping[str, bytes]], bytes]

FIELD: Final = re.compile(r"\{([A-Za-z_0-9]+)(?::([0-9]+))?\}")
ALNUM: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NS_PER_S: Final = 1_000_000_000


class Pattern:
    """Text with fields, compiled. random_bits: how much of it nobody can guess. names_branch: needs `branch` given."""

    __slots__ = ("_pieces", "names_branch", "random_bits")

    def __init__(self, text: str) -> None:
        self.names_branch = "{branch}" in text
        self.random_bits = 0
        self._pieces: list[bytes | Made] = []
        at = 0
        for match in FIELD.finditer(text):
            if match.start() > at:
                self._pieces.append(text[at : match.start()].encode())
            self._pieces.append(self._field(match[1], int(match[2] or 0)))
            at = match.end()
        if at < len(text):
            self._pieces.append(text[at:].encode())

    def make(self, random_bytes: RandomBytes, now_ns: int, given: Mapping[str, bytes]) -> bytes:
        """One value. Raises KeyError for a field that is neither known nor given."""
        return b"".join(
            [piece if isinstance(piece, bytes) else piece(random_bytes, now_ns, given) for piece in self._pieces]
        )

    def _field(self, name: str, size: int) -> Made:
        maker = MAKERS.get(name)
        if maker is None:
            return lambda _random, _now, given: given[name]
        bits, made = maker(size)
        self.random_bits += bits
        return made


def _hex(size: int) -> tuple[int, Made]:
    octets = (size + 1) // 2
    return size * 4, lambda random, _now, _given: hexlify(random(octets))[:size]


def _upper_hex(size: int) -> tuple[int, Made]:
    octets = (size + 1) // 2
    return size * 4, lambda random, _now, _given: random(octets).hex()[:size].upper().encode()


def _decimal(size: int) -> tuple[int, Made]:
    low, span = 10 ** (size - 1), 9 * 10 ** (size - 1)
    return size * 3, lambda random, _now, _given: b"%d" % (low + int.from_bytes(random(12), "big") % span)


def _alnum(size: int) -> tuple[int, Made]:
    return size * 5, lambda random, _now, _given: bytes(ALNUM[octet % len(ALNUM)] for octet in random(size))


def _base64(size: int) -> tuple[int, Made]:
    return size * 8, lambda random, _now, _given: base64.b64encode(random(size))


def _uuid(_size: int) -> tuple[int, Made]:
    def made(random: RandomBytes, _now: int, _given: Mapping[str, bytes]) -> bytes:
        text = random(16).hex()
        # Version 4, variant 10: what every uuid library writes.
        return (
            f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}".encode()
        )

    return 122, made


def _time(_size: int) -> tuple[int, Made]:
    return 0, lambda _random, now_ns, _given: b"%d" % (now_ns // NS_PER_S)


def _uptime(_size: int) -> tuple[int, Made]:
    return 0, lambda _random, now_ns, given: b"%X" % ((now_ns // 1_000_000 - int(given["started_ms"])) & 0xFFFFFFFF)


def _expiry(size: int) -> tuple[int, Made]:
    def made(random: RandomBytes, now_ns: int, _given: Mapping[str, bytes]) -> bytes:
        since = now_ns // NS_PER_S & 0xFFFFFFFF
        return base64.b64encode(struct.pack(">II", since + size & 0xFFFFFFFF, since) + random(16))

    return 128, made


MAKERS: Final[dict[str, Callable[[int], tuple[int, Made]]]] = {
    "hex": _hex,
    "HEX": _upper_hex,
    "dec": _decimal,
    "alnum": _alnum,
    "b64": _base64,
    "uuid": _uuid,
    "time": _time,
    "uptime": _uptime,
    "expiry_b64": _expiry,
}
