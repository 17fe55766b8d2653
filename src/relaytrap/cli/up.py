"""`relaytrap up`: sensor, hub and page in one process tree, from nothing to a map.

The hub runs in this process; the sensor is a child with nothing of the hub in it, as it would be on another machine,
and ships its segments over loopback with a token of its own.
"""

import contextlib
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import TEXT
from relaytrap.cli.up_sensor import WatchedSensor
from relaytrap.clock import monotonic
from relaytrap.errors import ConfigError, ListenError, RelaytrapError, StoreLocked
from relaytrap.sip.uri import host_port

if TYPE_CHECKING:
    from relaytrap.config import Config, SensorConfig
    from relaytrap.web.site import Site

__all__ = ["command", "free_places"]

PORTS_TRIED = 50


@click.command()
@click.option("--sample", is_flag=True, help="Also load the bundled sample scene.")
@click.option(
    "--listen", type=TEXT, multiple=True, metavar="WHERE", help="Where the sensor listens: transport:address:port."
)
@click.option("--page", type=TEXT, metavar="ADDR:PORT", help="Where the page is served; default 127.0.0.1:8060.")
@click.pass_obj
def command(settings: Settings, sample: bool, listen: tuple[str, ...], page: str | None) -> None:
    """Sensor, hub and page in one: from nothing to a map. Ends with Ctrl-C.

    Listens on loopback unless told otherwise; a port that is taken is replaced by the next free one, and the terminal
    says which.
    """
    from relaytrap.web.security import parse_listen, refuse_beyond_loopback

    config: Config = settings.load(sensor__listen=list(listen) or None, web__listen=page)
    page_at = parse_listen(config.web.listen)
    refuse_beyond_loopback(page_at)
    web_listen = free_places((f"tcp:{host_port(page_at.host, page_at.port)}",))[0].removeprefix("tcp:")
    config = replace(config, web=replace(config.web, listen=web_listen))
    # A sensor that reads along listens nowhere.
    places = () if config.sensor.listen_only else free_places(config.sensor.listen)
    from relaytrap.cli.hub import run_hub
    from relaytrap.hub.restore import finish_restore

    def ready(site: "Site", url: str) -> None:
        tell(site, url, places)
        if sample:
            load_sample(site, settings.command("sample remove"))

    refuse_second_hub(config)
    finish_restore(config.data_dir)  # before its sensor's token makes a database there
    with sensor_process(settings, config, f"http://{web_listen}", places):
        run_hub(config, ready=ready)


def refuse_second_hub(config: "Config") -> None:
    """Raises StoreLocked when a hub runs on this data: its sensor's token must not change under it."""
    from relaytrap.store.lock import owner_of

    if owner := owner_of(config.data_dir):
        raise StoreLocked(f"{config.data_dir} is in use by process {owner}; stop it, or choose another with --data")


def free_places(places: Sequence[str]) -> tuple[str, ...]:
    """The places with each port that is taken replaced by the next free one, the same for all transports of an address.

    Raises ListenError when the operator's address or port cannot be had for another reason.
    """
    moved: dict[str, str] = {}
    for place in places:
        _, _, where = place.partition(":")
        host, _, port = where.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()):
            raise ConfigError(f"sensor.listen: {place!r} is no place to listen; write udp:127.0.0.1:5060")
        wanted = [other for other in places if other.partition(":")[2] == where]
        if where not in moved:
            moved[where] = f"{host}:{_free_port(wanted, host, int(port))}"
    return tuple(f"{place.partition(':')[0]}:{moved[place.partition(':')[2]]}" for place in places)


def _free_port(places: Sequence[str], host: str, port: int) -> int:
    for candidate in range(port, min(port + PORTS_TRIED, 65536)):
        if all(_is_free(place.partition(":")[0], host, candidate) for place in places):
            if candidate != port:
                click.echo(f"relaytrap: port {port} is taken here; using {candidate}", err=True)
            return candidate
    raise ListenError(f"no free port from {port} to {port + PORTS_TRIED - 1} at {host}; choose one with --listen")


