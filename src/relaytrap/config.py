"""Settings as frozen dataclasses: what they are, what they default to, and where each effective value came from.

Order: defaults < what joining a hub left < file < `RELAYTRAP_SECTION_KEY` variables < flags. Loaded once by `cli`,
passed down as values; there is no global. An unknown key is an error that names file, line and the nearest valid key.
Every field's meaning stands in its `doc` metadata; the reference page is checked against it.
"""

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from relaytrap.errors import ConfigError

__all__ = [
    "HUB_NOTE",
    "JOINED",
    "Config",
    "EnrichConfig",
    "FeedsConfig",
    "Given",
    "GuardConfig",
    "HubConfig",
    "NetworkConfig",
    "NetworkName",
    "ProbeConfig",
    "SensorConfig",
    "StoreConfig",
    "WebConfig",
    "default_data_dir",
    "load_config",
]

GIB = 1 << 30
JOINED = "joined.toml"
"""Written in the data directory by `relaytrap sensor join`."""
HUB_NOTE = "hub.json"
"""Written there by a hub while it runs: its process, where it answers, and a token for the command line."""
SYSTEM_DATA = Path("/var/lib/relaytrap")
"""Where the data of a machine's services are."""

OTHER_VARIABLES = {"RELAYTRAP_CONFIG", "RELAYTRAP_MATERIAL", "RELAYTRAP_TEST_ENGINE"}
"""No settings: what the command line's `--config` reads, and what the tests read."""
SERVICE_VARIABLE = re.compile(r"RELAYTRAP(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_\w+)?)")
"""What Kubernetes sets in every container beside a service whose name begins with relaytrap."""
FORMS: Mapping[Any, str] = {
    str: "text in quotes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    (str, ...): 'a list of texts, such as ["one", "two"]',
    (int, ...): "a list of whole numbers, such as [5060, 5080]",
}
Place = Callable[[str], str]
"""Where a key was given, as messages to the operator name it."""


def setting(default: Any, doc: str, least: int = 0) -> Any:
    """A dataclass field with its one-line meaning. least: no number below it is taken."""
    return field(default=default, metadata={"doc": doc, "least": least})


@dataclass(frozen=True, slots=True)
class SensorConfig:
    """`[sensor]`: one listening installation."""

    name: str = setting("", "Name the hub shows; empty: the machine's host name")
    listen: tuple[str, ...] = setting(
        ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"),
        "Where to listen, as transport:address:port: udp, tcp, tls, ws, wss; IPv6 in brackets; auto is the usual port",
    )
    listen_only: str = setting("", "Interface to read SIP from instead of listening and answering, such as eth0")
    listen_only_ports: tuple[int, ...] = setting((5060,), "Ports that count as SIP on that interface; none: all ports")
    persona: str = setting("asterisk", "The device to play: a bundled persona's name or the path of a persona file")
    seed: str = setting("", "What makes this installation unlike others (tags, banners); empty: made at first start")
    flush_interval_s: float = setting(0.2, "Longest time a recorded message may wait in memory; 0 writes each at once")
    segment_max_bytes: int = setting(8 << 20, "A spool segment is closed at this size", least=1)
    segment_max_age_s: float = setting(2.0, "A spool segment that holds anything is closed at this age")
    spool_max_bytes: int = setting(
        2 * GIB, "The spool never grows beyond this; the oldest goes first, counted as loss", least=1
    )
    spool_max_days: float = setting(30.0, "Segments older than this that no hub took are dropped, counted as loss")
    spool_kept_bytes: int = setting(
        256 << 20, "What the hub has is kept up to this size, should it lose it; 0: nothing"
    )
    hub_url: str = setting("", "Hub to ship segments to; empty: keep them in the spool")
    hub_pin: str = setting("", "SHA-256 fingerprint of the hub's certificate; empty: one that this machine trusts")
    token: str = setting("", "Token this sensor shows the hub")
    source_bytes_per_s: int = setting(20_000, "Answer budget for one source, bytes a second")
    total_bytes_per_s: int = setting(20_000_000, "Answer budget for all sources together, bytes a second")
    workers: int = setting(
        1, "Processes that answer; more than one needs as many cores. One budget, one spool", least=1
    )
    tcp_connections_max: int = setting(4096, "Open TCP connections kept at most; the longest idle goes first", least=1)
    tcp_idle_s: float = setting(60.0, "An idle TCP connection is closed after this time")
    tls_certificate: str = setting("", "PEM file with certificate and key; empty: the persona's, made at first start")


