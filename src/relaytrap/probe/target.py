"""Which server, where exactly, and whether it may be tested. Resolution follows RFC 3263.

Addresses are checked after resolution, and the same check runs again when a probe is sent: a name that changes its
address in between gains nothing.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from relaytrap.errors import InputError
from relaytrap.probe.locate import ServiceRecord, find_addresses, find_services, open_resolver

__all__ = [
    "TRANSPORTS",
    "Endpoint",
    "Target",
    "check_host",
    "host_of",
    "reached",
    "refusal",
    "resolve_target",
    "version_of",
]

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
# Each costs as many probes as a server; a name with more is somebody's cluster.
ADDRESSES_MAX = 4
# RFC 3261 section 25.1, hostname; `_` is none of its, and in the field all the same.
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# What the world's IPv6 addresses begin with (RFC 4291 section 2.4). Python takes all else that is in no special range
# for public: site-local fec0::/10 (RFC 3879), and 64:ff9b:1::/48 for a network's own NAT64 (RFC 8215).
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port by one transport. guessed: nobody named the port; servers of the field often have it."""

    transport: str
    address: str
    port: int
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What the user named, and the endpoints that it stands for.

    domain: the server's domain for From tricks. left_out: sentences on what it stands for too and is not tested.
    """

    named: str
    domain: str
    endpoints: tuple[Endpoint, ...]
    left_out: tuple[str, ...] = ()

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
        return host_of(self.named)


def host_of(named: str) -> str:
    """What a user named, without a port: an address, or a name in ASCII, however it was written.

    What is neither, which no test is ever of, is given as it is.
    """
    try:
        return _parse(named)[0]
    except InputError:
        return named


def version_of(address: str) -> int:
    """The IP version of an address."""
    return 6 if ":" in address else 4


def refusal(address: str, *, private_allowed: bool) -> str:
    """Why an address may not be probed, as the end of a sentence; "" when it may.

    private_allowed: the command line may test a server on its user's own network; the web page may not.
    """
    ip = reached(ipaddress.ip_address(address))
    if ip.is_multicast:
        return "is a multicast address"
    if ip.is_unspecified or ip == ipaddress.ip_address("255.255.255.255"):
        return "is no host's address"
    if not private_allowed and (not ip.is_global or (ip.version == 6 and ip not in GLOBAL_UNICAST)):
        return "is a private or reserved address"
    return ""


def reached(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64); otherwise itself."""
    if ip.version == 4:
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


async def resolve_target(
    text: str,
    *,
    transports: tuple[str, ...] = TRANSPORTS,
    domain: str = "",
    private_allowed: bool = True,
    name_server: tuple[str, int] | None = None,
) -> Target:
    """The endpoints of HOST, HOST:PORT, IPV6 or [IPV6]:PORT, of both IP versions.

    domain: the server's own domain when it differs from the name. A port is that of UDP and TCP, or of the transports
    that were chosen when neither is among them. name_server: address and port to ask instead of the system's.
    Raises InputError with one sentence when the text is no host, does not resolve, or may not be probed.
    """
    text = text.strip()
    host, port = _parse(text)
    domain = _name_of(domain.strip()) if domain.strip() else host
    resolver = None if _is_address(host) else open_resolver(name_server)
    services, beyond = await find_services(host, transports, resolver) if resolver and not port else ([], [])
    if served := [address for service in services for address in service.addresses]:
        addresses = tuple(dict.fromkeys(served))
    elif _is_address(host):
        addresses = (host,)
    else:
        addresses = await find_addresses(host, resolver if name_server else None)
    taken, left_out = _choose(addresses, private_allowed)
    if not taken:
        raise InputError(f"{text} will not be tested: {left_out[0]}")
    left_out += beyond
    left_out += [f"{each.host} of {host}'s service records does not resolve" for each in services if not each.addresses]
    return Target(text, domain, tuple(_endpoints(transports, port, taken, services)), tuple(dict.fromkeys(left_out)))


def check_host(text: str) -> None:
    """Raises InputError with one sentence for what is no HOST, HOST:PORT, IPV6 or [IPV6]:PORT; looks nothing up."""
    _parse(text)


def _parse(text: str) -> tuple[str, int]:
    """Host and port of what a user wrote; 0 for no port. Raises InputError with one sentence."""
    text = text.strip()
    match = HOST_PORT.fullmatch(f"[{text}]" if _is_address(text) and ":" in text else text)
    if match is None:
        raise InputError(
            f"{text!r} is not a host; write NAME, ADDRESS or [IPV6], with :PORT if it is not the usual one"
        )
    port = int(match["port"] or 0)
    if port > 65535:
        raise InputError(f"{text!r}: there is no port {port}")
    return _name_of(match["v6"] or match["host"]), port


def _choose(addresses: Sequence[str], private_allowed: bool) -> tuple[list[str], list[str]]:
    """The addresses to test, and sentences on the others."""
    refused = {each: why for each in addresses if (why := refusal(each, private_allowed=private_allowed))}
    allowed = [each for each in addresses if each not in refused]
    left_out = [f"{address} {why}" for address, why in refused.items()]
    left_out += [
        f"{address}: a test takes {ADDRESSES_MAX} addresses of a name; name this one to test it"
        for address in allowed[ADDRESSES_MAX:]
    ]
    return allowed[:ADDRESSES_MAX], left_out


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


def _endpoints(
    transports: Sequence[str], port: int, addresses: Sequence[str], services: Sequence[ServiceRecord]
) -> list[Endpoint]:
    """Endpoints that somebody named; for transports without any, the usual ports of every address."""
    plain = {"udp", "tcp"} & set(transports) or set(transports)
    found: list[Endpoint] = []
    for transport in transports:
        named = [
            Endpoint(transport, address, service.port)
            for service in services
            for address in service.addresses
            if service.transport == transport and address in addresses
        ]
        if port and transport in plain:
            named = [Endpoint(transport, address, port) for address in addresses]
        usual = [Endpoint(transport, address, each, True) for address in addresses for each in DEFAULT_PORTS[transport]]
        found += dict.fromkeys(named or usual)
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
