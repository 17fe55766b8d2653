"""Which server, where exactly, and whether it may be tested. Resolution follows RFC 3263.

Addresses are checked after resolution, and the same check runs again when a probe is sent: a name that changes its
address in between gains nothing.
"""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass

from relaytrap.errors import InputError

__all__ = ["TRANSPORTS", "Endpoint", "Target", "refusal", "resolve_target"]

TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")
# Where servers of the field listen by default: RFC 3261 section 18; WebSocket ports of Kamailio's, Asterisk's and
# FreeSWITCH's own documentation, then the web's.
DEFAULT_PORTS = {
    "udp": (5060,),
    "tcp": (5060,),
    "tls": (5061,),
    "ws": (8080, 8088, 5066, 80),
    "wss": (8443, 8089, 7443, 443),
}
SRV_NAMES = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp", "ws": "_sip._ws", "wss": "_sips._ws"}
DNS_TIMEOUT_S = 3.0
# RFC 3261 section 25.1, hostname; `_` is none of its, and in the field all the same.
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port by one transport."""

    transport: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """What the user named, and the endpoints that it stands for. domain: the server's domain for From tricks."""

    named: str
    domain: str
    endpoints: tuple[Endpoint, ...]

    @property
    def address(self) -> str:
        """The address that probes go to first."""
        return self.endpoints[0].address

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that would be tested: service records may lead to several, and to somebody else's."""
        return tuple(sorted({endpoint.address for endpoint in self.endpoints}))

    @property
    def host(self) -> str:
        """What the user named, without a port."""
        match = HOST_PORT.fullmatch(self.named.strip())
        return (match["v6"] or match["host"]) if match else self.named


def refusal(address: str, *, private_allowed: bool) -> str:
    """Why an address may not be probed, as the end of a sentence; "" when it may.

    private_allowed: the command line may test a server on its user's own network; the web page may not.
    """
    ip = _reached(ipaddress.ip_address(address))
    if ip.is_multicast:
        return "is a multicast address"
    if ip.is_unspecified or ip == ipaddress.ip_address("255.255.255.255"):
        return "is no host's address"
    if not private_allowed and not ip.is_global:
        return "is a private or reserved address"
    return ""


def _reached(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64); otherwise itself."""
    if ip.version == 4:
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


async def resolve_target(
    text: str, *, transports: tuple[str, ...] = TRANSPORTS, domain: str = "", private_allowed: bool = True
) -> Target:
    """The endpoints of HOST, HOST:PORT or [IPV6]:PORT.

    domain: the server's own domain when it differs from the name.
    Raises InputError with one sentence when the text is no host, does not resolve, or may not be probed.
    """
    match = HOST_PORT.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"{text!r} is not a host; write NAME, ADDRESS or [IPV6], with :PORT if it is not the usual one"
        )
    host, port = match["v6"] or match["host"], int(match["port"] or 0)
    if port > 65535:
        raise InputError(f"{text!r}: there is no port {port}")
    host = _name_of(host)
    domain = _name_of(domain.strip()) if domain.strip() else host
    places = {} if port or _is_address(host) else await _services(host, transports)
    address = await _address_of(host, required=not places)
    endpoints = [place for transport in transports for place in _endpoints(transport, port, address, places)]
    for endpoint in endpoints:
        if why := refusal(endpoint.address, private_allowed=private_allowed):
            raise InputError(f"{text} will not be tested: {endpoint.address} {why}")
    return Target(text, domain, tuple(endpoints))


def _name_of(host: str) -> str:
    """A host as it may stand in a URI: an address, or a name in ASCII (RFC 5891). Raises InputError when it is none."""
    bare = host.removeprefix("[").removesuffix("]")
    if _is_address(bare) and "%" not in bare:
        return str(ipaddress.ip_address(bare))
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not NAME.fullmatch(name):
        raise InputError(f"{host!r} is no host name; write it as pbx.example.com")
    return name


def _endpoints(transport: str, port: int, address: str, places: dict[str, tuple[str, int]]) -> list[Endpoint]:
    if transport in places:
        return [Endpoint(transport, *places[transport])]
    if not address or (places and transport in ("udp", "tcp")):
        return []
    if port and transport in ("udp", "tcp"):
        return [Endpoint(transport, address, port)]
    return [Endpoint(transport, address, each) for each in DEFAULT_PORTS[transport]]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _address_of(host: str, *, required: bool) -> str:
    """The first address of a host, canonical; "" when it has none and need not."""
    try:
        async with asyncio.timeout(2 * DNS_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        if required:
            reason = "the name server does not answer" if isinstance(error, TimeoutError) else "no such name"
            raise InputError(f"{host} does not resolve ({reason}); check the name, or give an address") from None
        return ""
    return str(ipaddress.ip_address(str(found[0][4][0]).partition("%")[0]))


async def _services(domain: str, transports: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """SRV services of a domain by transport (RFC 3263 section 4.2); NAPTR says which transports to ask for."""
    from dns.asyncresolver import Resolver
    from dns.exception import DNSException
    from dns.resolver import NoResolverConfiguration

    try:
        resolver = Resolver()
    except NoResolverConfiguration:
        return {}
    resolver.lifetime = DNS_TIMEOUT_S

    async def service(transport: str) -> tuple[str, tuple[str, int]] | None:
        try:
            answer = await resolver.resolve(f"{SRV_NAMES[transport]}.{domain}", "SRV")
            first = min(answer, key=lambda record: (record.priority, -record.weight))
            address = await _address_of(str(first.target).rstrip("."), required=False)
        except (DNSException, OSError):
            return None
        return (transport, (address, int(first.port))) if address else None

    return dict(found for found in await asyncio.gather(*map(service, transports)) if found)
