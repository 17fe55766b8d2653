"""What the doctor looks at where others reach us: the sensor's ports, the page's and that for sensors elsewhere."""

import errno
import ipaddress
import socket
from collections.abc import Iterator

from relaytrap.cli.doctor_machine import check_expiry, service_may
from relaytrap.cli.finding import Finding
from relaytrap.cli.session import running_hub
from relaytrap.config import Config
from relaytrap.errors import RelaytrapError
from relaytrap.sip.uri import host_port

__all__ = ["check_listen", "check_page", "check_uplink"]


def check_listen(config: Config) -> Iterator[Finding]:
    """The sensor's ports: free, and allowed for this user; or the interface that it reads."""
    from relaytrap.sensor.listen import parse_listen
    from relaytrap.sensor.sniff import Sniffer

    try:
        if config.sensor.listen_only:
            Sniffer(config.sensor.listen_only, config.sensor.listen_only_ports).close()
            yield Finding("listen", "good", f"{config.sensor.listen_only} can be read")
            return
        places = parse_listen(config.sensor.listen)
    except RelaytrapError as error:
        if isinstance(error.__context__, PermissionError):
            yield _forbidden("listen", str(error), "CAP_NET_RAW")
        else:
            yield Finding("listen", "wrong", str(error))
        return
    running = ", ".join(_running_sensors(config))
    holder = f"sensor {running} runs here" if running else ""
    for place in places:
        yield _port("listen", str(place), place.address, place.port, holder, is_datagram=place.is_datagram)
    if all(ipaddress.ip_address(place.address).is_loopback for place in places):
        text = "sensor.listen names loopback alone, which no attacker reaches; for the others write udp:0.0.0.0:5060"
        yield Finding("listen", "note", text)


def _running_sensors(config: Config) -> list[str]:
    """Names of the sensors that record into this data now."""
    from relaytrap.sensor.spool_folder import is_locked

    return sorted(folder.name for folder in (config.data_dir / "spool").glob("*") if is_locked(folder))


def check_page(config: Config) -> Iterator[Finding]:
    """Where the page is served: on loopback, and free or this hub's."""
    from relaytrap.web.security import parse_listen, refuse_beyond_loopback

    endpoint = parse_listen(config.web.listen)
    refuse_beyond_loopback(endpoint)
    yield _port("page", f"web.listen {endpoint.url}", endpoint.host, endpoint.port, _hub_of(config))


def check_uplink(config: Config) -> Iterator[Finding]:
    """Where sensors of other machines reach this hub, and what it shows them."""
    if not config.hub.uplink_listen:
        return
    from relaytrap.hub.certificate import CERTIFICATE, KEY, load_certificate
    from relaytrap.sensor.link import parse_hub_url
    from relaytrap.web.security import parse_listen

    endpoint = parse_listen(config.hub.uplink_listen, "hub.uplink_listen")
    where = f"hub.uplink_listen {host_port(endpoint.host, endpoint.port)}"
    yield _port("uplink", where, endpoint.host, endpoint.port, _hub_of(config))
    if config.hub.uplink_url:
        parse_hub_url(config.hub.uplink_url, given="hub.uplink_url")
    elif endpoint.is_loopback:
        yield Finding("uplink", "note", f"{where} is loopback: no other machine reaches it; write 0.0.0.0:8061")
    # Where there is none yet, loading would make one.
    if config.hub.uplink_certificate or all((config.data_dir / name).exists() for name in (CERTIFICATE, KEY)):
        yield check_expiry("uplink", load_certificate(config.hub, config.data_dir).path)


def _hub_of(config: Config) -> str:
    """What to say of a port that is taken while a hub runs on this data; "" when none does."""
    hub = running_hub(config.data_dir)
    return f"the hub runs here as process {hub.pid}" if hub else ""


def _port(check: str, what: str, address: str, port: int, holder: str, *, is_datagram: bool = False) -> Finding:
    """Whether a port can be listened on. holder: who of ours may have it, "" for nobody."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if is_datagram else socket.SOCK_STREAM) as way:
        if not is_datagram:
            way.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            way.bind((address, port))
        except PermissionError:
            return _forbidden(check, f"{what}: this user may not open a port below 1024", "CAP_NET_BIND_SERVICE")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return Finding(check, "wrong", f"{what}: {error.strerror}; name an address of this machine")
            if holder:
                return Finding(check, "good", f"{what} is taken, and {holder}")
            return Finding(check, "note", f"{what} is taken: another program has it; ss -lpn shows which")
    return Finding(check, "good", f"{what} is free")


def _forbidden(check: str, text: str, capability: str) -> Finding:
    """What this user may not do: wrong, unless the service, which is another's, may."""
    unit = "relaytrap-sensor.service" if check == "listen" else "relaytrap-hub.service"
    if service_may(capability, unit):
        return Finding(check, "note", f"{text}; {unit} may")
    return Finding(check, "wrong", text)
