"""What the operator says is theirs, and whom an address belongs to under it.

Nothing is guessed: without `own_networks` nobody can be told from a stranger, and the guard says so instead of calling
somebody one.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from relaytrap.config import Config, NetworkConfig
from relaytrap.errors import ConfigError
from relaytrap.evidence.dialplan import DialledNumber, read_number
from relaytrap.evidence.path import AddressSet, PathSetting, address_text

__all__ = ["Party", "Policy"]

Party = Literal["own", "known", "trunk", "stranger"]
NAMES_MAX: Final = 256
WIDEST: Final = {4: 8, 6: 7}
"""The shortest prefix by version that one operator can own: 10.0.0.0/8, fc00::/7."""
DOMAIN: Final = re.compile(r"[\w.-]+|\[?[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]?")
"""A name as a URI has it, by its letters alone, or an address."""


def _nowhere(address: str) -> str:
    return ""


@dataclass(slots=True)
class Policy:
    """The settings as a guard asks them.

    paths: what the evidence room is told of own networks, own domains and known proxies. region_of: country of an
    address, where `home_region` is empty. own_names: how our own edge calls itself (its public address behind a
    translation, mostly), learned from the Vias that it writes.
    """

    paths: PathSetting = field(default_factory=PathSetting)
    trunks: AddressSet = field(default_factory=lambda: AddressSet((), ""))
    own_numbers: tuple[str, ...] = ()
    home_region: str = ""
    expected_hops: int = 0
    scan_targets: int = 10
    region_of: Callable[[str], str] = _nowhere
    own_names: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, config: Config, region_of: Callable[[str], str] = _nowhere) -> "Policy":
        """Of the settings; raises ConfigError naming an entry that cannot be used."""
        paths = PathSetting.of(config.network)
        _check_own(config.network)
        for prefix in config.guard.own_numbers:
            if not prefix.startswith("+") or not prefix[1:].isdigit() or not prefix.isascii():
                raise ConfigError(f"guard.own_numbers: {prefix!r} is no beginning of a number; write +4420")
        return cls(
            paths,
            AddressSet(config.guard.trunks, "guard.trunks"),
            config.guard.own_numbers,
            config.network.home_region.upper(),
            config.guard.expected_hops,
            config.guard.scan_targets,
            region_of,
        )

    @property
    def knows_own(self) -> bool:
        """Whether strangers can be told at all."""
        return not self.paths.own.is_empty

    @property
    def knows_domains(self) -> bool:
        """Whether a domain can be told to be none of ours."""
        return bool(self.paths.own_domains)

    def party(self, address: str) -> Party:
        """Whose an address is."""
        if address in self.paths.own:
            return "own"
        if address in self.trunks:
            return "trunk"
        return "known" if address in self.paths.known else "stranger"

    def learn_name(self, name: bytes) -> None:
        """A name or address that our own edge goes by, unless it says nothing new or is a browser's for one day."""
        name = name.lower().removesuffix(b".")
        if len(self.own_names) < NAMES_MAX and not name.endswith(b".invalid") and not self.is_ours(name):
            self.own_names.add(name)

    def is_ours(self, host: bytes) -> bool:
        """Whether a host in a URI is a domain, address or name of ours."""
        host = host.lower().removesuffix(b".")
        if host in self.paths.own_domains or host in self.own_names:
            return True
        address = address_text(host)
        return address is not None and address in self.paths.own

    def number_abroad(self, user: bytes | None, edge: str) -> DialledNumber | None:
        """The number in another country that a user part dials at an edge; None for any other, or when unknown.

        Digits without a way out in front are none: extensions and customer numbers look like that.
        """
        region = self.home_region or self.region_of(edge)
        number = self._number(user, region)
        if number is None or not number.international_prefix or number.country == region or self._is_own(number):
            return None
        return number

    def is_own_number(self, user: bytes | None, edge: str) -> bool:
        """Whether a user part dials a number of ours."""
        number = self._number(user, self.home_region or self.region_of(edge))
        return number is not None and self._is_own(number)

    def _number(self, user: bytes | None, region: str) -> DialledNumber | None:
        number = read_number(user, region) if user and region else None
        return number if number is not None and number.valid else None

    def _is_own(self, number: DialledNumber) -> bool:
        return bool(self.own_numbers) and number.e164.startswith(self.own_numbers)

    def gaps(self) -> Iterator[str]:
        """What cannot be known under this policy, in sentences that say which setting would tell."""
        if not self.knows_own:
            yield "Who is a stranger: set network.own_networks to the edge's addresses and those of your users."
        if not self.knows_domains:
            yield "Which domains are not yours: set network.own_domains."
        if self.trunks.is_empty:
            yield "Which ways lead to the telephone network, and who may use them: set guard.trunks."
        if not self.expected_hops:
            yield "Whether a request came through more hops than it should: set guard.expected_hops."


def _check_own(network: NetworkConfig) -> None:
    """Raise ConfigError for what can be read and would keep the guard silent, or make it accuse our own."""
    for text in network.own_networks:
        own = ipaddress.ip_network(text.strip().strip("[]"), strict=False)
        if own.prefixlen < WIDEST[own.version]:
            raise ConfigError(f"network.own_networks: {text!r} leaves hardly any stranger; name your own networks")
    for domain in network.own_domains:
        if not DOMAIN.fullmatch(domain.strip()):
            raise ConfigError(f"network.own_domains: {domain!r} is no domain; write example.com, each name by itself")
