"""Relays, origins and campaigns as every door is given them: titles, confidence, who vouches."""

import uuid

import pytest

from relaytrap.config import Config, EnrichConfig, NetworkConfig, NetworkName
from relaytrap.enrich import Enricher
from relaytrap.errors import InputError
from relaytrap.hub.analyse import Analysis
from relaytrap.hub.batch import make_batch
from relaytrap.hub.rows import RowSetting
from relaytrap.store.queries import run_query
from tests.evidence.relays import Scene, kamailio, request
from tests.storing import opened_store

# Each tries its targets from an address of its own.
TRIED = {
    "198.51.100.1": ("100", "1000", "200", "9999"),
    "198.51.100.2": ("9999", *map(str, range(200, 1000, 100))),
    "198.51.100.3": tuple(map(str, range(100, 116))),
    "198.51.100.4": ("100", "101"),
    "198.51.100.5": ("alice", "bob"),
    "198.51.100.6": tuple(map(str, range(100, 70_000, 1000))),
    "198.51.100.7": ("00442079460123", "900442079460123", "100", "9999"),
}


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory):
    scene = Scene()
    for source, targets in TRIED.items():
        for number, target in enumerate(targets):
            scene.send(request(source, target, serial=number), source, at=number)
    with opened_store(tmp_path_factory.mktemp("findings")) as store:
        batch = make_batch(scene.seen, RowSetting.of(Config(data_dir=tmp_path_factory.mktemp("tables"))), 0)
        store.insert_block("messages", batch.block, uuid.uuid4().hex)
        Analysis(store).update()
        return {row["origin"]: row for row in run_query(store, "campaigns", {"limit": 0})}


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("198.51.100.1", "Extensions 100, 200, 1000 and 9999"),
        ("198.51.100.2", "9 extensions 200–9999"),
        ("198.51.100.3", "Extension sweep 100–115"),
        ("198.51.100.4", "Extensions 100 and 101"),
        ("198.51.100.5", "2 extensions"),
        ("198.51.100.6", "Extension sweep 100–69100"),
        ("198.51.100.7", "Toll-fraud probing"),
    ],
)
def test_a_campaign_is_a_sweep_only_when_it_tries_many_or_most_of_a_range(campaigns, source, title):
    assert campaigns[source]["title"] == title


def test_a_campaign_that_came_direct_infers_no_origin_and_has_no_confidence_in_one(campaigns):
    assert {row["confidence"] for row in campaigns.values()} == {None}


RELAYED = {"203.0.113.11": "198.51.100.66", "203.0.113.12": "198.51.100.66", "203.0.114.1": "198.51.100.77"}
NAMES = (
    NetworkName("203.0.113.0/24", "MY", 64500, "Example"),
    NetworkName("203.0.114.0/24", "MY", 64501, "Example East"),
    NetworkName("198.51.100.64/29", "NL", 64502, "Example VPN"),
    NetworkName("198.51.100.72/29", "RO", 64503, "Example Servers"),
)


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """Three relays of one country and two networks, and the two origins behind them."""
    scene, network = Scene(), NetworkConfig(names=NAMES)
    for number, (relay, origin) in enumerate(RELAYED.items()):
        for each in range(6):
            target = str(100 + 10 * number + each)
            scene.send(request(origin, target, serial=each), origin, (kamailio, relay), at=number * 10 + each)
    config = Config(data_dir=tmp_path_factory.mktemp("tables"), network=network)
    with opened_store(tmp_path_factory.mktemp("placed")) as store:
        batch = make_batch(scene.seen, RowSetting.of(config), 0)
        store.insert_block("messages", batch.block, uuid.uuid4().hex)
        Analysis(store, Enricher.open(EnrichConfig(), network)).update()
        yield store


@pytest.mark.parametrize(
    ("question", "given", "expected"),
    [
        ("relays", {"country": "my"}, set(RELAYED)),
        ("relays", {"asn": "AS64501"}, {"203.0.114.1"}),
        ("relays", {"network": "203.0.113.0/24"}, {"203.0.113.11", "203.0.113.12"}),
        ("relays", {"network": "203.0.113.12"}, {"203.0.113.12"}),
        ("relays", {"country": "MY", "asn": 64500, "network": "203.0.112.0/22"}, {"203.0.113.11", "203.0.113.12"}),
        ("relays", {"country": "NL"}, set()),
        ("relays", {"country": "MY", "asn": "64502"}, set()),
        ("relays", {"network": "2001:db8::/32"}, set()),
        ("origins", {"country": "RO"}, {"198.51.100.77"}),
        ("origins", {"asn": "64502"}, {"198.51.100.66"}),
        ("origins", {"network": "198.51.100.64/28"}, {"198.51.100.66", "198.51.100.77"}),
        ("origins", {"country": "RO", "network": "198.51.100.66"}, set()),
        ("origins", {"country": "MY"}, set()),
    ],
)
def test_relays_and_origins_are_those_of_a_place(placed, question, given, expected):
    assert {row["address"] for row in run_query(placed, question, given)} == expected


@pytest.mark.parametrize("question", ["relays", "origins", "campaigns"])
def test_findings_since_a_time_are_those_that_were_seen_then_or_later(placed, question):
    everything = list(run_query(placed, question, {"limit": 0}))
    times = sorted({row["last_seen"] for row in everything})
    assert len(times) > 1
    for since in times:
        rows = run_query(placed, question, {"since": since})
        assert sorted(rows, key=repr) == sorted((row for row in everything if row["last_seen"] >= since), key=repr)
    assert run_query(placed, question, {"since": "2100-01-01"}) == []


def test_a_campaign_since_a_time_is_the_one_of_its_identifier_or_none(placed):
    (row,) = run_query(placed, "campaigns", {"limit": 1})
    assert run_query(placed, "campaigns", {"id": row["id"], "since": row["last_seen"]}) == [row]
    assert run_query(placed, "campaigns", {"id": row["id"], "since": "2100-01-01"}) == []


def test_a_place_is_cut_into_pages_as_everything_is(placed):
    pages = [run_query(placed, "relays", {"country": "MY", "limit": 2, "offset": offset}) for offset in (0, 2)]
    assert [len(page) for page in pages] == [2, 1]
    assert {row["address"] for page in pages for row in page} == set(RELAYED)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"country": "usa"}, "country: 'usa' is no ISO code"),
        ({"asn": "' OR 1=1 --"}, "asn: .* is not understood .*such as AS64500"),
        ({"network": "203.0.113.0/33"}, "network: '203.0.113.0/33' is no address or network"),
        ({"network": "fe80::1%eth0"}, "network: 'fe80::1%eth0' is no address or network"),
        ({"method": "INVITE"}, "no filter 'method'; there are since, country, asn, network"),
    ],
)
@pytest.mark.parametrize("question", ["relays", "origins"])
def test_a_place_that_is_none_is_refused_in_the_words_of_every_filter(placed, question, given, sentence):
    with pytest.raises(InputError, match=sentence):
        run_query(placed, question, given)


def test_a_condition_that_a_question_does_not_take_is_refused_and_not_passed_over(placed):
    with pytest.raises(InputError, match="no filter 'country'; there are since"):
        run_query(placed, "campaigns", {"country": "MY"})
