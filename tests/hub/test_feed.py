"""Whom a feed names: what honeypots saw, on evidence, and never one of our own."""

import contextlib
import dataclasses
import itertools
import json

import pytest

from relaytrap.config import Config, FeedsConfig, GuardConfig, HubConfig, NetworkConfig, SensorConfig
from relaytrap.errors import ConfigError, InputError
from relaytrap.feeds import FORMATS, TITLES
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.feed import OPTIONS, Wanted, check_settings, gather_feed, write_feed
from relaytrap.hub.keys import Keys
from tests.storing import NOON_NS, address, keep, row

NOW = NOON_NS + 3600 * 10**9
TCP = {"direction": 1, "kind": 1, "path_verdict": b"direct", "transport": b"tcp"}
GOOD, BAD = "100.20.30.40", "100.20.30.41"


@pytest.fixture
def installation(tmp_path):
    """Settings of a hub which the honeypot `trap` joined, and the sensor `edge` that reads along."""
    with contextlib.closing(HubDatabase(tmp_path)) as database:
        keys = Keys(database)
        for name, persona in (("trap", "asterisk"), ("edge", "")):
            keys.add(name)
            keys.note_heartbeat(name, {"persona": persona}, None)
        with database.transaction() as connection:
            connection.execute("INSERT INTO runs VALUES ('trap', 'r', 1, 1, 1, '', '100.20.30.99')")
    return Config(data_dir=tmp_path)


def attacked(store, *sources, token="t", sensor=b"trap", **given):
    """Each of these held a connection with a sensor."""
    rows = []
    for number, source in enumerate(sources):
        seen = {"source": address(source), "sensor": sensor, **given}
        rows += [row(2 * number, **{**TCP, **seen})]
        rows += [row(2 * number + 1, **{**TCP, **seen, "direction": 2, "kind": 2, "path_verdict": b""})]
    keep(store, rows, token)


def listed(store, config, name="attackers", **given):
    feed = gather_feed(store, config, Wanted.parse(name, given, config, NOW))
    return [each.address for each in feed.indicators], feed


def test_whoever_attacked_a_honeypot_and_proved_its_address_is_listed(store, installation):
    attacked(store, BAD)
    keep(store, [row(9, source=address(GOOD), direction=1, kind=1, path_verdict=b"direct")], "udp")
    found, feed = listed(store, installation)
    assert found == [BAD]
    assert feed.left_out == {"sources that did not show that the address is theirs": 1}
    assert listed(store, installation, evidence="any")[0] == [GOOD, BAD]


def test_who_is_seen_by_a_production_server_is_no_attacker(store, installation):
    attacked(store, BAD, sensor=b"edge", token="1")
    attacked(store, BAD, sensor=b"hep-sydney", token="2")
    attacked(store, BAD, sensor=b"monday", capture=b"monday.pcap", token="3")
    assert listed(store, installation)[0] == []
    assert listed(store, installation, sensor="hep-sydney,edge")[0] == [BAD]


RELAYS = tuple(f"100.30.{number}.1" for number in range(5))


NAMING = {"origin": address(BAD), "via_count": 2}


def vouched(store, origin, relays=RELAYS):
    """Each of these relays, in a network of its own, wrote down that it took a request from an origin."""
    at = "2026-09-22 12:00:00"
    sums = {"hour": at, "first": at, "last": at, "messages": 1, "openers": 1, "version": 1, "verdict": "relayed"}
    vouches = [
        {
            **sums,
            "relay": f"::ffff:{relay}",
            "track": number,
            "origin": f"::ffff:{origin}",
            "confidence": 60,
            "asn": number,
        }
        for number, relay in enumerate(relays, 1)
    ]
    store.insert_rows("relay_hours", vouches)
    tracks = [
        {**sums, "track": number, "source": f"::ffff:{relay}", "origin": f"::ffff:{origin}", "sensors": ["trap"]}
        for number, relay in enumerate(relays, 1)
    ]
    store.insert_rows("track_hours", tracks)
    finding = {"origin": f"::ffff:{origin}", "confidence": 95, "relays": len(relays), "networks": 5, "version": 1}
    store.insert_rows("origin_findings", [finding])


