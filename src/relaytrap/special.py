"""Addresses that belong to nobody's network: private, documentation, loopback and their like.

From the IANA special-purpose address registries (RFC 6890 and its updates) as of 2026. No table has a country for
them, and a row that says "documentation" is worth more than an empty one.
"""

import ipaddress
from functools import lru_cache
from typing import Final

__all__ = ["ORDINARY_FIRST_OCTETS", "Address", "special_name"]

SPECIAL: Final = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared by carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay anycast"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("255.255.255.255/32", "broadcast"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b:1::/48", "private"),
    ("100::/64", "discard-only"),
    ("2001:2::/48", "benchmarking"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)

# First octets under which no IPv4 address is special.
ORDINARY_FIRST_OCTETS: Final = frozenset(range(1, 224)) - {
    int(network.partition(".")[0]) for network, _ in SPECIAL if ":" not in network
}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=1)
def _networks() -> tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...]:
    parsed = [(ipaddress.ip_network(network), name) for network, name in SPECIAL]
    return tuple(sorted(parsed, key=lambda row: -row[0].prefixlen))


def special_name(address: Address) -> str:
    """What a special-purpose address is for ("private", "documentation"); empty for an ordinary one."""
    for network, name in _networks():
        if address.version == network.version and address in network:
            return name
    return ""
