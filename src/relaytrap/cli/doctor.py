"""`relaytrap doctor`: what is wrong with this installation, and what to do about it.

It looks and reports; it changes nothing. Exit status 0: nothing wrong; 1: something needs mending.
"""

import errno
import importlib.metadata
import json
import os
import platform
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from relaytrap import __version__
from relaytrap.cli.doctor_machine import (
    check_clock,
    check_hep,
    check_owner,
    check_room,
    check_secrets,
    check_settings_file,
    check_units,
    service_may,
)
from relaytrap.cli.finding import Finding
from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, for_terminal, output_options
from relaytrap.clock import now_ns, parse_rfc3339
from relaytrap.config import HUB_NOTE, Config
from relaytrap.errors import RelaytrapError

__all__ = ["command"]

HUB_PACKAGES = ("chdb-core", "clickhouse-connect", "litestar", "maxminddb", "phonenumbers", "vl-convert-python")
FREE_BYTES_WANTED = 1 << 30
RECEIVE_BUFFER_WANTED = 4 << 20
NOW_NS = 3_600_000_000_000
RECENT_NS = 7 * 24 * NOW_NS


def check_python(config: Config) -> Iterator[Finding]:
    """Python's version and platform."""
    yield Finding(
        "python", "good", f"Relaytrap {__version__} on Python {platform.python_version()}, {platform.platform()}"
    )


def check_packages(config: Config) -> Iterator[Finding]:
    """The packages of a hub; a sensor needs none of them."""
    missing = [name for name in HUB_PACKAGES if not installed(name)]
    if missing:
        yield Finding(
            "packages", "note", f"a sensor's installation: without {', '.join(missing)} (relaytrap[hub] brings them)"
        )
    else:
        yield Finding("packages", "good", "sensor and hub")


def installed(name: str) -> bool:
    """Whether a distribution of that name is installed."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def check_data_dir(config: Config) -> Iterator[Finding]:
    """The data directory: there, writable, with room."""
    folder = config.data_dir
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(place, os.W_OK):
        yield Finding("data", "wrong", f"{place} is not writable by this user; choose another with --data")
        return
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES_WANTED:
        yield Finding(
            "data", "wrong", f"only {free >> 20} MiB free at {place}; make room or choose another with --data"
        )
    else:
        new = "" if folder.exists() else " (made at first start)"
        yield Finding("data", "good", f"{folder}{new}, {free >> 30} GiB free")


def check_hub(config: Config) -> Iterator[Finding]:
    """A hub that runs here, or one that died and left its note behind."""
    note = config.data_dir / HUB_NOTE
    try:
        hub = json.loads(note.read_text(encoding="utf-8"))
        pid, url = int(hub["pid"]), str(hub["url"])
    except FileNotFoundError:
        yield Finding("hub", "note", "no hub runs on this data; relaytrap up starts one")
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding("hub", "wrong", f"{note} cannot be read ({error}); stop the hub and delete that file")
        return
    if Path(f"/proc/{pid}").exists():
        yield Finding("hub", "good", f"runs as process {pid} at {url}")
    else:
        yield Finding("hub", "note", f"{note} names process {pid}, which is gone; the next start replaces it")


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
            yield _forbidden(str(error), "CAP_NET_RAW")
        else:
            yield Finding("listen", "wrong", str(error))
        return
    running = _running_sensors(config)
    for place in places:
        kind = socket.SOCK_DGRAM if place.is_datagram else socket.SOCK_STREAM
        with socket.socket(place.family, kind) as probe:
            if not place.is_datagram:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((place.address, place.port))
            except PermissionError:
                yield _forbidden(f"{place}: this user may not open a port below 1024", "CAP_NET_BIND_SERVICE")
            except OSError as error:
                if error.errno == errno.EADDRINUSE and running:
                    yield Finding("listen", "good", f"{place} is taken, and sensor {', '.join(running)} runs here")
                else:
                    yield Finding("listen", "note", f"{place}: {error.strerror}; another program has it")
            else:
                yield Finding("listen", "good", f"{place} is free")


def _running_sensors(config: Config) -> list[str]:
    """Names of the sensors that record into this data now."""
    from relaytrap.sensor.spool_folder import is_locked

    return sorted(folder.name for folder in (config.data_dir / "spool").glob("*") if is_locked(folder))


def _forbidden(text: str, capability: str) -> Finding:
    """What this user may not do: wrong, unless the service, which is another's, may."""
    if service_may(capability):
        return Finding("listen", "note", f"{text}; relaytrap-sensor.service may")
    return Finding("listen", "wrong", text)


