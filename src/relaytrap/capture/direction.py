"""Which end of a captured flow is ours: the side that is asked."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from relaytrap.capture.recognition import is_response

__all__ = ["Directions", "IpNetwork"]

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_FLOWS: Final = 65_536


class Directions:
    """Decides for each message of a capture whether its destination is the local side.

    Addresses in own networks are ours, others not. Where that does not decide, the first SIP message of a flow does:
    a request goes to the local side, a response comes from it. Flows are remembered in two generations of bounded
    size, the older forgotten when the younger is full.
    """

    def __init__(self, own_networks: Sequence[IpNetwork] = (), *, max_flows: int = MAX_FLOWS) -> None:
        self._own_networks = tuple(own_networks)
        self._is_own = lru_cache(maxsize=65_536)(self._in_own_networks)
        self._max_flows = max_flows
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

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
