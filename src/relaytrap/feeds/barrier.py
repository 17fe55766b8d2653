"""Who never stands in a feed, whatever the packets say.

A firewall that blocks a carrier, a customer or its own machines does more harm than any scanner. So every address of a
feed passes here, and what was seen of it makes no difference.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from relaytrap.errors import ConfigError
from relaytrap.special import special_name

__all__ = ["Barrier"]

Network = IPv4Network | IPv6Network

# Only there are addresses of hosts (RFC 4291 2.4), and some of them only wrap an IPv4 address, which anybody writes
# (RFC 3056, RFC 4380).
UNICAST: Final = ip_network("2000::/3")
WRAPPED: Final = {ip_network("2001::/23"): "protocol assignments", ip_network("2002::/16"): "6to4"}
# What the sample's addresses are; they pass when somebody tries feeds with it.
SAMPLE: Final = frozenset({"documentation", "benchmarking"})


class Barrier:
    """Tells why an address may not stand in a feed.

    kept: reason → addresses and networks for which it counts, as an operator writes them. sample: let documentation and
    benchmarking addresses pass, which are all that the sample has. Raises ConfigError for what is no network.
    """

    def __init__(self, kept: Mapping[str, Iterable[str]], *, sample: bool = False) -> None:
        self._sample = sample
        self._lengths: dict[tuple[int, int], dict[int, str]] = {}
        for reason, networks in kept.items():
            for text in networks:
                network = _network(reason, text)
                shift = network.max_prefixlen - network.prefixlen
                rows = self._lengths.setdefault((network.version, shift), {})
                rows.setdefault(int(network.network_address) >> shift, reason)

    def reason(self, text: str) -> str:
        """Why this address stays out ("private", "sensor", ...); "" for one that may pass."""
        try:
            address = ip_address(text)
        except ValueError:
            return "no address"
        if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
            return "no address"  # a feed has IPv4 as IPv4
        return self._kept(address) or self._special(address)

    def _kept(self, address: IPv4Address | IPv6Address) -> str:
        number = int(address)
        for (version, shift), rows in self._lengths.items():
            if version == address.version and (found := rows.get(number >> shift)):
                return found
        return ""

    def _special(self, address: IPv4Address | IPv6Address) -> str:
        name = special_name(address)
        if name:
            return "" if self._sample and name in SAMPLE else name
        if isinstance(address, IPv6Address):
            if address not in UNICAST:
                return "reserved"
            return next((why for network, why in WRAPPED.items() if address in network), "")
        return "" if address.is_global else "reserved"


def _network(setting: str, text: str) -> Network:
    """An address or a network; IPv4 that was written as IPv6 as IPv4."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ConfigError(
            f"{setting}: {text!r} is no address or network; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
        ) from None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    return network
