"""Who takes part: sensors, relays, origins, scanners. Addresses come from the sample's own table of networks.

Every choice is drawn from a seeded generator, so that a new recording has the same cast.
"""

import ipaddress
import random
from dataclasses import dataclass

from relaytrap.config import NetworkName
from relaytrap.sample.networks import load_networks

# Banners of two session border controllers that do not exist; the 2022 relays were of two brands, nine to one.
BRAND_A, BRAND_B = "ExampleSBC/4.6.2", "Example Groupware SIP 11.4.1 x64"


@dataclass(frozen=True)
class Sensor:
    """One honeypot: its addresses, the device it plays, where its records go."""

    name: str
    addresses: tuple[str, ...]
    persona: str

    @property
    def room(self) -> str:
        return "hp-" + self.name.removeprefix("sample-")


SENSORS = (
    Sensor("sample-sydney", ("192.0.2.10",), "cisco"),
    Sensor("sample-frankfurt", ("192.0.2.74", "2001:db8:1::10"), "kamailio"),
    Sensor("sample-ashburn", ("192.0.2.138", "2001:db8:2::10"), "sbc"),
    Sensor("sample-singapore", ("192.0.2.202",), "asterisk"),
)
HONEYPOTS = tuple(sensor.addresses[0] for sensor in SENSORS)
HONEYPOTS6 = tuple(sensor.addresses[1] for sensor in SENSORS if len(sensor.addresses) > 1)

SWEEPER = "198.51.100.77"  # Example VPN: behind the relays, never seen directly
WAR_DIALLER = "198.51.100.91"  # Example VPN: svwar through four of the same relays
CALLER = "198.51.100.140"  # sipp through record-routing relays
FORGER = "198.51.100.150"  # makes up Vias that name the clinic
CLINIC = "203.0.113.101"  # innocent: sends nothing at all
BYSTANDER = "203.0.113.70"  # innocent: the lying relay names it as the sender of everything
RELAY_HUNTER = "198.51.100.200"
OLD_DIALLER = "198.51.100.5"  # Example Telecom MY: the 2010 message
CARRIER, CUSTOMER = "203.0.113.222", "203.0.113.210"


@dataclass(frozen=True)
class Relay:
    """A server that forwards for anybody.

    kind: a route block of kamailio.py, or a mode of b2bua.py. next_hop: sends everything through another relay.
    key: of its topology hiding. names: whom it names as sender, when it lies.
    """

    address: str
    kind: str
    brand: str = BRAND_A
    next_hop: str = ""
    key: str = ""
    names: str = ""


# How many of which kind; the rest up to RELAYS is stateful. The brands' shares are those of the 2022 story.
KINDS = (
    ("stateless", 14),
    ("topoh", 4),
    ("topoh-key", 4),
    ("b2bua", 4),
    ("b2bua-call-id", 2),
    ("strip", 3),
    ("contact", 3),
    ("liar", 1),
    ("keeps-user-agent", 2),
    ("to-tcp", 2),
)
RELAYS = 116
ABROAD = 11


def relays() -> tuple[Relay, ...]:
    """The relays that anybody can send to; two of them pass everything on to one of `exits()`."""
    rng = random.Random("relays")
    homes = networks_in("198.18.0.0/16")
    us = [row.network for row in homes if row.country == "US"]
    abroad = [row.network for row in homes if row.country != "US"]
    addresses = [host(rng, us[n % len(us)]) for n in range(RELAYS - ABROAD)]
    addresses += [host(rng, abroad[n % len(abroad)]) for n in range(ABROAD)]
    rng.shuffle(addresses)
    kinds = [kind for kind, count in KINDS for _ in range(count)]
    kinds += ["stateful"] * (RELAYS - len(kinds))
    rng.shuffle(kinds)
    plain = [n for n, kind in enumerate(kinds) if kind == "stateful"]
    chained = dict(zip(plain, EXITS, strict=False))
    others = [n for n, kind in enumerate(kinds) if kind in ("stateful", "stateless", "b2bua") and n not in chained]
    second_brand = set(rng.sample(others, RELAYS // 10))
    return tuple(
        Relay(
            address,
            kind,
            BRAND_B if n in second_brand else BRAND_A,
            next_hop=chained.get(n, ""),
            key=f"not-a-secret-{n % 2}" if kind == "topoh-key" else "",
            names=BYSTANDER if kind == "liar" else "",
        )
        for n, (address, kind) in enumerate(zip(addresses, kinds, strict=True))
    )


EXITS = ("198.18.5.99", "198.18.40.99")


def exits() -> tuple[Relay, ...]:
    """Second relays of the two chains; nobody else sends to them."""
    return tuple(Relay(address, "stateful") for address in EXITS)


def networks_in(parent: str) -> list[NetworkName]:
    """The table's rows within a network."""
    whole = ipaddress.ip_network(parent)
    nets = [(ipaddress.ip_network(row.network), row) for row in load_networks().names]
    return [row for net, row in nets if net.version == whole.version and net.subnet_of(whole)]


def host(rng: random.Random, network: str) -> str:
    """Some host address of a network, never its first or last few."""
    net = ipaddress.ip_network(network)
    return str(net[rng.randrange(4, min(net.num_addresses, 1 << 20) - 4)])


# Direct sources by country: what a honeypot's week looks like; every other country of the table gets one or two.
BUSY = {"US": 34, "CN": 22, "NL": 18, "RU": 14, "DE": 14, "FR": 14, "IN": 12, "BR": 12, "VN": 10, "GB": 9}
BUSY |= {"ID": 8, "PS": 8, "IR": 7, "TR": 7, "KR": 6, "PL": 6, "HK": 6, "SG": 5, "IT": 5, "UA": 5, "CA": 5, "RO": 5}
BUSY |= {"EG": 4, "ZA": 4, "TH": 4, "BG": 4, "ES": 4, "MX": 4, "AR": 4, "PK": 4, "JP": 4, "TW": 4, "LT": 4, "SE": 3}


@dataclass(frozen=True)
class Scanner:
    """A direct source: what it is, where."""

    address: str
    country: str


def scanners() -> tuple[Scanner, ...]:
    """The world's direct sources, shuffled; IPv6 ones last."""
    rng = random.Random("scanners")
    by_country: dict[str, list[str]] = {}
    for row in networks_in("198.19.0.0/16"):
        by_country.setdefault(row.country, []).append(row.network)
    homes6 = [row for row in networks_in("2001:db8::/32") if row.asn != 65536]
    six = [Scanner(host(rng, row.network), row.country) for row in homes6 for _ in range(2)]
    four: dict[str, Scanner] = {}
    for country, networks in by_country.items():
        for n in range(BUSY.get(country, rng.randint(1, 2))):
            scanner = Scanner(host(rng, networks[n % len(networks)]), country)
            four[scanner.address] = scanner
    mixed = list(four.values())
    rng.shuffle(mixed)
    return (*mixed, *six)
