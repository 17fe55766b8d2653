"""Every question of the catalogue as a plan over two shards, by the real engine.

The cluster "two" (tests/clickhouse.py) has one node twice, so both shards hold the same messages: what counts messages
is doubled, what counts different things is not, and what was found over sets stands once.
"""

import uuid

import pytest

from relaytrap.config import Config
from relaytrap.hub.analyse import Analysis
from relaytrap.hub.batch import make_batch
from relaytrap.hub.rows import RowSetting
from relaytrap.store.queries import CATALOGUE, run_query
from relaytrap.store.schema import Layout, messages_ddl, rollup_ddl
from tests.clickhouse import running_clickhouse
from tests.evidence.relays import Scene, b2bua, kamailio, request
from tests.evidence.test_association import sweep
from tests.storing import opened_store

ORIGIN = "198.51.100.66"
RELAYS = [*((kamailio, f"203.0.113.{n}") for n in range(11, 17)), (b2bua, "203.0.113.31")]
# Lists of messages, of which each now comes twice.
LISTS = {"messages", "arrivals", "conversation", "sweep"}
# Fields that count messages; all others must stay as they are.
COUNTS = {
    "count": {"messages"},
    "countries": {"messages", "through_others"},
    "countries_by_time": {"messages"},
    "fan": {"requests"},
    "leaders": {"messages"},
    "leading_sources": {"messages", "relayed"},
    "networks": {"messages", "relayed"},
    "numbers": {"messages"},
    "relays_by_time": {"messages"},
    "sensor_addresses": {"messages"},
    "sensors": {"messages"},
    "source": {"messages", "relayed"},
    "sources": {"messages", "relayed"},
    "timeline": {"messages"},
    "totals": {"messages", "through_others"},
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Every question's rows over one shard, and over two."""
    folder = tmp_path_factory.mktemp("shards")
    with (
        running_clickhouse(folder / "server") as url,
        opened_store(folder / "hub", url=url + "db", cluster="one") as store,
    ):
        _fill(store, RowSetting.of(Config(data_dir=folder / "hub")))
        options = _options(store)
        one = {name: list(run_query(store, name, options.get(name, {}))) for name in CATALOGUE}
        _spread(store, Layout("two", "db"))
        two = {name: list(run_query(store, name, options.get(name, {}))) for name in CATALOGUE}
        yield one, two


def _fill(store, setting):
    scene = Scene()
    sweep(scene, ORIGIN, range(100, 160), RELAYS)
    for number in range(10):
        scene.send(request("198.51.100.72", str(500 + number), serial=number), "198.51.100.72", at=number)
        scene.send(request("198.51.100.72", f"0044203399882{number}", serial=number), "198.51.100.72", at=20 + number)
    store.insert_block("messages", make_batch(scene.seen, setting, 0).block, uuid.uuid4().hex)
    Analysis(store).update()


def _options(store):
    """What each question asks for."""
    message = next(iter(run_query(store, "messages", {"limit": 1})))
    relay = next(iter(run_query(store, "relays", {})))
    campaign = next(iter(run_query(store, "campaigns", {})))
    every = {"since": "2000-01-01", "until": "2100-01-01"}
    given = {name: {"id": message["id"]} for name in ("message", "conversation")}
    given |= {name: {"id": campaign["id"]} for name in ("campaign", "sweep", "relay_hours", "fan")}
    given |= {"source": {"address": relay["address"]}, "relay": {"address": relay["address"]}}
    given |= {"origin": {"address": ORIGIN}, "arrivals": {"since_ms": "0"}, "messages": {"limit": 1000}}
    return given | {"leaders": every | {"facets": "tool,method,dialled_core"}}


def _spread(store, layout):
    for statement in (*messages_ddl(layout), *rollup_ddl(layout)):
        if "ENGINE = Distributed" in statement:
            store.command(statement.replace("CREATE TABLE IF NOT EXISTS", "CREATE OR REPLACE TABLE"))


@pytest.mark.parametrize("name", CATALOGUE)
def test_two_shards_double_what_counts_messages_and_nothing_else(answers, name):
    one, two = answers[0][name], answers[1][name]
    assert one
    if name in LISTS:
        assert sorted(map(_key, two)) == sorted([*map(_key, one)] * 2)
        return
    expected = [_doubled(row, COUNTS.get(name, set())) for row in one]
    assert sorted(two, key=repr) == sorted(expected, key=repr)


def _doubled(row, counts):
    # Placements by association are findings: they stand once.
    return row if row.get("association") else {k: v * 2 if k in counts else v for k, v in row.items()}


def _key(row):
    return row.get("id") or row["message"]
