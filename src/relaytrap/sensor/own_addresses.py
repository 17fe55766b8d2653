"""The addresses that this machine answers for, whole routed prefixes included, from the kernel's tables.

/proc/self/net/fib_trie for IPv4 and ipv6_route beside it for IPv6: both name local routes, and so every address of an
interface.
"""

import ipaddress
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from relaytrap.capture.direction import IpNetwork

__all__ = ["own_networks", "parse_fib_trie", "parse_ipv6_routes"]

LEAF: Final = re.compile(r"\s*\|-- (\d+\.\d+\.\d+\.\d+)\s*")
LOCAL: Final = re.compile(r"\s*/(\d+) host LOCAL\s*")
RTF_LOCAL: Final = 0x80000000


def own_networks(proc: Path = Path("/proc/self/net")) -> frozenset[IpNetwork]:
    """Networks that are ours at this moment; what the kernel does not tell is left out."""
    found: set[IpNetwork] = set()
    with suppress(OSError, UnicodeDecodeError):
        found |= parse_fib_trie((proc / "fib_trie").read_text(encoding="ascii"))
    with suppress(OSError, UnicodeDecodeError):
        found |= parse_ipv6_routes((proc / "ipv6_route").read_text(encoding="ascii"))
    return frozenset(found)


def parse_fib_trie(text: str) -> set[IpNetwork]:
    """Local networks of the IPv4 table: under each leaf stand its prefixes."""
    found: set[IpNetwork] = set()
    leaf = ""
    for line in text.splitlines():
        if match := LEAF.fullmatch(line):
            leaf = match[1]
        elif leaf and (match := LOCAL.fullmatch(line)):
            with suppress(ValueError):
                found.add(ipaddress.IPv4Network(f"{leaf}/{match[1]}"))
    return found


def parse_ipv6_routes(text: str) -> set[IpNetwork]:
    """Local networks of the IPv6 table: destination, its length (hexadecimal), …, flags, interface."""
    found: set[IpNetwork] = set()
    for line in text.splitlines():
        columns = line.split()
        with suppress(ValueError, IndexError):
            if int(columns[8], 16) & RTF_LOCAL:
                destination = int(columns[0], 16), int(columns[1], 16)
                found.add(ipaddress.IPv6Network(destination))
    return found
