"""A feed from the store: whom the findings name, on what evidence, and whom a feed never names.

Only what honeypots saw makes an attacker: a honeypot has no customers, so nobody honest sends it anything. Who is seen
by a production server (in a capture, over HEP, by a sensor that reads along) is mostly its customer, and stands in no
feed unless the operator calls that sensor a honeypot.
"""

import contextlib
import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from relaytrap.clock import parse_rfc3339
from relaytrap.config import Config
from relaytrap.errors import ConfigError, InputError
from relaytrap.evidence.indicator import EVIDENCE, Indicator, of_origin, of_relay, of_source
from relaytrap.evidence.origin import confidence
from relaytrap.evidence.testimony import Standing
from relaytrap.feeds import BEYOND, FORMATS, TITLES, Barrier, Feed, make_feed
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.fares import Fares
from relaytrap.hub.keys import HEP_PREFIX, Keys
from relaytrap.sample.networks import SENSOR_PREFIX as SAMPLE_PREFIX
from relaytrap.store import Store
from relaytrap.store.queries import Filter, Place, parse_conditions
from relaytrap.store.queries.direct import (
    count_direct_sources,
    list_direct_sources,
    list_sensors_of_origins,
    list_sensors_of_relays,
    read_proven_standing,
)
from relaytrap.store.queries.origins import list_origins
from relaytrap.store.queries.overview import list_leaders
from relaytrap.store.queries.relays import list_relays
from relaytrap.store.queries.sensors import list_sensor_addresses
from relaytrap.wording import counted

__all__ = ["OPTIONS", "Wanted", "check_settings", "gather_feed", "write_feed"]

