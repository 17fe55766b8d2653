"""Flow: between whom one message travelled, and whether anybody there may be answered."""

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from typing import Final, NamedTuple

from relaytrap.observation import Transport

__all__ = ["Flow"]

REFLECTING_PORTS: Final = frozenset(
    {0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 138, 161, 389, 427, 520, 1900, 3702, 5353, 11211}
)
"""Services that answer whatever comes: a datagram from there is a forgery, and an answer might begin a loop."""


class Flow(NamedTuple):
    """Transport and both endpoints as the socket saw them, addresses in canonical text. Answers take it backwards."""

    transport: Transport
    source: str
    source_port: int
    local: str
    local_port: int

    @property
    def is_connected(self) -> bool:
        """Whether a handshake has shown that the source really receives at its address."""
        return self.transport != "udp"

    def may_be_answered(self, own_ports: Collection[int]) -> bool:
        """Whether a datagram's source can be a single host that asked, and is not ourselves."""
        if self.source_port in REFLECTING_PORTS or not _is_host(self.source) or not _is_host(self.local):
            return False
        return not (self.source == self.local and self.source_port in own_ports)


@lru_cache(maxsize=1 << 15)
def _is_host(address: str) -> bool:
    """Whether an address can belong to one host. Loopback and private ones can: laboratories use them."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_multicast or parsed.is_unspecified:
        return False
    # 0.0.0.0/8 and 240.0.0.0/4 with the broadcast address (RFC 6890).
    return parsed.version == 6 or 0 < int(parsed) >> 24 < 240
