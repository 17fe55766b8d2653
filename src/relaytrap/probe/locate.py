"""Where a domain's SIP servers are: NAPTR, SRV, A and AAAA (RFC 3263), every one and not the first that answers.

A client needs one server that works; a test needs all, as the one that was forgotten is the one that is open.
"""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relaytrap.errors import InputError

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

__all__ = ["ServiceRecord", "find_addresses", "find_services", "open_resolver"]

DNS_TIMEOUT_S = 3.0
# For NAPTR, SRV and hosts together, which are asked one after the other.
SERVICES_TIMEOUT_S = 3 * DNS_TIMEOUT_S
# Whose records these are is not proved yet: a zone that names thousands would have us ask for them all.
SRV_NAMES_MAX = 4
RECORDS_MAX = 16
HOSTS_MAX = 16
# IANA's table: RFC 3263 section 4.1, RFC 7118 for WebSocket.
NAPTR_TRANSPORTS = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls", "SIP+D2W": "ws", "SIPS+D2W": "wss"}
SRV_NAMES = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp", "ws": "_sip._ws", "wss": "_sips._ws"}


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A server that DNS names for a transport. addresses: none when its name does not resolve."""

    transport: str
    host: str
    port: int
    addresses: tuple[str, ...]


def open_resolver(name_server: tuple[str, int] | None) -> "Resolver | None":
    """The system's resolver, or one that asks a name server alone; None when the system has none."""
    from dns.asyncresolver import Resolver
    from dns.resolver import NoResolverConfiguration

    try:
        resolver = Resolver(configure=name_server is None)
    except NoResolverConfiguration:
        return None
    if name_server:
        resolver.nameservers, resolver.port = [name_server[0]], name_server[1]
    resolver.lifetime = DNS_TIMEOUT_S
    return resolver


async def find_services(
    domain: str, transports: Sequence[str], resolver: "Resolver"
) -> tuple[list[ServiceRecord], list[str]]:
    """A domain's services by transport, the most wanted first, and sentences on what is beyond the limits.

    No services when it has no such records. Raises InputError with one sentence when its name servers take too long.
    """
    try:
        async with asyncio.timeout(SERVICES_TIMEOUT_S):
            return await _find_services(domain, transports, resolver)
    except TimeoutError:
        raise InputError(f"{domain}: its name servers take too long to say where it is; give an address") from None


async def _find_services(
    domain: str, transports: Sequence[str], resolver: "Resolver"
) -> tuple[list[ServiceRecord], list[str]]:
    named = await _naptr_names(domain, resolver)
    asked = [
        (transport, name)
        for transport in transports
        for name in named.get(transport, [f"{SRV_NAMES[transport]}.{domain}"])[:SRV_NAMES_MAX]
    ]
    records = await asyncio.gather(*(_records(name, "SRV", resolver) for _, name in asked))
    found = [
        (transport, str(record.target).rstrip("."), int(record.port))
        for (transport, _), answer in zip(asked, records, strict=True)
        for record in sorted(answer, key=lambda each: (each.priority, -each.weight))
        if str(record.target) != "."  # "decidedly not available" (RFC 2782)
    ]
    found, beyond = _within_limits(list(dict.fromkeys(found)))
    hosts = list(dict.fromkeys(host for _, host, _ in found))
    addresses = dict(zip(hosts, await asyncio.gather(*(_ask_addresses(host, resolver) for host in hosts)), strict=True))
    more = sum(len(names) > SRV_NAMES_MAX for transport, names in named.items() if transport in transports)
    left_out = [f"{domain}'s NAPTR records name more than {SRV_NAMES_MAX} services of one transport"] if more else []
    left_out += [f"{len(beyond)} of {domain}'s service records are beyond what a test looks up"] if beyond else []
    return [ServiceRecord(transport, host, port, addresses[host]) for transport, host, port in found], left_out


def _within_limits(
    services: list[tuple[str, str, int]],
) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]:
    """Services (transport, host, port) to look up, and those that are too many."""
    hosts: set[str] = set()
    taken: Counter[str] = Counter()
    within, beyond = [], []
    for service in services:
        transport, host, _ = service
        if taken[transport] < RECORDS_MAX and (host in hosts or len(hosts) < HOSTS_MAX):
            hosts.add(host)
            taken[transport] += 1
            within.append(service)
        else:
            beyond.append(service)
    return within, beyond


async def find_addresses(host: str, resolver: "Resolver | None") -> tuple[str, ...]:
    """A host's addresses of both IP versions, canonical. Raises InputError with one sentence when it has none.

    resolver: None to ask as every program of this machine does, its hosts file included.
    """
    reason = "no such name"
    found: tuple[str, ...] = ()
    try:
        async with asyncio.timeout(2 * DNS_TIMEOUT_S):
            if resolver:
                found = await _ask_addresses(host, resolver)
            else:
                infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
                found = tuple(dict.fromkeys(_canonical(str(info[4][0])) for info in infos))
    except TimeoutError:
        reason = "the name server does not answer"
    except (OSError, UnicodeError):
        pass
    if not found:
        raise InputError(f"{host} does not resolve ({reason}); check the name, or give an address")
    return found


async def _naptr_names(domain: str, resolver: "Resolver") -> dict[str, list[str]]:
    """SRV names by transport, as the domain's NAPTR records have them."""
    names: dict[str, list[str]] = {}
    answer = await _records(domain, "NAPTR", resolver)
    for record in sorted(answer, key=lambda each: (each.order, each.preference)):
        transport = NAPTR_TRANSPORTS.get(record.service.decode("ascii", "replace").upper())
        if transport and record.flags.lower() == b"s":
            names.setdefault(transport, []).append(str(record.replacement).rstrip("."))
    return names


async def _ask_addresses(host: str, resolver: "Resolver") -> tuple[str, ...]:
    """IPv4 first, each version in its own order: name servers turn theirs, and a test repeated shall test the same."""
    answers = await asyncio.gather(*(_records(host, kind, resolver) for kind in ("A", "AAAA")))
    found = (ipaddress.ip_address(str(record.address)) for answer in answers for record in answer)
    return tuple(str(each) for each in sorted(found, key=lambda each: (each.version, each)))


async def _records(name: str, kind: str, resolver: "Resolver") -> list[Any]:
    """Records of a name; none when there are none or nobody answers."""
    from dns.exception import DNSException

    try:
        return list(await resolver.resolve(name, kind))
    except (DNSException, OSError, UnicodeError):
        return []


def _canonical(address: str) -> str:
    return str(ipaddress.ip_address(address.partition("%")[0]))
