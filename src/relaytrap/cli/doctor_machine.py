"""What the doctor looks at around Relaytrap: the clock, the disk, who may read its secrets, systemd's units, HEP."""

import configparser
import ctypes
import os
import pwd
import shutil
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from relaytrap.cli.config import is_secret
from relaytrap.cli.finding import Finding
from relaytrap.config import HUB_NOTE, JOINED, Config, Given
from relaytrap.errors import RelaytrapError

__all__ = [
    "check_clock",
    "check_hep",
    "check_owner",
    "check_room",
    "check_secrets",
    "check_settings_file",
    "check_units",
    "service_may",
]

TIMEX_BYTES: Final = 256
STA_UNSYNC: Final = 0x40
ERROR_WANTED_US: Final = 500_000
SECRETS: Final = (JOINED, HUB_NOTE, "hub.sqlite3", "hub-key.pem", "probe.sqlite3", "sensor.seed", "witness/secret")
UNITS: Final = Path("/etc/systemd/system")
LISTEN_ONLY: Final = "relaytrap-sensor.service.d/listen-only.conf"
GIB: Final = 1 << 30


def check_clock(config: Config) -> Iterator[Finding]:
    """Whether somebody keeps the clock right: every message carries its time as evidence."""
    kept = _read_clock()
    if kept is None:
        return
    status, error_us = kept
    if status & STA_UNSYNC:
        yield Finding("clock", "note", "nobody keeps this machine's clock; install chrony or systemd-timesyncd")
    elif error_us > ERROR_WANTED_US:
        yield Finding("clock", "note", f"the clock may be {error_us / 1e6:.1f} s off; see chronyc tracking")
    else:
        yield Finding("clock", "good", f"kept in time, at most {error_us / 1000:.0f} ms off")


def _read_clock() -> tuple[int, int] | None:
    """Status bits and largest error in microseconds, as the kernel has them (adjtimex(2)); None where it has not."""
    timex = ctypes.create_string_buffer(TIMEX_BYTES)
    try:
        if ctypes.CDLL(None).adjtimex(timex) < 0:
            return None
    except (AttributeError, OSError):
        return None
    error_us, _, status = struct.unpack_from("qqi", timex, 24)
    return status, error_us


def check_room(config: Config) -> Iterator[Finding]:
    """Whether spool and store may grow as far as the settings let them."""
    for name, limit, key in (
        ("spool", config.sensor.spool_max_bytes, "sensor.spool_max_bytes"),
        ("store", 0 if config.store.url else config.store.retention_bytes, "store.retention_bytes"),
    ):
        folder = config.data_dir / name
        if not limit or not os.access(folder, os.R_OK | os.X_OK):
            continue
        room = shutil.disk_usage(folder).free + _size(folder)
        if room < limit:
            text = f"{folder} may grow to {limit / GIB:.1f} GiB, and there is room for {room / GIB:.1f}: lower {key}"
            yield Finding("room", "note", text)
        else:
            yield Finding("room", "good", f"{folder} has room up to its limit of {limit / GIB:.1f} GiB")


