"""Where an empty page tells its reader to send a first message: the port that a sensor of this machine really has."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from litestar import Response

from relaytrap.hub.fares import Fares
from relaytrap.hub.keys import Sensor
from relaytrap.web.site import Ask, Site

__all__ = ["Destination", "empty_page", "first_place", "udp_place"]


class Destination(NamedTuple):
    """An address and a port for a shell's command line: nothing else that a heartbeat said gets there."""

    address: str
    port: int


USUAL = Destination("127.0.0.1", 5060)


def empty_page(request: Ask, site: Site, title: str) -> Response[bytes] | None:
    """What stands in a page's place until the first message; None when there is one."""
    if not site.is_empty():
        return None
    window = site.window(request)
    return site.page(request, "pages/empty.html", window=window, title=title, first_place=first_place(site))


def first_place(site: Site) -> Destination:
    """Where a sensor of this machine listens; SIP's usual port when none says so."""
    return udp_place(site.doors.keys.list_sensors() if site.doors else ())


def udp_place(sensors: Iterable[Sensor]) -> Destination:
    """The first UDP place over IPv4 of those that ship over loopback, and so run beside this hub."""
    for sensor in sensors:
        fares = Fares.of(sensor.status)
        for place in fares.listen if fares.trust == "loopback" else ():
            found = _udp(place)
            if found:
                return found
    return USUAL


def _udp(place: str) -> Destination | None:
    """`udp:192.0.2.1:5060` as a place; None for anything else. All addresses: loopback is one of them."""
    transport, _, rest = place.partition(":")
    host, _, port = rest.partition(":")
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return None
    if transport != "udp" or not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
        return None
    return Destination(USUAL.address if address.is_unspecified else str(address), int(port))