SINCE: Final = "7d"
LIMIT: Final = 50_000
SENSORS_MAX: Final = 10_000
SPARE: Final = 10_000
DIGITS_MAX: Final = 18
NOBODY: Final = Standing(0, 0, 0, 0, "")
NO_HONEYPOT: Final = "No honeypot of this hub has sent anything; --sensor or [feeds] honeypots name others"
YES: Final = ("yes", "1", "true")
NO: Final = ("no", "0", "false")
# Option → its meaning; `since` and the places are those of every question.
OPTIONS: Final = {
    "since": f"Seen from this time on: 2026-01-31 18:30 (UTC), RFC 3339, or 90m, 24h, 7d ago; default {SINCE}",
    "country": "Country it is in (ISO code)",
    "asn": "Autonomous system it is in, such as AS64500",
    "network": "Its address, or a network that it is in",
    "evidence": f"What a source, or who vouches for an origin, showed: {', '.join(EVIDENCE)}; default: see [feeds]",
    "confidence": "Least confidence in an origin or relay, 0 to 100; default: see [feeds]",
    "sensor": "Only what these sensors saw, joined by commas; default: the honeypots",
    "limit": f"At most this many addresses, the surest; 0: all; default {LIMIT}",
    "sample": "yes: also the bundled sample, whose addresses are documentation addresses",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which feed. name: of TITLES. since: nanoseconds; since_text: as it was asked for, which is the same tomorrow.
    sensors: none: the honeypots."""

    name: str
    since: int
    since_text: str
    place: Place
    evidence: str
    confidence: int
    sensors: tuple[str, ...]
    limit: int
    sample: bool

    @classmethod
    def parse(cls, name: str, given: Mapping[str, str], config: Config, now: int) -> "Wanted":
        """From options as text; empty ones count as not given. Raises InputError or ConfigError for what is wrong."""
        if name not in TITLES:
            raise InputError(f"no feed {name!r}; there are {', '.join(TITLES)}")
        if unknown := [key for key in given if key not in OPTIONS]:
            raise InputError(f"no option {unknown[0]!r}; there are {', '.join(OPTIONS)}")
        told = {key: value for key, value in given.items() if value}
        since_text = told.get("since", SINCE)
        since = parse_conditions(Filter, {"since": since_text}, now).since
        place = parse_conditions(Place, {key: told[key] for key in ("country", "asn", "network") if key in told}, now)
        check_settings(config)
        evidence = told.get("evidence", config.feeds.evidence)
        if evidence not in EVIDENCE:
            raise InputError(f"evidence: {evidence!r} is none of {', '.join(EVIDENCE)}")
        return cls(
            name,
            since or 0,
            since_text,
            place,
            evidence,
            _number(told, "confidence", config.feeds.confidence, 100),
            tuple(part for part in told.get("sensor", "").split(",") if part),
            _number(told, "limit", LIMIT, 1 << 31),
            _yes(told, "sample"),
        )

    def has(self, role: str) -> bool:
        """Whether addresses of a role ("sources", "origins", "relays") are asked for."""
        both = {"attackers": ("sources", "origins"), "everything": ("sources", "origins", "relays")}
        return role in both.get(self.name, (self.name,))


def check_settings(config: Config) -> None:
    """Raise ConfigError for what is wrong with the settings of feeds."""
    if config.feeds.evidence not in EVIDENCE:
        raise ConfigError(f"feeds.evidence: {config.feeds.evidence!r} is none of {', '.join(EVIDENCE)}")
    if config.feeds.confidence > 100:
        raise ConfigError(f"feeds.confidence: {config.feeds.confidence} is more than 100")
    Barrier({"feeds.allow": config.feeds.allow})


def gather_feed(store: Store, config: Config, wanted: Wanted) -> Feed:
    """The feed, from what the store knows now."""
    return Gathering(store, config, wanted).feed()


def write_feed(store: Store, config: Config, wanted: Wanted, form: str) -> bytes:
    """The feed in one of FORMATS, for a program. Raises InputError where no honeypot has sent anything.

    An empty list lets a firewall forget everybody. That is right when attackers stayed away, and wrong when this is the
    data directory of another hub, or a new one.
    """
    found = Gathering(store, config, wanted)
    if not found.honeypots:
        raise InputError(NO_HONEYPOT)
    return FORMATS[form].write(found.feed())


class Gathering:
    """One feed while it is put together. left_out: why addresses stay out → how many."""

    def __init__(self, store: Store, config: Config, wanted: Wanted) -> None:
        self._store, self._config, self._wanted = store, config, wanted
        with contextlib.closing(HubDatabase(config.data_dir)) as database:
            joined, heard_from = _joined(Keys(database)), _addresses_of_sensors(database)
        self._known = self._sensors_with_messages()
        if unknown := [name for name in wanted.sensors if name not in self._known]:
            raise InputError(
                f"sensor: no message of {unknown[0]!r} is stored; relaytrap sensor list, or /sensors, names them"
            )
        self.honeypots = frozenset(self._chosen(joined)).intersection(self._known)
        self.left_out: Counter[str] = Counter()
        self.barrier = Barrier(
            {
                "sensor": [*_received_at(store), *heard_from, *_listeners(config)],
                "network.own_networks": config.network.own_networks,
                "network.known_proxies": config.network.known_proxies,
                "guard.trunks": config.guard.trunks,
                "feeds.allow": config.feeds.allow,
            },
            sample=wanted.sample,
        )

    def feed(self) -> Feed:
        """Whom the barrier lets pass."""
        return make_feed(
            self._wanted.name,
            list(self.all()),
            self.barrier,
            choice=self.choice(),
            left_out=self.left_out,
            limit=self._wanted.limit,
        )

    def all(self) -> Iterator[Indicator]:
        """Whom the feed names, before the barrier."""
        if not self.honeypots:
            return
        relays = {row["address"]: row for row in list_relays(self._store, Place(), limit=0)}
        if self._wanted.has("sources"):
            yield from self._sources(relays)
        if self._wanted.has("origins"):
            yield from self._origins(relays)
        if self._wanted.has("relays"):
            yield from self._relays()

    def choice(self) -> list[str]:
        """How it was chosen, for the head of the list."""
        wanted = self._wanted
        said = [f"Seen by {counted(len(self.honeypots), 'honeypot')} since {wanted.since_text}"]
        if wanted.has("sources"):
            said.append(f"A source has shown ({wanted.evidence}): {EVIDENCE[wanted.evidence]}")
        if wanted.has("origins") or wanted.has("relays"):
            said.append(f"Confidence in an origin or a relay is at least {wanted.confidence}")
        if wanted.has("origins") and wanted.evidence == "proven":
            said.append("An origin is vouched for by relays whose own address is proven")
        if not self.honeypots:
            said.append(NO_HONEYPOT)
        if not wanted.sample and any(name.startswith(SAMPLE_PREFIX) for name in self._known):
            said.append("The bundled sample is left out: its addresses belong to nobody (--sample takes them as well)")
        return said

    def _sources(self, relays: Mapping[str, Any]) -> Iterator[Indicator]:
        place = self._wanted.place
        where = Filter(since=self._wanted.since, country=place.country, asn=place.asn, source=place.network)
        sensors = ",".join(sorted(self.honeypots))
        # Some of them are relays or stay at the barrier; a flood of made-up sources must not be read whole for that.
        most = self._wanted.limit + len(relays) + SPARE if self._wanted.limit else 0
        rows = list_direct_sources(self._store, where, sensors=sensors, evidence=self._wanted.evidence, limit=most)
        enough = rows[0]["of"] if rows else 0
        self.left_out["sources that did not show that the address is theirs"] += (
            count_direct_sources(self._store, where, sensors=sensors) - enough
        )
        self.left_out[BEYOND] += enough - len(rows)
        for row in rows:
            if row["address"] in relays:
                self.left_out["relays, which are victims"] += 1
            else:
                yield of_source(row)

    def _origins(self, relays: Mapping[str, Any]) -> Iterator[Indicator]:
        rows = self._recent(list_origins(self._store, self._wanted.place, limit=0))
        seen_by = list_sensors_of_origins(self._store, [row["address"] for row in rows])
        rows = [row for row in rows if self._is_seen(seen_by.get(row["address"]))]
        for row in self._sure(self._witnessed(rows) if self._wanted.evidence == "proven" else rows):
            if row["address"] in relays:
                self.left_out["relays, which are victims"] += 1
            else:
                yield of_origin(row)

    def _witnessed(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Origins by what relays say of them in calls in which they proved their own addresses to a honeypot. Other
        calls may be made up: whoever wants to accuse somebody needs no answers, and can send in a thousand names."""
        where = Filter(since=self._wanted.since)
        origins, sensors = [row["address"] for row in rows], ",".join(sorted(self.honeypots))
        standing = read_proven_standing(self._store, where, origins, sensors=sensors)
        weighed = []
        for row in rows:
            by = standing.get(row["address"], NOBODY)
            sure = min(confidence(by), row["confidence"] or 0) if by.relays else 0
            weighed.append(row | {"confidence": sure, "relays": by.relays, "networks": by.networks})
        return weighed

    def _relays(self) -> Iterator[Indicator]:
        rows = self._recent(list_relays(self._store, self._wanted.place, limit=0))
        seen_by = list_sensors_of_relays(self._store, [row["address"] for row in rows])
        yield from map(of_relay, self._sure(row for row in rows if self._is_seen(seen_by.get(row["address"]))))

    def _recent(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [row for row in rows if parse_rfc3339(row["last_seen"]) >= self._wanted.since]

    def _sure(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            if (row["confidence"] or 0) >= self._wanted.confidence:
                yield row
            else:
                self.left_out["origins and relays of less confidence"] += 1

    def _is_seen(self, sensors: set[str] | None) -> bool:
        """Whether a honeypot saw it."""
        if sensors and not self.honeypots.isdisjoint(sensors):
            return True
        self.left_out["origins and relays that no honeypot saw"] += 1
        return False

    def _sensors_with_messages(self) -> list[str]:
        return [row["value"] for row in list_leaders(self._store, Filter(), facets="sensor", limit=SENSORS_MAX)]

    def _chosen(self, joined: Iterable[str]) -> Iterator[str]:
        yield from self._wanted.sensors or self._config.feeds.honeypots or joined
        if self._wanted.sample:
            yield from (name for name in self._known if name.startswith(SAMPLE_PREFIX))


def _joined(keys: Keys) -> list[str]:
    """Sensors that joined this hub and play a device; one that reads along has no persona. A name that HEP agents may
    take, too, is none, since anybody may be able to send as they do."""
    named = [sensor.name for sensor in keys.list_sensors() if Fares.of(sensor.status).persona]
    return [name for name in named if not name.startswith(HEP_PREFIX)]


def _received_at(store: Store) -> list[str]:
    """Addresses of sensors, as far as the store knows; none for what has no address of an end."""
    return [row["address"] for row in list_sensor_addresses(store) if _is_address(row["address"])]


def _addresses_of_sensors(database: HubDatabase) -> list[str]:
    """Addresses from which sensors ship."""
    with database.transaction(durable=False) as connection:
        found = [row[0] for row in connection.execute("SELECT DISTINCT address FROM runs")]
    return [text for text in found if _is_address(text)]


def _listeners(config: Config) -> Iterator[str]:
    """Addresses that this installation listens on, or is reached by."""
    places = (
        *config.sensor.listen,
        *config.hub.hep_listen,
        *(config.hub.uplink_listen, config.hub.uplink_url, config.probe.witness, config.probe.witness_public),
    )
    for place in places:
        host = place.rpartition("://")[2].rpartition(":")[0].strip("/")
        for text in (host, host.partition(":")[2]):  # with the transport before it, or not
            if _is_address(text.strip("[]")):
                yield text.strip("[]")


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _yes(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "no").lower()
    if text not in (*YES, *NO):
        raise InputError(f"{name}: {text!r} is no yes or no")
    return text in YES


def _number(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > DIGITS_MAX or int(text) > most:
        raise InputError(f"{name}: {text!r} is no whole number from 0 to {most}")
    return int(text)