def test_an_origin_is_listed_on_the_word_of_relays_that_proved_their_addresses(store, installation):
    vouched(store, BAD)
    attacked(store, *RELAYS[:3], path_verdict=b"relayed", **NAMING)
    found, feed = listed(store, installation, "origins")
    assert found == [BAD]
    assert feed.indicators[0].reasons[-1] == "3 relays in 3 networks vouch for it"


def test_made_up_relays_accuse_nobody(store, installation):
    vouched(store, BAD)
    keep(
        store,
        [row(n, source=address(each), direction=1, kind=1, path_verdict=b"relayed") for n, each in enumerate(RELAYS)],
        "t",
    )
    found, feed = listed(store, installation, "origins")
    assert (found, feed.left_out) == ([], {"origins and relays of less confidence": 1})
    assert listed(store, installation, "origins", evidence="any")[0] == [BAD]


def test_who_sends_in_the_name_of_relays_that_proved_their_addresses_accuses_nobody(store, installation):
    vouched(store, BAD)
    attacked(store, *RELAYS, path_verdict=b"relayed", call_id=b"1", **NAMING | {"origin": address(GOOD)})
    forged = [
        row(n, source=address(each), direction=1, kind=1, path_verdict=b"relayed", call_id=call, **NAMING)
        for n, (each, call) in enumerate(itertools.product(RELAYS, (b"1", b"2")))
    ]
    keep(store, forged, "forged")
    assert listed(store, installation, "origins")[0] == []


def test_relays_prove_nothing_by_what_an_agent_of_hep_tells(store, installation):
    vouched(store, BAD)
    attacked(store, *RELAYS, sensor=b"hep-edge", path_verdict=b"relayed", **NAMING)
    assert listed(store, installation, "origins")[0] == []


def test_an_agent_of_hep_cannot_pass_for_a_honeypot(store, installation):
    with contextlib.closing(HubDatabase(installation.data_dir)) as database:
        with database.transaction() as connection:  # as a hub took it before such names were refused
            connection.execute("INSERT INTO sensors (name, token_hash, created_at_ns) VALUES ('hep-trap', x'00', 1)")
        Keys(database).note_heartbeat("hep-trap", {"persona": "asterisk"}, None)
    attacked(store, BAD, sensor=b"hep-trap")
    assert listed(store, installation)[0] == []


def test_an_origin_that_no_honeypot_saw_is_not_listed(store, installation):
    vouched(store, BAD)
    attacked(store, *RELAYS, token="1", path_verdict=b"relayed")
    attacked(store, "100.40.1.1", token="2", sensor=b"cellar")
    found, feed = listed(store, installation, "origins", sensor="cellar")
    assert (found, feed.left_out) == ([], {"origins and relays that no honeypot saw": 1})


def test_a_relay_is_listed_as_a_victim_and_never_as_an_attacker(store, installation):
    vouched(store, BAD)
    attacked(store, *RELAYS, token="1")
    attacked(store, *RELAYS, token="2", path_verdict=b"relayed", **NAMING)
    assert listed(store, installation, "sources")[0] == []
    found, feed = listed(store, installation, "everything", confidence="50")
    assert found == [BAD, *RELAYS]
    assert [each.address for each in feed.indicators if each.is_victim] == list(RELAYS)


def test_an_operator_may_name_the_honeypots(store, installation):
    attacked(store, BAD, sensor=b"monday", capture=b"monday.pcap")
    config = dataclasses.replace(installation, feeds=FeedsConfig(honeypots=("monday",)))
    assert listed(store, config)[0] == [BAD]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"feeds": FeedsConfig(allow=("100.20.0.0/16",))}, "addresses of [feeds] allow"),
        ({"network": NetworkConfig(known_proxies=(BAD,))}, "addresses of [network] known_proxies"),
        ({"guard": GuardConfig(trunks=(BAD,))}, "addresses of [guard] trunks"),
        ({"network": NetworkConfig(own_networks=("100.20.30.0/24",))}, "addresses of [network] own_networks"),
        ({"sensor": SensorConfig(listen=(f"udp:{BAD}:5060",))}, "sensor addresses"),
        ({"hub": HubConfig(uplink_url=f"https://{BAD}:8443")}, "sensor addresses"),
    ],
)
def test_nobody_of_our_own_is_listed_whatever_came_from_there(store, installation, changed, reason):
    attacked(store, BAD, "100.10.1.1")
    found, feed = listed(store, dataclasses.replace(installation, **changed))
    assert (found, feed.left_out) == (["100.10.1.1"], {reason: 1})


