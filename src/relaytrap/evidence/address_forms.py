"""Every way in which an address is known to be written inside an identifier.

One table serves both directions: `identifiers` looks for these forms, and redaction removes them. Scanners write
addresses into Call-IDs, branches, tags and user parts so that an answer tells them what it belongs to; what gives the
scanner away gives the honeypot away as well.
"""

import ipaddress
from base64 import b64encode
from binascii import hexlify
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["SURE_MIN", "AddressForm", "find_address_forms", "plain_forms"]

SURE_MIN: Final = 8
"""Octets a form must have before its appearance among random characters means anything."""


class AddressForm(NamedTuple):
    """An address in one encoding.

    encoding: "dotted", "undotted", "hex", "hex reversed", "decimal" …. text: the bytes to look for.
    sure: long enough that finding it is no accident.
    """

    encoding: str
    text: bytes
    sure: bool


def _letters(octets: bytes) -> bytes:
    """Each decimal digit as a letter, 0 = A: Grandstream telephones write the host of their Call-IDs so."""
    return b".".join((b"%d" % octet).translate(DIGIT_LETTERS) for octet in octets)


DIGIT_LETTERS: Final = bytes.maketrans(b"0123456789", b"ABCDEFGHIJ")


def _dotted(octets: bytes) -> bytes:
    return b".".join(b"%d" % octet for octet in octets)


# Forms that need a gate before they are worth looking for: capitals, hyphens, escapes, long runs of hex.
ELABORATE: Final[tuple[tuple[str, Callable[[bytes], bytes]], ...]] = (
    ("hex", lambda octets: hexlify(octets).upper()),
    ("hex reversed", lambda octets: hexlify(octets[::-1]).upper()),
    ("dotted reversed", lambda octets: _dotted(octets[::-1])),
    ("hyphenated", lambda octets: _dotted(octets).replace(b".", b"-")),
    ("underscored", lambda octets: _dotted(octets).replace(b".", b"_")),
    ("escaped", lambda octets: _dotted(octets).replace(b".", b"%2E")),
    ("escaped", lambda octets: _dotted(octets).replace(b".", b"%2e")),
    ("letters", _letters),
    ("hex of text", lambda octets: hexlify(_dotted(octets))),
    ("hex of hex", lambda octets: hexlify(hexlify(octets))),
)


def _base64_cores(text: bytes) -> Iterator[bytes]:
    """What base64 of anything that holds the text must contain, for each of the three ways it can lie."""
    for shift in range(3):
        encoded = b64encode(b"\0" * shift + text)
        first = (0, 2, 3)[shift]
        last = (len(text) + shift) % 3
        yield encoded[first : len(encoded) - (0, 3, 2)[last]]


def plain_forms(host: bytes) -> tuple[tuple[str, str], ...]:
    """The sure forms of an IPv4 address to look for in every message, (encoding, text); () for any other host.

    As str: looking for one in a hundred characters takes a third of what it takes in bytes (45 ns, not 130).
    """
    octets = _octets(host)
    if octets is None:
        return ()
    return tuple([form for form in _plain_forms(octets) if len(form[1]) >= SURE_MIN or form[0] == "dotted"])


def _plain_forms(octets: bytes) -> tuple[tuple[str, str], ...]:
    a, b, c, d = octets
    backwards = octets[::-1]
    return (
        ("dotted", f"{a}.{b}.{c}.{d}"),
        ("undotted", f"{a}{b}{c}{d}"),
        ("undotted, padded", PADDED[a] + PADDED[b] + PADDED[c] + PADDED[d]),
        ("decimal", str(int.from_bytes(octets, "big"))),
        ("decimal reversed", str(int.from_bytes(backwards, "big"))),
        ("hex", octets.hex()),
        ("hex reversed", backwards.hex()),
    )


PADDED: Final = tuple(f"{octet:03}" for octet in range(256))


def _octets(host: bytes) -> bytes | None:
    parts = host.split(b".")
    if len(parts) != 4 or not b"".join(parts).isdigit():
        return None
    try:
        return bytes(map(int, parts))
    except ValueError:
        return None


@lru_cache(maxsize=1 << 10)
def find_address_forms(address: str) -> tuple[AddressForm, ...]:
    """Every form of an IPv4 or IPv6 address, longest first; () for text that is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ()
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id:
        parsed = ipaddress.IPv6Address(parsed.packed)  # with a zone ("%eth0") it cannot be written out
    pairs = _forms_of_ipv4(parsed.packed) if parsed.version == 4 else _forms_of_ipv6(parsed)
    unique = {text: AddressForm(encoding, text, _is_sure(encoding, text)) for encoding, text in reversed(list(pairs))}
    return tuple(sorted(unique.values(), key=lambda form: (-len(form.text), form.encoding)))


def _is_sure(encoding: str, text: bytes) -> bool:
    return len(text) >= SURE_MIN or encoding == "dotted"


def _forms_of_ipv4(octets: bytes) -> Iterator[tuple[str, bytes]]:
    for encoding, text in _plain_forms(octets):
        yield encoding, text.encode("ascii")
    for encoding, encode in ELABORATE:
        yield encoding, encode(octets)
    for core in _base64_cores(_dotted(octets)):
        yield "base64 of text", core
    yield "base64", b64encode(octets).rstrip(b"=")


def _forms_of_ipv6(address: ipaddress.IPv6Address | ipaddress.IPv4Address) -> Iterator[tuple[str, bytes]]:
    short, full = str(address).encode("ascii"), address.exploded.encode("ascii")
    for text in (short, full):
        yield "text", text
        yield "text", text.upper()
        yield "hyphenated", text.replace(b":", b"-")
        yield "escaped", text.replace(b":", b"%3A")
        yield "escaped", text.replace(b":", b"%3a")
        for core in _base64_cores(text):
            yield "base64 of text", core
    yield "hex", hexlify(address.packed)
    yield "hex", hexlify(address.packed).upper()
    yield "hex of text", hexlify(short)
    yield "decimal", b"%d" % int(address)
