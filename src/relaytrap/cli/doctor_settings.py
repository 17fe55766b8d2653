"""What the doctor looks at in the settings: each is read as by the program that uses it, which says what is wrong."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from relaytrap.cli.doctor_machine import check_expiry
from relaytrap.cli.finding import Finding
from relaytrap.clock import now_ns, parse_rfc3339
from relaytrap.config import Config

__all__ = ["check_feeds", "check_network", "check_persona", "check_probe", "check_tables", "check_tls"]

OLD_DAYS: Final = 365
DAY_NS: Final = 86_400_000_000_000


def check_persona(config: Config) -> Iterator[Finding]:
    """The device that the sensor plays; one that reads along plays none."""
    if config.sensor.listen_only:
        return
    from relaytrap.sensor.personas import load_persona

    persona = load_persona(config.sensor.persona, seed=config.sensor.seed)
    yield Finding("persona", "good", f"{config.sensor.persona}: {persona.title}")


def check_tls(config: Config) -> Iterator[Finding]:
    """A certificate of the operator's that the sensor shows."""
    if not config.sensor.tls_certificate:
        return
    from relaytrap.sensor.certificate import check_certificate

    path = Path(config.sensor.tls_certificate).expanduser()
    check_certificate(path)
    yield check_expiry("tls", path)


def check_network(config: Config) -> Iterator[Finding]:
    """Whether we were told which networks, domains and proxies are ours: without it a carrier looks like a relay."""
    from phonenumbers import SUPPORTED_REGIONS

    from relaytrap.evidence.path import PathSetting
    from relaytrap.hub.capture_files import read_options

    PathSetting.of(config.network)
    read_options(config)
    region = config.network.home_region
    if region and region.upper() not in SUPPORTED_REGIONS:
        yield Finding(
            "network", "wrong", f"network.home_region: {region!r} is no ISO code of a country; write AU or DE"
        )
    if not config.network.known_proxies:
        yield Finding(
            "network", "note", "network.known_proxies is empty: a carrier's proxy of yours would look like a relay"
        )
    else:
        yield Finding("network", "good", f"network.known_proxies names {len(config.network.known_proxies)}")


def check_feeds(config: Config) -> Iterator[Finding]:
    """What keeps addresses out of block lists: a wrong network there would keep nobody out."""
    from relaytrap.hub.feed import check_settings

    check_settings(config)
    yield Finding("feeds", "good", f"feeds.allow names {len(config.feeds.allow)}")


def check_tables(config: Config) -> Iterator[Finding]:
    """The tables of countries and networks: readable, and not years old."""
    from relaytrap.enrich import Enricher

    # Without a directory to unpack the bundled ones into: nothing is changed here.
    enricher = Enricher.open(config.enrich, config.network)
    for table in enricher.tables:
        days = (now_ns() - parse_rfc3339(f"{table.date}T00:00:00Z")) // DAY_NS
        text = f"{table.kind}, {for_whom(table.source)}, of {table.date}"
        if days > OLD_DAYS:
            advice = f"enrich.{table.kind}_mmdb may name a newer one"
            yield Finding("tables", "note", f"{text}: {days} days old; update Relaytrap, or {advice}")
        else:
            yield Finding("tables", "good", text)


def for_whom(source: str) -> str:
    """Where a table came from."""
    return "bundled" if source == "bundled" else f"yours ({source})"


def check_probe(config: Config) -> Iterator[Finding]:
    """What the open-relay test is told: where its witness is, and what to run when a result changes."""
    from relaytrap.probe.place import parse_name, parse_places
    from relaytrap.probe.remote import CONTROL_PORT, JoinToken
    from relaytrap.probe.witness import WITNESS_PORT

    named = config.probe
    if named.witness_token:
        JoinToken.parse(named.witness_token)
        parse_name(named.witness, CONTROL_PORT)
    else:
        parse_places(named.witness, WITNESS_PORT)
    parse_places(named.witness_public, WITNESS_PORT)
    if named.notify_command and shutil.which(named.notify_command[0]) is None:
        text = f"probe.notify_command: {named.notify_command[0]} is no program that this user may run; name its path"
        yield Finding("probe", "wrong", text)
