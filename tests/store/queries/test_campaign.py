"""What the pictures of a campaign are drawn from."""

import uuid

import pytest

from relaytrap.config import Config
from relaytrap.hub.analyse import Analysis
from relaytrap.hub.batch import make_batch
from relaytrap.hub.rows import RowSetting
from relaytrap.store import Store
from relaytrap.store.queries import members, run_query
from relaytrap.store.queries.campaign import details_of, fan_of, relay_hours_of, sweep_of
from tests.evidence.relays import Scene, request
from tests.storing import opened_store

SOURCE = "198.51.100.1"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    scene = Scene()
    for number in range(5):
        scene.send(request(SOURCE, str(100 + number), serial=number), SOURCE, at=number)
    with opened_store(tmp_path_factory.mktemp("campaign")) as store:
        batch = make_batch(scene.seen, RowSetting.of(Config(data_dir=tmp_path_factory.mktemp("tables"))), 0)
        store.insert_block("messages", batch.block, uuid.uuid4().hex)
        Analysis(store).update()
        yield store


@pytest.fixture
def asked(monkeypatch):
    """Every question that reaches the store."""
    asked, raw = [], Store.raw

    def noted(self, sql, params=None, fmt="JSONEachRow"):
        asked.append(sql)
        return raw(self, sql, params, fmt)

    monkeypatch.setattr(Store, "raw", noted)
    return asked


def test_pictures_of_a_campaign_need_no_second_search_for_it(store, asked):
    campaign = next(iter(run_query(store, "campaign", {"id": run_query(store, "campaigns", {})[0]["id"]})))
    asked.clear()
    drawn = [sweep_of(store, campaign, limit=20_000), fan_of(store, campaign), relay_hours_of(store, campaign)]
    assert len(asked) == 3
    assert len(drawn[0]) == 5
    assert drawn == [list(run_query(store, name, {"id": campaign["id"]})) for name in ("sweep", "fan", "relay_hours")]


def test_a_campaign_is_found_by_its_identifier_whether_a_list_told_it_or_not(store, asked, monkeypatch):
    campaign = next(iter(run_query(store, "campaigns", {})))
    asked.clear()
    told = run_query(store, "campaign", {"id": campaign["id"]})
    searches = len(asked)
    monkeypatch.setattr(members, "_OWNERS", {})
    assert run_query(store, "campaign", {"id": campaign["id"]}) == told
    assert len(asked) == 2 * searches + 1


def test_campaign_without_associations_goes_through_no_placements(store, asked):
    campaign = next(iter(run_query(store, "campaigns", {})))
    asked.clear()
    details = details_of(store, campaign)
    assert [each["requests"] for each in details["evidence"]] == [5]
    assert not [sql for sql in asked if "placements FINAL" in sql]
