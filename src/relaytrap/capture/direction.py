"""Which end of a captured flow is ours: the side that is asked."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from relaytrap.capture.recognition import is_response
from relaytrap.errors import ConfigError

__all__ = ["Directions", "IpNetwork", "parse_networks"]

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_FLOWS: Final = 65_536


def parse_networks(texts: Sequence[str]) -> tuple[IpNetwork, ...]:
    """What `[network] own_networks` names. Raises ConfigError for what is no network."""
    try:
        return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts)
    except ValueError as error:
        raise ConfigError(f"network.own_networks: {error}; write 192.0.2.0/24 or 2001:db8::/32") from None


class Directions:
    """Decides for each message of a capture whether its destination is the local side.

    Addresses in own networks are ours, others not. Where that does not decide, the first SIP message of a flow does:
    a request goes to the local side, a response comes from it. Flows are remembered in two generations of bounded
    size, the older forgotten when the younger is full.
    """

    def __init__(self, own_networks: Sequence[IpNetwork] = (), *, max_flows: int = MAX_FLOWS) -> None:
        self._is_own = lru_cache(maxsize=65_536)(self._in_own_networks)
        self.set_own_networks(own_networks)
        self._max_flows = max_flows
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def set_own_networks(self, networks: Sequence[IpNetwork]) -> None:
        """Take these for ours from now on."""
        self._own_networks = tuple(networks)
        self._is_own.cache_clear()

    def inward(
        self, source: bytes, source_port: int, destination: bytes, destination_port: int, message: bytes
    ) -> bool:
        """Whether a message between these packed addresses comes in (True) or goes out (False)."""
        if self._own_networks:
            own = self._is_own(destination)
            if own != self._is_own(source):
                return own
        sender = source + source_port.to_bytes(2, "big")
        receiver = destination + destination_port.to_bytes(2, "big")
        flow = sender + receiver if sender < receiver else receiver + sender
        local = self._young.get(flow)
        if local is None:
            local = self._old.get(flow)
            if local is None:
                local = sender if is_response(message) else receiver
            self._remember(flow, local)
        return local == receiver

    def _remember(self, flow: bytes, local: bytes) -> None:
        if len(self._young) >= self._max_flows:
            self._old, self._young = self._young, {}
        self._young[flow] = local

    def _in_own_networks(self, packed: bytes) -> bool:
        address = ipaddress.ip_address(packed)
        return any(address in network for network in self._own_networks if network.version == address.version)
