"""The path of one message as values: what the operator knows beforehand, the hops, and what was concluded.

Facts and claims, once and for all: the packet's source is a fact. So is what that source wrote about its own upstream
(`received`, `rport` of the Via below its own; RFC 3261 section 18.2.1, RFC 3581 section 4), as far as the source is
honest: that address is *vouched for* by the relay. All else in a message is a claim of whoever sent it.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from relaytrap.config import NetworkConfig
from relaytrap.errors import ConfigError
from relaytrap.evidence.base import Evidence
from relaytrap.kept import Kept
from relaytrap.sip.text import display

__all__ = [
    "NOT_JUDGED",
    "AddressSet",
    "Hop",
    "Path",
    "PathSetting",
    "Standing",
    "Verdict",
    "address_text",
    "inner_of",
    "is_public",
    "share_network",
    "transport_text",
]

Verdict = Literal["", "direct", "relayed", "hidden", "forged", "unknown"]
Standing = Literal["fact", "vouched", "claim", "made-up"]

IPv4Network, IPv6Address = ipaddress.IPv4Network, ipaddress.IPv6Address


# Nearly every address, and only as its canonical text; the ipaddress module takes seven times as long to tell.
OCTET: Final = rb"(?:0|1[0-9]{0,2}|2(?:[0-4][0-9]?|5[0-5]?|[6-9])?|[3-9][0-9]?)"
IPV4: Final = re.compile(rb"\.".join((OCTET,) * 4))


ADDRESS_MAX: Final = 45


def _address_text(host: bytes) -> str | None:
    if len(host) > ADDRESS_MAX:
        return None
    if IPV4.fullmatch(host):
        return host.decode("ascii")
    if b":" not in host:
        return None
    try:
        address = ipaddress.ip_address(host.decode("ascii"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


address_text: Final = Kept(_address_text, most=1 << 14, longest=ADDRESS_MAX).__getitem__
"""Canonical text of an address as it stands in a message; None for a name or anything else."""

# What cannot be the outside address of anybody: RFC 1918, loopback, link-local, carrier NAT (RFC 6598), multicast,
# "this" network and unique local IPv6. Documentation and benchmark networks count as public: laboratories live there.
NOT_PUBLIC: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
            "::/127",
            "fc00::/7",
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
# First octets of IPv4 addresses that lie in none of them.
ALL_PUBLIC: Final = frozenset(
    str(octet)
    for octet in range(256)
    if not any(network.overlaps(IPv4Network((octet << 24, 8))) for network in NOT_PUBLIC if network.version == 4)
)


def _is_public(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return address.partition(".")[0] in ALL_PUBLIC or not any(
        parsed in network for network in NOT_PUBLIC if network.version == parsed.version
    )


is_public: Final = Kept(_is_public, most=1 << 14).__getitem__
"""Whether text is an address (canonical text) that can be somebody's outside address."""


def share_network(one: str, other: str, ipv4: int, ipv6: int) -> bool:
    """Whether two addresses (canonical text) are of one family and in one network with so many leading bits."""
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    host_bits = first.max_prefixlen - (ipv4 if first.version == 4 else ipv6)
    return first.version == second.version and int(first) >> host_bits == int(second) >> host_bits


class Hop(msgspec.Struct, frozen=True):
    """One element on the path, nearest first: hops[0] handed the message to us.

    address, port: where it is, as the standing says; "" and 0 when not known. sent_by: what its own Via says, as text.
    standing: fact (our socket saw it), vouched (the hop above wrote it down), claim, or made-up (shown to be false).
    by: address of the hop that vouches; "" for none. software: what the grammar of its branch tells; "" for nothing.
    over_connection: the hop noted that the message came to it over a connection, so the address below it is real.
    """

    address: str
    port: int
    sent_by: str
    transport: str
    standing: Standing
    by: str = ""
    software: str = ""
    over_connection: bool = False


