"""Sums of busy hours, made of parts: the same as if every hour were summed up whole, for less work."""

import pytest

from relaytrap.errors import StoreError
from relaytrap.store import findings, sums
from tests.storing import NOON_NS, SECOND_NS, address, keep, row

NOON = NOON_NS // SECOND_NS


@pytest.fixture(autouse=True)
def _busy(monkeypatch):
    monkeypatch.setattr(sums, "MESSAGES_AT_ONCE", 50)


def put(store, minutes, sources=range(8), token="first"):
    """A message of each of some sources in each of some minutes after noon, through a relay every second one."""
    times = [(NOON_NS + minute * 60 * SECOND_NS + number, number) for minute in minutes for number in sources]
    rows = [
        row(
            received_at=at,
            id=at + number,
            kind=1,
            source=address(f"192.0.2.{number}"),
            relay=address(f"192.0.2.{number}") if number % 2 else bytes(16),
            track=1 + number % 5,
            opener=1,
            method=b"INVITE" if number % 3 else b"OPTIONS",
            user_agent=b"agent %d" % (number % 4),
            target_key=at,
        )
        for at, number in times
    ]
    keep(store, rows, token)


def update(store, version):
    """What hub.analyse does of an update's beginning and end."""
    now, then = findings.read_buckets(store), findings.stored_buckets(store)
    changed = [bucket for bucket in now.values() if bucket != then.get(bucket.start)]
    sums.write_hours(store, now.values(), changed, version)
    findings.write_buckets(store, changed, version)


def told(store):
    """All sums, without what depends on when and in which order they were made."""
    lists = "arraySort(agents) AS agents, arraySort(transports) AS transports"
    of_tracks = f"{lists}, arraySort(sensors) AS sensors, arraySort(bitmapToArray(targets)) AS targets"
    replaced = {"track": f"{of_tracks}, finalizeAggregation(relays) AS relays, toIPv6('::') AS source", "relay": lists}
    return {
        name: store.rows(f"SELECT * REPLACE ({each}) EXCEPT version FROM {name}_hours FINAL ORDER BY ALL")
        for name, each in replaced.items()
    }


def whole(store):
    """The sums of hours that are summed up whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "MESSAGES_AT_ONCE", 10**6)
        store.command("TRUNCATE TABLE buckets")
        update(store, 10**6)
    return told(store)


def test_an_hour_in_parts_adds_up_to_the_same_as_whole(store):
    for version, minutes in enumerate([range(20), range(15, 40), [3, 59], range(60, 63), [0, 61]], 1):
        put(store, minutes, range(version, version + 8), token=f"batch {version}")
        update(store, version)
    parts = told(store)
    assert sum(each["messages"] for each in parts["track"]) == 8 * (20 + 25 + 2 + 3 + 2)
    assert store.row("SELECT count() AS n FROM track_parts")["n"] > 0
    assert parts == whole(store)


def test_only_minutes_that_changed_are_read_again(store, monkeypatch):
    put(store, range(40))
    update(store, 1)
    put(store, [38, 40], range(8, 12), token="second")
    read = []
    command = type(store).command
    monkeypatch.setattr(type(store), "command", lambda self, sql, *rest: (read.append(sql), command(self, sql, *rest)))
    update(store, 2)
    spans = [sql for sql in read if "FROM messages" in sql]
    assert len(spans) == 4  # two minutes that do not follow each other, by track and by relay
    assert all(f"toDateTime64({NOON + minute * 60}, " in " ".join(spans) for minute in (38, 40))
    assert f"toDateTime64({NOON}, " not in " ".join(spans)
    monkeypatch.undo()
    assert told(store) == whole(store)


def test_hours_with_nothing_between_them_are_summed_up_at_once(store, monkeypatch):
    """A capture of a quiet year, some messages a day, took minutes to sum up hour by hour."""
    monkeypatch.setattr(sums, "MESSAGES_AT_ONCE", 10**6)
    read = []
    command = type(store).command
    monkeypatch.setattr(type(store), "command", lambda self, sql, *rest: (read.append(sql), command(self, sql, *rest)))
    for version, hours, spans in ((1, (0, 3, 7), 1), (2, (0, 7), 2)):
        put(store, [60 * hour for hour in hours], token=f"batch {version}")
        read.clear()
        update(store, version)
        assert len([sql for sql in read if "INSERT INTO track_hours" in sql]) == spans
    assert told(store) == whole(store)


def test_an_update_that_ended_anywhere_is_made_good_by_the_next(store, monkeypatch):
    put(store, range(20))
    update(store, 1)
    put(store, [0, 7, 19, 20, 21], range(3, 11), token="second")
    command, insert_rows = type(store).command, type(store).insert_rows
    for most in range(100):
        left = iter(range(most))

        def perhaps(real, left=left):
            def run(*given):
                if next(left, None) is None:
                    raise StoreError("no room")
                return real(*given)

            return run

        monkeypatch.setattr(type(store), "command", perhaps(command))
        monkeypatch.setattr(type(store), "insert_rows", perhaps(insert_rows))
        try:
            update(store, 2 + most)
        except StoreError:
            continue
        finally:
            monkeypatch.undo()
            monkeypatch.setattr(sums, "MESSAGES_AT_ONCE", 50)
        break
    assert most > 4  # each goes on where the one before ended
    assert told(store) == whole(store)


def test_parts_of_hours_that_nothing_came_for_go(store):
    put(store, [*range(20), *range(60, 80)])
    update(store, 1)
    put(store, [70], range(8, 9), token="second")
    update(store, 2)
    sums.drop_parts(store, 1)
    for table in ("track_parts", "relay_parts", "hour_parts"):
        parts = store.rows(f"SELECT DISTINCT toStartOfHour(part) AS hour FROM {table}")
        assert [each["hour"] for each in parts] == ["2026-09-22 13:00:00"], table
    put(store, [5], range(8, 9), token="third")
    update(store, 3)
    assert told(store) == whole(store)


def test_a_day_that_is_dropped_leaves_the_parts_of_other_days(store):
    put(store, [*range(20), *range(24 * 60, 24 * 60 + 20)])
    update(store, 1)
    findings.drop_days(store, ["20260922"])
    for table in ("track_parts", "relay_parts", "hour_parts"):
        parts = store.rows(f"SELECT DISTINCT toStartOfHour(part) AS hour FROM {table}")
        assert [each["hour"] for each in parts] == ["2026-09-23 12:00:00"], table
    update(store, 2)
    assert told(store) == whole(store)


def test_a_day_that_is_dropped_leaves_no_parts(store):
    put(store, range(20))
    update(store, 1)
    store.command(f"DELETE FROM {store.layout.altered('messages')} WHERE source = toIPv6('::ffff:192.0.2.3')")
    findings.drop_days(store, ["20260922"])
    assert findings.stored_buckets(store) == {}
    update(store, 2)
    assert told(store) == whole(store)
    assert sum(each["messages"] for each in told(store)["track"]) == 7 * 20