def _size(folder: Path) -> int:
    """Octets on disk below a folder; what vanishes meanwhile or cannot be seen counts nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                continue
    return total


def check_secrets(config: Config) -> Iterator[Finding]:
    """Whether others can read what only we should: tokens, keys, what makes this sensor unlike others."""
    open_to_all = [name for name in SECRETS if _mode(config.data_dir / name) & 0o077]
    if open_to_all:
        names = " ".join(str(config.data_dir / name) for name in open_to_all)
        yield Finding("secrets", "wrong", f"others may read secrets; run chmod 600 {names}")


def check_owner(config: Config) -> Iterator[Finding]:
    """Whether everything here belongs to whom the directory belongs: a command run once as root leaves files behind
    that a service of another user cannot write."""
    try:
        owner = config.data_dir.stat().st_uid
        strange = sorted(each.name for each in config.data_dir.iterdir() if each.lstat().st_uid != owner)
    except OSError:
        return
    if strange:
        text = f"{', '.join(strange)} in {config.data_dir} belong to another user; run chown -R {_name(owner)}: there"
        yield Finding("owner", "wrong", text)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def check_settings_file(path: Path | None, given: Mapping[str, Given]) -> Iterator[Finding]:
    """The same for the settings file, where it holds a secret. given: where each setting came from."""
    secrets = [key for key, one in given.items() if one.detail.startswith(f"{path}:") and is_secret(key, one.value)]
    if path is not None and secrets and _mode(path) & 0o007:
        text = f"{path} holds {' and '.join(secrets)}, and everybody may read it; chmod 640 it"
        yield Finding("secrets", "wrong", text)


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def check_units(config: Config, folder: Path = UNITS) -> Iterator[Finding]:
    """The units that are installed: their program, their user, their settings file, what the settings ask of them."""
    for unit in sorted(folder.glob("relaytrap-*.service")):
        wrong = list(_wrong_with(unit, config))
        yield from (Finding("units", "wrong", f"{unit}: {text}") for text in wrong)
        if not wrong:
            yield Finding("units", "good", str(unit))


def _wrong_with(unit: Path, config: Config) -> Iterator[str]:
    service = _service(unit)
    if service is None:
        yield "cannot be read; copy it anew from deploy/systemd"
        return
    program = service.get("ExecStart", "").split(" ")[0]
    if not os.access(program, os.X_OK):
        yield f"its program {program or '(none)'} is not there; install Relaytrap in /opt/relaytrap"
    user = service.get("User", "")
    try:
        owner = pwd.getpwnam(user).pw_uid
    except KeyError:
        yield f"its user {user or '(none)'} does not exist; run systemd-sysusers"
    else:
        if config.data_dir.exists() and config.data_dir.stat().st_uid != owner:
            yield f"{config.data_dir} does not belong to {user}; run chown -R {user}: {config.data_dir}"
    given = dict(each.partition("=")[::2] for each in service.get("Environment", "").split())
    named = given.get("RELAYTRAP_CONFIG")
    if named and not Path(named).exists():
        yield f"its settings file {named} is not there; write one, it may be empty"
    data = given.get("RELAYTRAP_DATA")
    if data and Path(data) != config.data_dir:
        yield f"it keeps its data in {data}, this command in {config.data_dir}; say data_dir in the settings file alone"
    if (
        unit.name == "relaytrap-sensor.service"
        and config.sensor.listen_only
        and not (unit.parent / LISTEN_ONLY).exists()
    ):
        yield f"sensor.listen_only needs deploy/systemd/listen-only.conf as {unit.parent / LISTEN_ONLY}"


def service_may(capability: str, folder: Path = UNITS) -> bool:
    """Whether the sensor's unit gives it a privilege that whoever asks the doctor may lack."""
    units = (folder / LISTEN_ONLY, folder / "relaytrap-sensor.service")
    service = next((_service(unit) for unit in units if unit.exists()), None)
    return capability in (service or {}).get("AmbientCapabilities", "")


def _service(unit: Path) -> dict[str, str] | None:
    """The [Service] section of a unit; None when it cannot be read."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep the case of keys
    try:
        parser.read_string(unit.read_text(encoding="utf-8"))
        return dict(parser["Service"])
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError):
        return None


def check_hep(config: Config) -> Iterator[Finding]:
    """Places that take HEP: readable, and not open to everybody."""
    if not config.hub.hep_listen:
        return
    try:
        from relaytrap.hub.hep.places import parse_places

        places = parse_places(config.hub.hep_listen)
    except ModuleNotFoundError as error:
        yield Finding("hep", "wrong", f"hub.hep_listen is set where no hub is installed (without {error.name})")
        return
    except RelaytrapError as error:
        yield Finding("hep", "wrong", str(error))
        return
    for place in places:
        if place.is_loopback or config.hub.hep_password:
            yield Finding("hep", "good", str(place))
        else:
            text = f"{place} takes HEP from whoever reaches it; set hub.hep_password, or let a firewall choose"
            yield Finding("hep", "note", text)
