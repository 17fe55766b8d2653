"""Relays, origins and campaigns as every door is given them: titles, confidence, who vouches."""

import uuid

import pytest

from relaytrap.config import Config
from relaytrap.hub.analyse import Analysis
from relaytrap.hub.batch import make_batch
from relaytrap.hub.rows import RowSetting
from relaytrap.store.queries import run_query
from tests.evidence.relays import Scene, request
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
        yield {row["origin"]: row for row in run_query(store, "campaigns", {"limit": 0})}


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