def _is_free(transport: str, host: str, port: int) -> bool:
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as way:
        if transport != "udp":
            way.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            way.bind((host.strip("[]"), port))
        except PermissionError:
            raise ListenError(f"{host}:{port}: this user may not open a port below 1024; choose another") from None
        except OSError as error:
            if error.errno in (98, 48):  # EADDRINUSE on Linux and elsewhere
                return False
            raise ListenError(f"{host}:{port}: {error.strerror}; choose another with --listen or --page") from None
    return True


@contextlib.contextmanager
def sensor_process(settings: Settings, config: "Config", url: str, places: Sequence[str]) -> Iterator[None]:
    """A sensor as a child process, which ends when this block does, and starts again when it ends before."""
    name = config.sensor.name or socket.gethostname().partition(".")[0]
    command_line = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(config.data_dir)]
    if settings.config_path:
        command_line += ["--config", str(settings.config_path)]
    command_line += ["sensor", "--name", name, "--hub", url]
    for place in places:
        command_line += ["--listen", place]
    environment = os.environ | {"RELAYTRAP_SENSOR_TOKEN": _token_for(config, name)}
    with WatchedSensor(command_line, environment, lambda text: click.echo(f"relaytrap: {text}", err=True)):
        yield


def _token_for(config: "Config", name: str) -> str:
    """A fresh token for our own sensor: nobody else has one under its name, and none is kept."""
    from relaytrap.hub.database import HubDatabase
    from relaytrap.hub.keys import Keys

    with contextlib.closing(HubDatabase(config.data_dir)) as database:
        keys = Keys(database)
        known = {sensor.name for sensor in keys.list_sensors()}
        return keys.rotate(name) if name in known else keys.add(name)


def tell(site: "Site", url: str, places: Sequence[str]) -> None:
    """What to open, and how to send a first request."""
    from relaytrap.cli.hub import doors_of

    click.echo(f"\n  Open      {url}")
    click.echo(f"  Sensor    {', '.join(places) or reads_along(site.config.sensor)}")
    for what, place in doors_of(site):
        click.echo(f"  {what.capitalize() if what.islower() else what:9} {place}")
    udp = next((place.partition(":")[2] for place in places if place.startswith("udp:")), "")
    if udp:
        click.echo(f"  Try       {first_request(udp)}")
    click.echo("  Stop      Ctrl-C\n")


def reads_along(config: "SensorConfig") -> str:
    """What a sensor that listens nowhere does instead."""
    from relaytrap.sensor.sniff import what_is_read

    return f"reads {what_is_read(config.listen_only, config.listen_only_ports)}, answers nobody"


def first_request(where: str) -> str:
    """A shell line that sends the sensor a first real request, with what this machine has."""
    host, _, port = where.rpartition(":")
    if shutil.which("svmap"):
        return f"svmap -p {port} {host}"
    if shutil.which("sipsak"):
        return f"sipsak -s sip:100@{where}"
    lines = (
        f"OPTIONS sip:100@{where} SIP/2.0",
        "Via: SIP/2.0/UDP first.invalid;rport;branch=z9hG4bK1",
        f"From: <sip:me@{host}>;tag=1",
        f"To: <sip:100@{host}>",
        "Call-ID: first",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        "User-Agent: first",
        "Accept: application/sdp",
        "Content-Length: 0",
    )
    text = "".join(f"{line}\\r\\n" for line in (*lines, ""))
    family = "AF_INET6" if host.startswith("[") else "AF_INET"
    # Not by a shell's /dev/udp: it sends each line as a datagram.
    code = (
        f"import socket as s; w = s.socket(s.{family}, s.SOCK_DGRAM); w.connect(('{host.strip('[]')}', {port})); "
        f"w.settimeout(5); w.send(b'{text}'); print(w.recv(65535).decode())"
    )
    return f'{shlex.quote(sys.executable)} -c "{code}"'


def load_sample(site: "Site", remove: str) -> None:
    """Load the sample scene; the page is there already. remove: the command that takes it out again."""
    from relaytrap.sample.loader import load_scene

    started = monotonic()
    try:
        count = load_scene(site)
    except RelaytrapError as error:
        click.echo(f"relaytrap: the sample could not be loaded: {error}", err=True)
        return
    seconds = monotonic() - started
    click.echo(f"  Sample    {count:,} messages in {seconds:.1f} s; remove them with: {remove}")
