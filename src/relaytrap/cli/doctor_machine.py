"""What the doctor looks at around Relaytrap: the clock, the disk, who may read its secrets, systemd's units, HEP."""

import configparser
import ctypes
import os
import pwd
import shutil
import stat
import struct
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from relaytrap.cli.config import is_secret
from relaytrap.cli.finding import Finding
from relaytrap.clock import now_ns
from relaytrap.config import HUB_NOTE, JOINED, Config, Given
from relaytrap.errors import RelaytrapError

__all__ = [
    "check_clock",
    "check_expiry",
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
LISTEN_ONLY: Final = "listen-only.conf"
GIB: Final = 1 << 30
BOOTED: Final = Path("/run/systemd/system")
SYSTEMD_S: Final = 5.0
RENEW_DAYS: Final = 21


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
    """Who may read the settings file, where it holds a secret, and who may change what we do. given: where each
    setting came from."""
    if path is not None:
        yield from _strangers(path, given)
    secrets = [key for key, one in given.items() if one.detail.startswith(f"{path}:") and is_secret(key, one.value)]
    if path is not None and secrets and _mode(path) & 0o007:
        text = f"{path} holds {' and '.join(secrets)}, and everybody may read it; chmod 640 it"
        yield Finding("secrets", "wrong", text)


def _strangers(path: Path, given: Mapping[str, Given]) -> Iterator[Finding]:
    """Users who can write the settings and are neither root, nor who asks, nor who runs Relaytrap here."""
    ours, owner = {0, os.geteuid()}, path.stat().st_uid
    if "data_dir" in given and (data_dir := Path(given["data_dir"].value)).exists():
        ours.add(data_dir.stat().st_uid)
    if _mode(path) & 0o002:
        yield Finding("settings", "wrong", f"everybody may change {path}; chmod o-w it")
    elif owner not in ours:
        text = f"{path} belongs to {_name(owner)}, who may change what Relaytrap does; chown root it"
        yield Finding("settings", "wrong", text)


def check_expiry(check: str, path: Path) -> Finding:
    """How long the certificate in a PEM file holds."""
    from cryptography import x509

    until = x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc
    days = int(until.timestamp() - now_ns() / 1e9) // 86_400
    if days < 0:
        return Finding(check, "wrong", f"{path} ended on {until:%Y-%m-%d}; renew it")
    state: Literal["good", "note"] = "note" if days < RENEW_DAYS else "good"
    return Finding(check, state, f"{path} holds until {until:%Y-%m-%d}{'; renew it' * (state == 'note')}")


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
            yield _running(unit)


def _running(unit: Path) -> Finding:
    """Whether systemd, where it rules this machine, runs a unit now and from the next boot on."""
    said = _systemd_says(unit.name)
    state, name = said.get("ActiveState", ""), unit.stem
    if state == "failed":
        return Finding("units", "wrong", f"{unit}: it has failed; journalctl -u {name} says why")
    if said.get("NeedDaemonReload") == "yes":
        text = f"{unit}: changed since systemd read it; run systemctl daemon-reload and restart {name}"
        return Finding("units", "wrong", text)
    if state == "inactive":
        return Finding("units", "note", f"{unit}: it does not run; systemctl enable --now {name} starts it")
    if said.get("UnitFileState") == "disabled":
        return Finding("units", "note", f"{unit}: it runs, but not after the next boot; systemctl enable {name}")
    return Finding("units", "good", f"{unit}{f', {state}' if state else ''}")


def _systemd_says(unit: str) -> dict[str, str]:
    """What systemd knows of a unit; nothing where it does not rule this machine."""
    if not BOOTED.exists() or not (systemctl := shutil.which("systemctl")):
        return {}
    wanted = "--property=ActiveState,UnitFileState,NeedDaemonReload"
    try:
        said = subprocess.run(
            [systemctl, "show", wanted, unit], capture_output=True, text=True, check=False, timeout=SYSTEMD_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.partition("=")[::2] for line in said.splitlines())


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
    elif named and not _may_read(Path(named), user):
        yield f"its user {user} may not read {named}; run chown root:{user} and chmod 640 on it"
    data = given.get("RELAYTRAP_DATA")
    if data and Path(data) != config.data_dir:
        yield f"it keeps its data in {data}, this command in {config.data_dir}; say data_dir in the settings file alone"
    if (
        unit.name == "relaytrap-sensor.service"
        and config.sensor.listen_only
        and not (addition := unit.with_name(f"{unit.name}.d") / LISTEN_ONLY).exists()
    ):
        yield f"sensor.listen_only needs deploy/systemd/listen-only.conf as {addition}"


def _may_read(path: Path, user: str) -> bool:
    """Whether a user may read a file, by its owner, group and mode; a user who is none may not be asked about."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return True
    kept, groups = path.stat(), os.getgrouplist(user, account.pw_gid)
    wanted = 0o400 if kept.st_uid == account.pw_uid else 0o040 if kept.st_gid in groups else 0o004
    return bool(kept.st_mode & wanted) or account.pw_uid == 0


def service_may(capability: str, unit: str, folder: Path = UNITS) -> bool:
    """Whether a unit gives its service a privilege that whoever asks the doctor may lack."""
    files = (folder / f"{unit}.d" / LISTEN_ONLY, folder / unit)
    service = next((_service(each) for each in files if each.exists()), None)
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