def test_a_sensor_is_never_listed(store, installation):
    attacked(store, "100.20.30.98", "100.20.30.99", token="1")
    attacked(store, BAD, local=address("100.20.30.98"), token="2")
    assert listed(store, installation)[0] == [BAD]


def test_the_sample_is_left_out_unless_it_is_asked_for(store, installation):
    attacked(store, "192.0.2.77", sensor=b"sample-sydney")
    found, feed = listed(store, installation)
    assert found == []
    assert any("The bundled sample is left out" in line for line in feed.head)
    assert listed(store, installation, sample="yes")[0] == ["192.0.2.77"]


def test_a_hub_without_honeypots_says_so(store, tmp_path):
    found, feed = listed(store, Config(data_dir=tmp_path))
    assert found == []
    assert any("No honeypot" in line for line in feed.head)


def test_a_honeypot_that_joined_and_sent_nothing_counts_for_none(store, installation):
    with pytest.raises(InputError, match="No honeypot"):
        write_feed(store, installation, Wanted.parse("attackers", {}, installation, NOW), "nft")


def test_what_was_seen_before_the_asked_time_is_not_listed(store, installation):
    attacked(store, BAD)
    assert listed(store, installation, since="2026-09-22 12:30")[0] == []


@pytest.mark.parametrize("name", TITLES)
@pytest.mark.parametrize("form", FORMATS)
def test_every_feed_is_written_in_every_format(store, installation, name, form):
    attacked(store, BAD)
    feed = listed(store, installation, name)[1]
    assert (BAD in FORMATS[form].write(feed).decode()) == (name in ("attackers", "sources", "everything"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"evidence": "hope"}, "evidence"),
        ({"confidence": "101"}, "confidence"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"network": "somewhere"}, "network"),
        ({"colour": "red"}, "colour"),
        ({"sample": "perhaps"}, "sample"),
    ],
)
def test_a_wrong_option_is_named(installation, given, told):
    with pytest.raises(InputError, match=told):
        Wanted.parse("attackers", given, installation, NOW)


def test_a_sensor_that_sent_nothing_is_named(store, installation):
    attacked(store, BAD)
    with pytest.raises(InputError, match="'cellar'"):
        listed(store, installation, sensor="trap,cellar")


def test_a_wrong_setting_is_named(store, installation):
    config = dataclasses.replace(installation, feeds=FeedsConfig(allow=("carrier.example",)))
    with pytest.raises(ConfigError, match=r"feeds\.allow.*carrier\.example"):
        listed(store, config)


@pytest.mark.parametrize(
    ("feeds", "named"), [(FeedsConfig(evidence="hope"), "evidence"), (FeedsConfig(confidence=101), "confidence")]
)
def test_a_setting_beyond_its_values_is_named(installation, feeds, named):
    with pytest.raises(ConfigError, match=rf"feeds\.{named}"):
        check_settings(dataclasses.replace(installation, feeds=feeds))


def test_every_option_is_taken(installation):
    given = {
        "since": "1d",
        "country": "FR",
        "asn": "AS1",
        "network": "192.0.2.0/24",
        "evidence": "any",
        "confidence": "5",
        "sensor": "a,b",
        "limit": "3",
        "sample": "yes",
    }
    assert list(given) == list(OPTIONS)
    wanted = Wanted.parse("everything", given, installation, NOW)
    assert (wanted.sensors, wanted.limit, wanted.confidence, wanted.sample) == (("a", "b"), 3, 5, True)


def test_jsonl_says_of_each_why_it_stands_there(store, installation):
    attacked(store, BAD)
    (line,) = FORMATS["jsonl"].write(listed(store, installation)[1]).decode().splitlines()
    assert json.loads(line)["reasons"] == ["1 request at 1 honeypot", "held a connection with us"]