def check_receive_buffer(config: Config) -> Iterator[Finding]:
    """The kernel's limit of a socket's receive buffer, which decides whether a burst survives a pause."""
    limit = Path("/proc/sys/net/core/rmem_max")
    if not limit.exists():
        return
    size = int(limit.read_text(encoding="ascii"))
    if size < RECEIVE_BUFFER_WANTED:
        yield Finding(
            "buffer",
            "note",
            f"net.core.rmem_max is {size}; a busy sensor wants sysctl -w net.core.rmem_max={RECEIVE_BUFFER_WANTED}",
        )
    else:
        yield Finding("buffer", "good", f"net.core.rmem_max is {size}")


def check_sensors(config: Config) -> Iterator[Finding]:
    """What the hub of this data noted about its sensors: losses, clocks, doubles, what was set back."""
    if not (config.data_dir / "hub.sqlite3").exists():
        return
    from relaytrap.hub.ledger import read_incidents

    now = now_ns()
    noted = [(each, now - parse_rfc3339(each["at"])) for each in read_incidents(config.data_dir)]
    for each, age_ns in noted:
        if age_ns < RECENT_NS:
            when = "" if age_ns < NOW_NS else f" (last on {each['at'][:16].replace('T', ' at ')})"
            yield Finding("sensors", "wrong" if age_ns < NOW_NS else "note", for_terminal(each["text"], 600) + when)
    if all(age_ns >= RECENT_NS for _, age_ns in noted):
        yield Finding("sensors", "good", "nothing was noted about any")


def check_networks(config: Config) -> Iterator[Finding]:
    """Whether we were told which networks, domains and proxies are ours: without it a carrier looks like a relay."""
    try:
        _read_networks(config)
    except RelaytrapError as error:
        yield Finding("network", "wrong", str(error))
        return
    if not config.network.known_proxies:
        yield Finding(
            "network", "note", "network.known_proxies is empty: a carrier's proxy of yours would look like a relay"
        )
    else:
        yield Finding("network", "good", f"network.known_proxies names {len(config.network.known_proxies)}")


def _read_networks(config: Config) -> None:
    """Read networks and tables as a hub does. Raises ConfigError and its like for what it would not take."""
    if not all(map(installed, HUB_PACKAGES)):
        return
    from relaytrap.hub.capture_files import read_options
    from relaytrap.hub.rows import RowSetting

    RowSetting.of(config)
    read_options(config)


Check = Callable[[Config], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    check_python,
    check_packages,
    check_data_dir,
    check_room,
    check_owner,
    check_secrets,
    check_clock,
    check_units,
    check_hub,
    check_listen,
    check_hep,
    check_receive_buffer,
    check_sensors,
    check_networks,
)


def _findings(check: Check, config: Config) -> Iterator[Finding]:
    """What a check found; one that fails is a finding, too, and the others still look."""
    try:
        yield from check(config)
    except (OSError, ValueError, sqlite3.Error) as error:  # such as a database that is none
        name = check.__name__.removeprefix("check_")
        yield Finding(name, "wrong", f"cannot be looked at: {for_terminal(str(error) or type(error).__name__, 600)}")


@click.command()
@output_options
@click.pass_obj
def command(settings: Settings, as_json: bool, as_csv: bool) -> None:
    """What is wrong with this installation, and what to do. Changes nothing."""
    try:
        config, given = settings.load_given()
    except RelaytrapError as error:
        findings = [Finding("settings", "wrong", str(error))]
    else:
        findings = [Finding("settings", "good", str(settings.config_path or "defaults; no file given"))]
        findings += check_settings_file(settings.config_path, given)
        findings += (found for check in CHECKS for found in _findings(check, config))
    columns = [("state", ""), ("check", "check"), ("text", "what")]
    emit([asdict(one) for one in findings], columns, as_json=as_json, as_csv=as_csv)
    sys.exit(1 if any(one.state == "wrong" for one in findings) else 0)
