import pytest

from relaytrap.hub.importing import import_captures
from relaytrap.hub.reanalyse import reanalyse
from relaytrap.hub.rows import RULES_VERSION
from relaytrap.store.rebuild import check_rollups, rebuild_rollups
from relaytrap.store.retention import drop_sensors
from relaytrap.store.schema import CORES_OF_DAY, NAMES
from relaytrap.store.upkeep import keep_up
from tests.hub.traffic import request, write_pcap
from tests.storing import NOON_NS, count_messages, keep, row

DAY_S = 86_400


@pytest.fixture
def scanned(store, config, tmp_path):
    messages = [request(n, method=b"INVITE", user=b"0011442030000000") for n in range(20)]
    import_captures(store, config, [write_pcap(tmp_path / "scan.pcap", messages)])
    return store


def everything(store):
    names = ", ".join(f"hex(toString({name})) AS {name}" for name in NAMES)
    return store.rows(f"SELECT {names} FROM messages ORDER BY id")


def test_nothing_changes_when_the_rules_have_not(scanned, workers):
    before = everything(scanned)
    steps = list(reanalyse(scanned, workers))
    assert (steps[0].messages, steps[-1].messages, steps[-1].of) == (0, 20, 20)
    assert everything(scanned) == before


def test_what_older_rules_said_is_replaced_in_messages_and_rollups(scanned, workers):
    before = everything(scanned)
    scanned.command(
        "ALTER TABLE messages UPDATE country = 'XX', tool = 'old', path_verdict = '', rules_version = 0 WHERE 1 "
        "SETTINGS mutations_sync = 2"
    )
    for step in reanalyse(scanned, workers):
        assert step.of == 20
    assert everything(scanned) == before
    assert scanned.rows("SELECT DISTINCT country FROM hourly WHERE facet = 'all'") == [{"country": "FR"}]
    assert scanned.rows("SELECT tools FROM hourly_sources WHERE has(tools, 'old')") == []
    assert check_rollups(scanned) == []


def test_days_of_dialled_cores_are_replaced_with_their_messages(scanned, workers):
    sums = f"SELECT value, sum(messages) AS n FROM hourly WHERE facet = '{CORES_OF_DAY}' GROUP BY value"
    before = scanned.rows(sums)
    assert [each["n"] for each in before] == [20]
    scanned.command("ALTER TABLE messages UPDATE dialled_core = '1' WHERE 1 SETTINGS mutations_sync = 2")
    rebuild_rollups(scanned)
    assert scanned.rows(sums) == [{"value": "1", "n": 20}]
    list(reanalyse(scanned, workers))
    assert scanned.rows(sums) == before


def test_only_outdated_days_are_rewritten_on_request(scanned, workers):
    keep(scanned, [row(DAY_S, rules_version=RULES_VERSION - 1)], "an-old-day")
    assert list(reanalyse(scanned, workers, only_outdated=True))[-1].of == 1
    assert list(reanalyse(scanned, workers, only_outdated=True))[-1].of == 0


def test_sensors_removed_while_a_day_is_rewritten_stay_removed(scanned, workers):
    """And their removal does not end the rewriting."""
    keep(scanned, [row(n, sensor=b"sample-a") for n in range(3)], "a-sample")
    steps = reanalyse(scanned, workers)
    next(steps)
    assert next(steps).messages == 23  # copied, not yet exchanged
    assert drop_sensors(scanned, "sample-") == 3
    keep_up(scanned, NOON_NS)
    list(steps)
    assert scanned.row("SELECT count() AS n, countIf(sensor = 'sample-a') AS sample FROM messages") == {
        "n": 20,
        "sample": 0,
    }
    assert check_rollups(scanned) == []
    assert scanned.rows("SELECT name FROM system.tables WHERE endsWith(name, '_rebuilt')") == []


def test_what_arrives_while_a_day_is_rewritten_is_kept(scanned, workers):
    from relaytrap.clock import now_ns

    steps = reanalyse(scanned, workers)
    next(steps)
    assert next(steps).messages == 20  # copied, not yet exchanged
    keep(scanned, [row(5, id=999, ingested_at=now_ns() // 1_000_000)], "arrives-meanwhile")
    list(steps)
    assert count_messages(scanned) == 21
    assert check_rollups(scanned) == []


def test_a_run_that_is_stopped_leaves_the_store_as_it_was(scanned, workers):
    before = everything(scanned)
    steps = reanalyse(scanned, workers)
    next(steps), next(steps)
    steps.close()
    assert everything(scanned) == before
    assert check_rollups(scanned) == []
    assert not [r for r in scanned.rows("SHOW TABLES") if r["name"].endswith("_rebuilt")]


def test_an_empty_store_is_done_at_once(store, workers):
    assert [(step.messages, step.of) for step in reanalyse(store, workers)] == [(0, 0)]
