"""An address's country and network: the operator's own names first, then their tables, then the bundled ones."""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from socket import AF_INET, inet_pton
from typing import Final, NamedTuple

from relaytrap.config import EnrichConfig, NetworkConfig, NetworkName
from relaytrap.enrich.tables import Kind, Table, open_bundled, open_operators, record_asn, record_country
from relaytrap.errors import ConfigError
from relaytrap.special import ORDINARY_FIRST_OCTETS, Address, special_name

__all__ = ["Enricher", "Network"]

CACHED_ADDRESSES: Final = 1 << 13


class Network(NamedTuple):
    """What the tables say of an address.

    country: ISO 3166-1 alpha-2, "" when unknown. asn: 0 when unknown. name: the holder of the AS, the operator's own
    name for the network, or what a special-purpose address is for ("private", "documentation").
    source: where that came from: "names" (the operator's), a table's source, "special", or "" for nothing known.
    """

    country: str = ""
    asn: int = 0
    name: str = ""
    source: str = ""


UNKNOWN: Final = Network()
# What Network(...) does, without a call of Python code.
_new: Final = tuple.__new__


@dataclass(frozen=True, slots=True)
class _Names:
    """The operator's `[[network.names]]`, by IP version and prefix length, longest first."""

    lengths: tuple[tuple[int, int, dict[int, NetworkName]], ...]

    @classmethod
    def parse(cls, rows: Iterable[NetworkName]) -> "_Names":
        tables: dict[tuple[int, int], dict[int, NetworkName]] = {}
        for row in rows:
            try:
                network = ipaddress.ip_network(row.network.strip(), strict=False)
            except ValueError:
                raise ConfigError(
                    f"network.names: {row.network!r} is not a network; write it like 192.0.2.0/24 or 2001:db8::/32"
                ) from None
            if row.country and not (len(row.country) == 2 and row.country.isascii() and row.country.isalpha()):
                raise ConfigError(
                    f"network.names: country {row.country!r} of {row.network} is not a two-letter ISO 3166 code"
                )
            shift = network.max_prefixlen - network.prefixlen
            tables.setdefault((network.version, shift), {})[int(network.network_address) >> shift] = row
        return cls(tuple((version, shift, rows) for (version, shift), rows in sorted(tables.items())))

    def find(self, address: Address) -> NetworkName | None:
        number, wanted = int(address), address.version
        for version, shift, rows in self.lengths:
            if version == wanted and (row := rows.get(number >> shift)) is not None:
                return row
        return None


class Enricher:
    """Looks addresses up; answers are cached by value, so asking again costs next to nothing."""

    network: Callable[[str], Network]
    """Country and network of an address in any textual form; empty values for what is no address."""

    def __init__(self, tables: tuple[Table, ...], names: _Names) -> None:
        self.tables = tables
        self._countries = tuple(table for table in tables if table.kind == "country")
        self._systems = tuple(table for table in tables if table.kind == "asn")
        self._names = names
        self.network = lru_cache(maxsize=CACHED_ADDRESSES)(self._look_up)

    @classmethod
    def open(cls, enrich: EnrichConfig, network: NetworkConfig, cache_dir: Path | None = None) -> "Enricher":
        """Opens the operator's tables and the bundled ones.

        cache_dir: where the bundled tables are unpacked once (some directory under the data directory).
        Raises ConfigError for a table or network name that cannot be used.
        """
        names = _Names.parse(network.names)
        named: tuple[tuple[Kind, str], ...] = (("country", enrich.country_mmdb), ("asn", enrich.asn_mmdb))
        tables = [open_operators(kind, path) for kind, path in named if path]
        tables += [open_bundled(kind, cache_dir) for kind, _ in named]
        return cls(tuple(tables), names)

    @property
    def data_date(self) -> str:
        """Day of the oldest table in use, YYYY-MM-DD: nothing shown is older news than this."""
        return min(table.date for table in self.tables)

    def _look_up(self, text: str) -> Network:
        # The reader parses plain IPv4 text far faster than the ipaddress module, and most sources are ordinary. It
        # takes "1.2.3" for an address as well, and inet_pton does not (0.10 us; a pattern 0.27).
        if not self._names.lengths:
            try:
                first_octet = inet_pton(AF_INET, text)[0]
            except (OSError, ValueError):
                pass
            else:
                found = self._from_tables(text)
                if found is not UNKNOWN or first_octet in ORDINARY_FIRST_OCTETS:
                    return found
        try:
            address: Address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return UNKNOWN
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return self._with_names(address, self._from_tables(str(address)))

    def _with_names(self, address: Address, found: Network) -> Network:
        own = self._names.find(address)
        if own is not None:
            return Network(own.country.upper() or found.country, own.asn or found.asn, own.name or found.name, "names")
        if found is UNKNOWN and (special := special_name(address)):
            return Network(name=special, source="special")
        return found

    def _from_tables(self, text: str) -> Network:
        """From the first table of each kind that knows the address."""
        code, asn, name, source = "", 0, "", ""
        for table in self._countries:
            if code := record_country(table.find(text)):
                source = table.source
                break
        for table in self._systems:
            asn, name = record_asn(table.find(text))
            if asn:
                return _new(Network, (code, asn, name, source or table.source))
        return _new(Network, (code, 0, "", source)) if code else UNKNOWN
