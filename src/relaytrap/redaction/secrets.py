"""What is secret: sensors' addresses and names, networks and domains of the operator's own, and their pseudonyms."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from relaytrap.errors import InputError

__all__ = ["ADDRESSES_MAX", "OWN", "Secrets"]

ADDRESSES_MAX: Final = 16_384
"""Each is looked for in some thirty forms."""

OWN: Final = "our-server"
"""The pseudonym of what is ours and belongs to no sensor."""

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE: Final = ipaddress.IPv6Network("::/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must not be published.

    addresses: canonical address → pseudonym of the sensor that has it. sensors: name → pseudonym. networks: every
    address in them is ours. names: domains and other text of ours, in lower case.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    sensors: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[Network, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        places: Iterable[Mapping[str, Any]],
        *,
        networks: Iterable[str] = (),
        names: Iterable[str] = (),
    ) -> Self:
        """The secrets of an installation.

        places: rows with `sensor` and `address`, as the question `places` gives them. networks, names: what else is
        the operator's: addresses and networks, domains and any other text.

        Raises InputError when there are more addresses than can be looked for: nothing is published half redacted.
        """
        rows = list(places)
        known = sorted({row["sensor"] for row in rows})
        sensors = {name: f"sensor-{number}" for number, name in enumerate(known, 1)}
        addresses: dict[str, str] = {}
        for row in rows:
            addresses.setdefault(_canonical(row["address"]), sensors[row["sensor"]])
        wide: list[Network] = []
        for text in networks:
            network = ipaddress.ip_network(text, strict=False)
            if len(addresses) + network.num_addresses <= ADDRESSES_MAX:
                for each in network:
                    addresses.setdefault(str(each), OWN)
            wide.append(network)
        if len(addresses) > ADDRESSES_MAX:
            raise InputError(
                f"sensors have {len(addresses):,} addresses, and at most {ADDRESSES_MAX:,} can be looked for in every "
                "form; redact each sensor's messages by themselves, or publish nothing of them"
            )
        return cls(addresses, sensors, tuple(wide), tuple(name.lower() for name in names if name))

    def whose(self, address: str) -> str:
        """The pseudonym that stands for an address; "" for one that is no secret. Any spelling will do."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return ""
        if isinstance(parsed, ipaddress.IPv6Address):
            within = _within(parsed)
            parsed = parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))
        else:
            within = None
        if found := self.addresses.get(str(parsed)):
            return found
        if any(parsed.version == each.version and parsed in each for each in self.networks):
            return OWN
        return self.whose(str(within)) if within else ""


def _canonical(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _within(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address is made of: 6to4, Teredo, NAT64, or with nothing before it."""
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    is_made = address in NAT64 or (address in COMPATIBLE and int(address) >> 16)
    return ipaddress.IPv4Address(address.packed[-4:]) if is_made else None