@dataclass(frozen=True, slots=True)
class HubConfig:
    """`[hub]`: what comes in from sensors and from elsewhere."""

    uplink_listen: str = setting("", "Where sensors of other machines ship to over HTTPS, ADDRESS:PORT; empty: nowhere")
    uplink_url: str = setting("", "How sensors reach it, https://NAME:PORT; empty: by this machine's own address")
    uplink_certificate: str = setting("", "Certificate chain (PEM) shown there; empty: one that the hub makes itself")
    uplink_key: str = setting("", "Private key (PEM) of that certificate; empty: in the same file")
    hep_listen: tuple[str, ...] = setting((), "Where capture agents send HEP, as udp:, tcp: or tls:address:port")
    hep_password: str = setting("", "Authentication key that every HEP packet must carry; empty: none")
    nats_url: str = setting("", "NATS server through which several hubs share segments, nats://host:4222; empty: none")
    analyse: bool = setting(True, "Whether this hub works out findings and keeps the store up; of several, one should")


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """`[store]`: where messages are kept, and for how long."""

    url: str = setting("", "ClickHouse server, clickhouse://user:password@host:port/database; empty: embedded")
    cluster: str = setting("", "Cluster of that server, by name: tables are replicated and sharded; empty: one server")
    retention_days: int = setting(90, "Messages older than this are dropped; 0 keeps all")
    retention_bytes: int = setting(50 * GIB, "The oldest day is dropped while the store is larger; 0 sets no limit")
    memory_bytes: int = setting(2 * GIB, "Memory that one query of the embedded engine may use")
    threads: int = setting(2, "Threads that one query of the embedded engine may use")


@dataclass(frozen=True, slots=True)
class WebConfig:
    """`[web]`: the page and the API."""

    listen: str = setting("127.0.0.1:8060", "Address and port of the page; loopback only, reach it through a tunnel")


@dataclass(frozen=True, slots=True)
class NetworkName:
    """One row of `[[network.names]]`: what an operator knows of a network better than any table."""

    network: str
    country: str = ""
    asn: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """`[network]`: what is ours, and whom we know."""

    known_proxies: tuple[str, ...] = setting((), "Addresses or networks that forward for us; never called relays")
    own_domains: tuple[str, ...] = setting((), "Domains that a request for us may name")
    own_networks: tuple[str, ...] = setting((), "Networks of our own; their packets are ours")
    home_region: str = setting("", "ISO country whose dialling rules apply; empty: from the sensor's address")
    names: tuple[NetworkName, ...] = setting((), "Networks with country, ASN and name that override the tables")


@dataclass(frozen=True, slots=True)
class EnrichConfig:
    """`[enrich]`: tables that give addresses a country and a network."""

    country_mmdb: str = setting("", "MMDB file with countries that wins over the bundled one")
    asn_mmdb: str = setting("", "MMDB file with autonomous systems that wins over the bundled one")


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """`[probe]`: the open-relay test."""

    witness: str = setting("", "Where the witness listens, ADDRESS:PORT; empty: our address towards the target, 5060")
    witness_public: str = setting("", "How others reach the witness, ADDRESS:PORT, when it is behind a NAT")
    witness_token: str = setting("", "Token of a witness on another machine; `witness` is then where to join it")
    private_targets: bool = setting(False, "Whether the page may also test private and loopback addresses")
    notify_command: tuple[str, ...] = setting(
        (), "Program and arguments run when a scheduled test's result changes; the notice is JSON on standard input"
    )


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """`[guard]`: what your own edge's traffic is held against, beside `[network]`."""

    trunks: tuple[str, ...] = setting((), "Addresses or networks of carriers: our ways to the telephone network")
    own_numbers: tuple[str, ...] = setting((), "How our own numbers begin, such as +4420; a call to one is for us")
    expected_hops: int = setting(0, "Vias that a request from a stranger may arrive with; 0: any number")
    scan_targets: int = setting(
        10, "So many users asked for in vain by one stranger within an hour are a scan", least=2
    )


