"""`relaytrap sensor add | list | rotate | revoke`: on the hub's machine, who may send to it."""

import contextlib
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.output import TEXT, emit, output_options
from relaytrap.clock import now_ns, parse_rfc3339, rfc3339
from relaytrap.config import Config

if TYPE_CHECKING:
    from relaytrap.hub.database import HubDatabase
    from relaytrap.hub.keys import Keys, Sensor

__all__ = ["COMMANDS"]

PLACES: Final = ("udp:0.0.0.0:5060", "tcp:0.0.0.0:5060")
VENV: Final = "~/relaytrap"
RECENT_NS: Final = 7 * 86_400_000_000_000
ONE_MACHINE: Final = (
    "relaytrap: this line is for this machine: the hub takes nothing from others. Set hub.uplink_listen (or start it "
    "with --uplink 0.0.0.0:8061) and rotate the token for a line that does."
)
HUB_OPTION: Final = click.option(
    "--hub", "url", type=TEXT, metavar="URL", help="How the sensor reaches this hub; default: hub.uplink_url."
)


@click.command()
@click.argument("name", type=TEXT)
@HUB_OPTION
@click.pass_obj
def add(settings: Settings, name: str, url: str | None) -> None:
    """Make a sensor known to the hub of this data; prints the line to run on its machine."""
    _print_line(settings, url, lambda keys: keys.add(name))


@click.command()
@click.argument("name", type=TEXT)
@HUB_OPTION
@click.pass_obj
def rotate(settings: Settings, name: str, url: str | None) -> None:
    """Give a known sensor a new token; the old one ends at once."""
    _print_line(settings, url, lambda keys: keys.rotate(name))


@click.command()
@click.argument("name", type=TEXT)
@click.pass_obj
def revoke(settings: Settings, name: str) -> None:
    """Take a sensor's permission away; its messages stay."""
    with _keys(settings.load()) as (keys, _):
        keys.revoke(name)
    click.echo(f"{name} may send nothing more")


@click.command("list")
@output_options
@click.pass_obj
def list_sensors(settings: Settings, as_json: bool, as_csv: bool) -> None:
    """Sensors that may send to the hub of this data, how each fares, and what is wrong with it."""
    from relaytrap.hub.ledger import Ledger

    with _keys(settings.load()) as (keys, database):
        wrong: dict[str, list[str]] = {}
        for each in Ledger(database).list_incidents(1000):
            if now_ns() - parse_rfc3339(each["at"]) < RECENT_NS:
                wrong.setdefault(each["sensor"], []).append(each["text"])
        rows = [_row(sensor, wrong.get(sensor.name, [])) for sensor in keys.list_sensors()]
    columns = [
        *(("sensor", "sensor"), ("state", "token"), ("heard", "last heard of (UTC)"), ("version", "version")),
        *(("persona", "persona"), ("a_minute", "a minute"), ("waiting", "waiting"), ("clock_s", "clock s")),
        *(("listen", "listens on"), ("incidents", "to look at")),
    ]
    empty = "no sensor has a token; relaytrap sensor add NAME makes one"
    emit(rows, columns, as_json=as_json, as_csv=as_csv, empty=empty)


def _row(sensor: "Sensor", wrong: list[str]) -> dict[str, Any]:
    from relaytrap.hub.fares import Fares

    fares = Fares.of(sensor.status)
    return {
        "sensor": sensor.name,
        "created": rfc3339(sensor.created_at_ns),
        "heard": rfc3339(sensor.last_seen_ns) if sensor.last_seen_ns else None,
        "state": "revoked" if sensor.revoked_at_ns else "may send",
        "version": fares.version,
        "persona": fares.persona,
        "listen": list(fares.listen),
        "last_message": fares.last_message or None,
        "a_minute": fares.a_minute,
        "waiting": fares.waiting,
        "spool_bytes": fares.spool_bytes,
        "lost": fares.lost,
        # Without the sum a clock that is right would be -0.0 s off.
        "clock_s": None if sensor.clock_difference_ms is None else round(sensor.clock_difference_ms / 1000, 1) + 0.0,
        "hub_trust": fares.trust,
        "incidents": wrong,
    }


@contextlib.contextmanager
def _keys(config: Config) -> "Iterator[tuple[Keys, HubDatabase]]":
    from relaytrap.hub.database import HubDatabase
    from relaytrap.hub.keys import Keys

    with contextlib.closing(HubDatabase(config.data_dir)) as database:
        yield Keys(database), database


def _print_line(settings: Settings, url: str | None, make: "Callable[[Keys], str]") -> None:
    """The command line that joins a sensor; its token is shown this once and kept nowhere."""
    from relaytrap.cli.session import running_hub
    from relaytrap.sensor.link import parse_hub_url

    config: Config = settings.load()
    hub = running_hub(config.data_dir)
    public = url or (hub.uplink_url if hub else "") or _configured_url(config)
    if public:
        parse_hub_url(public, given="--hub" if url else "hub.uplink_url")
    with _keys(config) as (keys, _):
        token = make(keys)
    if public:
        from relaytrap.hub.certificate import load_certificate

        click.echo(joining_line(public.rstrip("/"), token, load_certificate(config.hub, config.data_dir).pin))
        return
    click.echo(joining_line(hub.url if hub else f"http://{config.web.listen}", token, ""))
    click.echo(ONE_MACHINE, err=True)


def _configured_url(config: Config) -> str:
    """Where sensors of other machines will reach a hub that does not run now; "" when nowhere."""
    from relaytrap.web.security import parse_listen, public_url

    if config.hub.uplink_url or not config.hub.uplink_listen:
        return config.hub.uplink_url
    return public_url(parse_listen(config.hub.uplink_listen, "hub.uplink_listen"))


def joining_line(url: str, token: str, pin: str) -> str:
    """One shell line that installs a sensor from its hub, joins and starts it.

    pip checks the wheel by its SHA-256, so that it need not trust the hub's certificate.
    """
    from relaytrap.hub.sensor_wheel import sensor_wheel

    wheel = sensor_wheel()
    parts = urlsplit(url)
    trusted = f"--trusted-host {shlex.quote(parts.netloc)} " if pin else ""
    package = shlex.quote(f"{url}/join/{wheel.name}#sha256={wheel.digest}")
    join = f"{shlex.quote(url)}{f' --pin {pin}' if pin else ''} --token {token}"
    if parts.scheme == "https":
        join += "".join(f" --listen {place}" for place in PLACES)
    return (
        f"python3 -m venv {VENV} && {VENV}/bin/pip install --quiet {trusted}{package} && "
        f"{VENV}/bin/relaytrap sensor join {join} && {VENV}/bin/relaytrap sensor"
    )


COMMANDS: Final = (add, list_sensors, rotate, revoke)
