import dataclasses
import itertools

import pytest

from relaytrap.errors import InputError, StoreError
from relaytrap.store import Store, moving
from relaytrap.store.moving import Moved, move_messages
from tests.storing import count_messages, keep, opened_store, row

DAY_S = 86_400


@pytest.fixture
def elsewhere(tmp_path, clickhouse, monkeypatch):
    """An empty database on a cluster, and parts so small that a few rows make several."""
    monkeypatch.setattr(moving, "PART_ROWS", 10)
    with opened_store(tmp_path / "hub", url=f"{clickhouse}{tmp_path.name.replace('-', '_')}", cluster="one") as store:
        yield store


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """An embedded store with two days of messages, some of the same nanosecond."""
    with opened_store(tmp_path_factory.mktemp("source")) as store:
        keep(store, [row(n // 3 * 3, id=n + 1, country=b"FR", raw=b"\xff\0 bytes") for n in range(45)], "first")
        keep(store, [row(DAY_S + n, id=100 + n) for n in range(5)], "second")
        yield store


def content(store: Store) -> list[dict[str, object]]:
    return [
        *store.rows("SELECT id, hex(raw) AS raw, country, received_at FROM messages ORDER BY id"),
        *store.rows("SELECT facet, sum(messages) AS n FROM hourly GROUP BY facet ORDER BY facet"),
    ]


def test_all_messages_arrive_with_their_rollups_and_the_source_keeps_them(source, elsewhere, tmp_path):
    before = content(source)
    steps = list(move_messages(source, elsewhere, tmp_path))
    assert content(elsewhere) == content(source) == before
    assert (steps[0], steps[-1]) == (Moved(0, 50), Moved(50, 50))
    assert not list(tmp_path.glob("*.json"))


def test_what_was_moved_comes_back(source, elsewhere, tmp_path):
    list(move_messages(source, elsewhere, tmp_path))
    with pytest.raises(StoreError, match="holds 50 messages already"):
        list(move_messages(elsewhere, source, tmp_path))
    before = content(source)
    for table in ("messages", "hourly", "hourly_sources"):
        source.command(f"TRUNCATE TABLE {table}")
    list(move_messages(elsewhere, source, tmp_path))
    assert content(source) == before


def test_an_interrupted_move_goes_on_and_doubles_nothing(source, elsewhere, tmp_path):
    for _ in itertools.islice(move_messages(source, elsewhere, tmp_path), 3):
        pass
    begun = count_messages(elsewhere)
    assert 0 < begun < 50
    list(move_messages(source, elsewhere, tmp_path))
    assert content(elsewhere) == content(source)


def test_a_target_that_is_used_needs_merge(source, elsewhere, tmp_path):
    keep(elsewhere, [row(7, id=7_000_000)], tmp_path.name)
    with pytest.raises(StoreError, match="holds 1 message already; empty it, name another database, or add"):
        list(move_messages(source, elsewhere, tmp_path))
    list(move_messages(source, elsewhere, tmp_path, merge=True))
    assert elsewhere.row("SELECT uniqExact(id) AS ids, count() AS n FROM messages") == {"ids": 51, "n": 51}


def test_a_day_that_does_not_add_up_is_said(source, elsewhere, tmp_path):
    steps = move_messages(source, elsewhere, tmp_path)
    assert next(steps) == Moved(0, 50)
    assert next(steps).messages
    keep(elsewhere, [row(7, id=7_000_000)], "a stranger " + tmp_path.name)
    with pytest.raises(StoreError, match="day 20260922 does not add up at the target: 46 messages instead of 45"):
        list(steps)


def test_the_journal_of_another_move_does_not_count(source, elsewhere, tmp_path):
    (tmp_path / "move.json").write_text('{"id": "00", "stores": "one to other", "days": {"20260922": [5, 5]}}')
    list(move_messages(source, elsewhere, tmp_path))
    assert content(elsewhere) == content(source)


@pytest.mark.parametrize(
    "held", [b'{"id": "00", "stores"', b"\xff", b'{"id": "00", "stores": "a", "days": [', b"[" * 9999]
)
def test_a_journal_that_cannot_be_read_is_named(tmp_path, held):
    (tmp_path / "move.json").write_bytes(held)
    with pytest.raises(InputError, match=r"move\.json: the journal of an unfinished move cannot be read"):
        moving._Journal(tmp_path / "move.json", "one to other")


def test_a_journal_is_there_whole_or_not_at_all(source, tmp_path, monkeypatch):
    journal = moving._Journal(tmp_path / "move.json", "one to other")
    journal.before("20260922", source)

    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        journal.before("20260923", source)
    again = moving._Journal(tmp_path / "move.json", "one to other")
    assert (again.resumed, list(again._held.days)) == (True, ["20260922"])


def test_stores_are_told_apart_without_their_passwords(elsewhere):
    url = "clickhouse://me:secret@192.0.2.1:8123/traps"
    elsewhere.config, config = dataclasses.replace(elsewhere.config, url=url), elsewhere.config
    assert moving._place(elsewhere) == "192.0.2.1:8123/traps one"
    elsewhere.config = config