@dataclass(frozen=True, slots=True)
class FeedsConfig:
    """`[feeds]`: block lists and exchange formats."""

    allow: tuple[str, ...] = setting((), "Addresses or networks that stand in no feed, whatever they sent")
    honeypots: tuple[str, ...] = setting(
        (), "Sensors to which nobody honest sends anything; none: those that joined this hub and answer"
    )
    evidence: str = setting("proven", "What a source, or who vouches for an origin, showed: proven, persistent, any")
    confidence: int = setting(80, "Least confidence in an origin or a relay, 0 to 100")


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting of an installation."""

    data_dir: Path
    sensor: SensorConfig = field(default_factory=SensorConfig)
    hub: HubConfig = field(default_factory=HubConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    web: WebConfig = field(default_factory=WebConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    enrich: EnrichConfig = field(default_factory=EnrichConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    feeds: FeedsConfig = field(default_factory=FeedsConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)


@dataclass(frozen=True, slots=True)
class Given:
    """Where the effective value of one setting came from: `default`, `file`, `variable` or `flag`, and which."""

    value: Any
    source: str
    detail: str = ""


SECTIONS: Mapping[str, type] = {
    "sensor": SensorConfig,
    "hub": HubConfig,
    "store": StoreConfig,
    "web": WebConfig,
    "network": NetworkConfig,
    "enrich": EnrichConfig,
    "probe": ProbeConfig,
    "feeds": FeedsConfig,
    "guard": GuardConfig,
}


def default_data_dir() -> Path:
    """`/var/lib/relaytrap` for root and for the user whom it belongs to, otherwise `$XDG_DATA_HOME/relaytrap`."""
    user = os.geteuid()
    try:
        is_ours = user == 0 or SYSTEM_DATA.stat().st_uid == user
    except OSError:
        is_ours = False
    if is_ours:
        return SYSTEM_DATA
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "relaytrap"


def load_config(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
) -> tuple[Config, dict[str, Given]]:
    """The effective settings, and for each `section.key` where it came from.

    path: the operator's file; None when there is none. flags: `section.key` (or `data_dir`) to value, given last.
    Raises ConfigError with file, line and the nearest valid key.
    """
    given: dict[str, Given] = {"data_dir": Given(default_data_dir(), "default")}
    for section, cls in SECTIONS.items():
        for spec in dataclasses.fields(cls):
            given[f"{section}.{spec.name}"] = Given(getattr(cls(), spec.name), "default")
    if path is not None:
        _take_file(path, given)
    _take_environ(environ, given)
    for key, value in (flags or {}).items():
        if value is not None:
            given[key] = Given(_convert(key, value, _at(f"flag for {key}")), "flag")
    _take_joined(Path(given["data_dir"].value) / JOINED, given)
    sections = {
        name: cls(**{spec.name: given[f"{name}.{spec.name}"].value for spec in dataclasses.fields(cls)})
        for name, cls in SECTIONS.items()
    }
    return Config(data_dir=Path(given["data_dir"].value), **sections), given


def _take_joined(path: Path, given: dict[str, Given]) -> None:
    """What `relaytrap sensor join` remembered counts where nothing else was said."""
    try:
        if not path.exists():
            return
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot look for it ({error.strerror}); run this as the owner of the data directory, "
            "or name another with --data"
        ) from None
    told: dict[str, Given] = {}
    _take_file(path, told)
    given |= {key: one for key, one in told.items() if given[key].source == "default"}


def _take_file(path: Path, given: dict[str, Given]) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration ({error.strerror}); name a readable file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; a configuration is TOML in UTF-8") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: nested too deep") from None
    for section, table in document.items():
        where = f"{path}:{_line_of(text, None, section)}"
        if section == "data_dir":
            given["data_dir"] = Given(_convert("data_dir", table, _at(where)), "file", where)
            continue
        if section not in SECTIONS:
            raise ConfigError(f"{where}: unknown section [{section}]{_nearest(section, [*SECTIONS, 'data_dir'])}")
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: {section} is a section; write [{section}] and its keys below it")
        place = partial(_place, path, text, section)
        _refuse_unknown(section, table, SECTIONS[section], place)
        for key, value in table.items():
            given[f"{section}.{key}"] = Given(_convert(f"{section}.{key}", value, place), "file", place(key))


def _take_environ(environ: Mapping[str, str], given: dict[str, Given]) -> None:
    names = {"RELAYTRAP_" + key.replace(".", "_").upper(): key for key in given} | {"RELAYTRAP_DATA": "data_dir"}
    for name, text in environ.items():
        if not name.startswith("RELAYTRAP_") or name in OTHER_VARIABLES:
            continue
        if name not in names:
            if SERVICE_VARIABLE.fullmatch(name):
                continue
            raise ConfigError(f"environment: unknown variable {name}{_nearest(name, list(names))}")
        key = names[name]
        if key == "data_dir" and not text:
            continue
        value: Any = text
        if _type_of(key) not in (str, Path):
            try:
                value = tomllib.loads(f"v = {text}")["v"]
            except tomllib.TOMLDecodeError:
                if get_args(_type_of(key)):
                    value = [part.strip() for part in text.split(",") if part.strip()]
        given[key] = Given(_convert(key, value, _at(f"variable {name}")), "variable", name)


def _type_of(key: str) -> Any:
    section, _, name = key.rpartition(".")
    return get_type_hints(SECTIONS[section])[name] if section else Path


def _convert(key: str, value: Any, place: Place) -> Any:
    """The value of a setting as its type; the keys within rows are checked like those of a section."""
    wanted, name = _type_of(key), key.rpartition(".")[2]
    if wanted is Path:
        if not isinstance(value, (str, Path)):
            raise ConfigError(f"{place(name)}: {key} is a path; write it as text in quotes")
        return Path(value).expanduser()
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    row_type = next(iter(get_args(wanted)), None)
    if isinstance(value, list) and dataclasses.is_dataclass(row_type):
        for row in value:
            _refuse_unknown(key, row, row_type, place)
    try:
        taken = msgspec.convert(value, wanted, strict=True)
    except msgspec.ValidationError as error:
        detail = f" ({error})" if dataclasses.is_dataclass(row_type) else ""
        raise ConfigError(f"{place(name)}: {key} must be {_form(wanted, row_type)}{detail}") from None
    if wanted in (int, float) and not taken >= (least := _least(key)):  # in this form nan does not pass either
        raise ConfigError(f"{place(name)}: {key} must not be less than {least}")
    return taken


def _form(wanted: Any, item: Any) -> str:
    """What a value of a type looks like, in words. item: the type of a list's items."""
    if dataclasses.is_dataclass(item):
        return f"a list of rows with {', '.join(spec.name for spec in dataclasses.fields(item))}"
    return FORMS[item, ...] if item else FORMS[wanted]


