"""Places, an address and its port, as a user writes them: ADDR, ADDR:PORT, [IPV6]:PORT, NAME:PORT."""

import ipaddress

from relaytrap.errors import InputError
from relaytrap.probe.target import version_of

__all__ = ["Place", "parse_name", "parse_place", "parse_places"]

Place = tuple[str, int]


def parse_place(text: str, port: int) -> Place:
    """An address and its port, or the usual one. Raises InputError when it is none."""
    host, port = parse_name(text, port)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        raise InputError(f"{text!r} is no address; write ADDR, ADDR:PORT or [IPV6]:PORT") from None


def parse_places(text: str, port: int) -> dict[int, Place]:
    """Places by IP version, out of one or two that a comma parts."""
    places = [parse_place(part.strip(), port) for part in text.split(",") if part.strip()]
    return {version_of(place[0]): place for place in places}


def parse_name(text: str, port: int) -> Place:
    """A host, which may be a name, and its port, or the usual one. Raises InputError when there is none."""
    host, number = text.strip(), ""
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        number = rest.removeprefix(":")
    elif host.count(":") == 1:
        host, _, number = host.partition(":")
    if not host:
        raise InputError(f"{text!r} names no host; write HOST or HOST:PORT")
    if number and not (number.isascii() and number.isdecimal() and 0 < int(number) < 65536):
        raise InputError(f"{text!r}: there is no port {number!r}")
    return host, int(number or port)