class Path(NamedTuple):
    """What one message says of its way to us.

    verdict: "direct" (from the source itself), "relayed" (the source handed it on and says for whom), "hidden" (it was
        handed on and the source hides for whom), "forged" (direct, with made-up hops), "unknown", or "" (not judged).
    relay: the source, when it handed on. origin: the furthest address that is vouched for; None when nobody vouches.
    origin_port: 0 when unknown. chain: the relays between `relay` and `origin`, nearest first, "" for one that only the
    relay above it can reach and that is a part of it; `origin` is then only as good as each of them. claim: an address
    that only claims name and that may lie further back; None for none.
    kind: what this message tells of the relay (see docs/reference/evidence-rules.md); "" for nothing.
    mask: hops masked with a secret key, for evidence.topology_hiding; b"" otherwise.
    start: Max-Forwards the sender must have started with if every hop counted; -1 unknown.
    """

    verdict: Verdict
    confidence: int = 0
    relay: str | None = None
    origin: str | None = None
    origin_port: int = 0
    chain: tuple[str, ...] = ()
    claim: str | None = None
    kind: str = ""
    mask: bytes = b""
    start: int = -1
    hops: tuple[Hop, ...] = ()
    evidence: tuple[Evidence, ...] = ()


NOT_JUDGED: Final = Path("")


def inner_of(chain: Sequence[str]) -> str:
    """The relay in a chain that comes next after the one that handed the message to us; "" when there is none."""
    return next(filter(None, chain), "")


TRANSPORTS: Final = {name.encode(): name for name in ("UDP", "TCP", "TLS", "WS", "WSS", "SCTP")}


def transport_text(transport: bytes) -> str:
    """A Via's transport as a hop shows it."""
    return TRANSPORTS.get(transport) or display(transport)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressSet:
    """Addresses and networks to look addresses up in; answers about networks are kept.

    is_empty: whether there is nothing to look up, as with most operators; asked first, since every message would ask.
    """

    def __init__(self, given: Iterable[str], setting: str) -> None:
        """Raises ConfigError naming the setting and the text that is no address or network."""
        self._exact: set[str] = set()
        self._networks: list[Network] = []
        self._asked: dict[str, bool] = {}
        self.is_empty = True
        for text in given:
            try:
                parsed = ipaddress.ip_network(text.strip().strip("[]"), strict=False)
            except ValueError:
                raise ConfigError(
                    f"{setting}: {text!r} is no address or network; write 192.0.2.7 or 192.0.2.0/24"
                ) from None
            if parsed.num_addresses == 1:
                self._exact.add(str(parsed.network_address))
            else:
                self._networks.append(parsed)
            self.is_empty = False

    def __contains__(self, address: str) -> bool:
        if not self._networks or address in self._exact:
            return address in self._exact
        if (said := self._asked.get(address)) is None:
            try:
                parsed = ipaddress.ip_address(address)
            except ValueError:
                return False
            said = any(parsed in network for network in self._networks if network.version == parsed.version)
            if len(self._asked) < 1 << 16:
                self._asked[address] = said
        return said


@dataclass(frozen=True, slots=True)
class PathSetting:
    """What the operator knows beforehand.

    known: proxies that forward for us; never relays. own: our own networks: a known proxy inside them is our edge, and
    what stands behind it is judged. own_domains: lower-case names that a request for us may carry.
    """

    known: AddressSet = field(default_factory=lambda: AddressSet((), ""))
    own: AddressSet = field(default_factory=lambda: AddressSet((), ""))
    own_domains: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, network: NetworkConfig) -> "PathSetting":
        """The setting of `[network]`; raises ConfigError naming an entry that is no address or network."""
        return cls(
            AddressSet(network.known_proxies, "network.known_proxies"),
            AddressSet(network.own_networks, "network.own_networks"),
            frozenset(domain.strip().lower().removesuffix(".").encode() for domain in network.own_domains),
        )