def _least(key: str) -> int:
    section, _, name = key.rpartition(".")
    least: int = next(spec.metadata["least"] for spec in dataclasses.fields(SECTIONS[section]) if spec.name == name)
    return least


def _refuse_unknown(name: str, table: Any, cls: Any, place: Place) -> None:
    """Raise ConfigError for a key of a section or row that its dataclass does not have."""
    valid = [spec.name for spec in dataclasses.fields(cls)]
    for key in table if isinstance(table, dict) else ():
        if key not in valid:
            raise ConfigError(f"{place(key)}: unknown setting {name}.{key}{_nearest(key, valid)}")


def _at(where: str) -> Place:
    """One place for all keys."""
    return lambda key: where


def _place(path: Path, text: str, section: str, key: str) -> str:
    return f"{path}:{_line_of(text, section, key)}"


def _line_of(text: str, section: str | None, key: str) -> int:
    """1-based line where a key stands (best effort: the first of its section with it at the start or in a row)."""
    inside = section is None
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if header := re.match(r"\[\[?\s*([^\]\s.]+)(?:\.([^\]\s]+))?", bare):
            if section is None and header[1] == key:
                return number
            if section is not None:
                inside = header[1] == section
                if inside and header[2] == key:
                    return number
            continue
        if inside and re.search(rf'(?:^|[{{,])\s*"?{re.escape(key)}"?\s*[=.]', bare):
            return number
    return 1


def _nearest(word: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; valid are {', '.join(sorted(valid))}"
