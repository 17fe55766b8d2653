"""The PROXY header that a load balancer puts before a connection's octets, to say whose they are.

Versions 1 and 2 of the PROXY protocol (www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Anyone can write one.
"""

import ipaddress
import re
from typing import Final

__all__ = ["NO_SOURCE", "may_begin_proxy", "read_proxy"]

NO_SOURCE: Final = "PROXY header before this names no source"

LINE: Final = re.compile(rb"PROXY (?:TCP[46] ([\d.:A-Fa-f]++) [\d.:A-Fa-f]++ (\d{1,5}) \d{1,5}|UNKNOWN[^\r\n]*+)\r\n")
MAX_LINE: Final = 107
"""Section 2.1: the longest line of version 1."""
SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
FIXED: Final = 16
"""Octets of version 2 up to its addresses: signature, version and command, family and transport, length."""
VERSION_2, BY_ITSELF, FOR_ANOTHER = 2, 0, 1
ADDRESS_SIZES: Final = {1: 4, 2: 16}
"""Family -> octets of an address."""


def may_begin_proxy(octets: bytes) -> bool:
    """Whether a stream starts like a header that is not whole."""
    if octets.startswith(b"PROXY "):
        return b"\n" not in octets and len(octets) < MAX_LINE
    if len(octets) < FIXED:
        return SIGNATURE.startswith(octets[: len(SIGNATURE)])
    return octets.startswith(SIGNATURE) and len(octets) < _end(octets)


def read_proxy(octets: bytes) -> tuple[int, str]:
    """(where the header at the start of `octets` ends, a note of what it says); (0, "") for none."""
    if line := LINE.match(octets[:MAX_LINE]):
        address, port = line.groups()
        return line.end(), _note(address.decode(), int(port)) if address else NO_SOURCE
    if not octets.startswith(SIGNATURE) or len(octets) < FIXED or len(octets) < _end(octets):
        return 0, ""
    version, command = octets[12] >> 4, octets[12] & 0x0F
    if version != VERSION_2 or command not in (BY_ITSELF, FOR_ANOTHER):
        return 0, ""
    size, end = ADDRESS_SIZES.get(octets[13] >> 4, 0), _end(octets)
    if command == BY_ITSELF or not size or end < FIXED + 2 * size + 4:
        return end, NO_SOURCE
    ports = FIXED + 2 * size
    return end, _note(octets[FIXED : FIXED + size], octets[ports] << 8 | octets[ports + 1])


def _end(octets: bytes) -> int:
    return FIXED + (octets[14] << 8 | octets[15])


def _note(address: str | bytes, port: int) -> str:
    try:
        return f"PROXY header before this says it came from {ipaddress.ip_address(address)} port {port}"
    except ValueError:
        return NO_SOURCE
