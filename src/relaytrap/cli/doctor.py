"""`relaytrap doctor`: what is wrong with this installation, and what to do about it.

It looks and reports; it changes nothing. Exit status 0: nothing wrong; 1: something needs mending.
"""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from relaytrap import __version__
from relaytrap.cli.doctor_hub import check_hub, check_sensors, check_shipping, check_store
from relaytrap.cli.doctor_machine import (
    check_clock,
    check_hep,
    check_owner,
    check_room,
    check_secrets,
    check_settings_file,
    check_units,
)
from relaytrap.cli.doctor_ports import check_listen, check_page, check_uplink
from relaytrap.cli.doctor_settings import (
    check_feeds,
    check_network,
    check_persona,
    check_probe,
    check_tables,
    check_tls,
)
from relaytrap.cli.finding import Finding
from relaytrap.cli.main import Settings
from relaytrap.cli.output import emit, for_terminal, output_options
from relaytrap.config import Config
from relaytrap.errors import RelaytrapError

__all__ = ["command"]

HUB_PACKAGES = ("chdb-core", "clickhouse-connect", "litestar", "maxminddb", "phonenumbers", "vl-convert-python")
FREE_BYTES_WANTED = 1 << 30
RECEIVE_BUFFER_WANTED = 4 << 20


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
    check_persona,
    check_listen,
    check_tls,
    check_shipping,
    check_receive_buffer,
    check_hep,
)
HUB_CHECKS: tuple[Check, ...] = (
    check_hub,
    check_page,
    check_uplink,
    check_store,
    check_sensors,
    check_network,
    check_feeds,
    check_tables,
    check_probe,
)
"""What a sensor's installation has no packages for, and no use."""


def _findings(check: Check, config: Config) -> Iterator[Finding]:
    """What a check found; one that fails is a finding, too, and the others still look."""
    name = check.__name__.removeprefix("check_")
    try:
        yield from check(config)
    except RelaytrapError as error:
        yield Finding(name, "wrong", for_terminal(error, 600))
    except (OSError, ValueError, sqlite3.Error) as error:  # such as a database that is none
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
        checks = CHECKS + HUB_CHECKS if all(map(installed, HUB_PACKAGES)) else CHECKS
        findings += (found for check in checks for found in _findings(check, config))
    columns = [("state", ""), ("check", "check"), ("text", "what")]
    emit([asdict(one) for one in findings], columns, as_json=as_json, as_csv=as_csv)
    sys.exit(1 if any(one.state == "wrong" for one in findings) else 0)
