import os
import threading

import pytest

from relaytrap.clock import parse_rfc3339
from relaytrap.config import Config
from relaytrap.errors import InputError, StoreError
from relaytrap.hub.arrival import DAYS_MAX, NS_PER_DAY
from relaytrap.hub.ingest import WAITING_MAX, HubTooOld, Ingest, Segment, Taken, _Waiting
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.turns import HubBusy
from relaytrap.observation import FORMAT_VERSION
from relaytrap.store.queries import Filter, run_query
from relaytrap.store.queries.messages import export_messages
from tests.hub.traffic import request, seen, segment
from tests.storing import NOON_NS, count_messages


@pytest.fixture
def ingest(store, config, ledger, workers):
    return Ingest(store, config, ledger, workers)


def test_a_segment_is_acknowledged_when_it_is_in_the_store(ingest, store):
    receipt = ingest.ingest_segment("trap", 1, segment(seen(request(n), n) for n in range(5)))
    assert (receipt.number, receipt.messages, receipt.seen, count_messages(store)) == (1, 5, "new", 5)


def test_a_segment_that_comes_again_is_acknowledged_and_kept_once(ingest, store):
    data = segment([seen(request(0))])
    assert [ingest.ingest_segment("trap", 1, data, spool="s1").seen for _ in range(3)] == ["new", "again", "again"]
    assert count_messages(store) == 1


def test_a_segment_that_was_stored_but_not_noted_is_kept_once(ingest, store, config, workers, tmp_path_factory):
    # The hub died between the insert and the note: the store's own token recognises the batch.
    from relaytrap.hub.database import HubDatabase
    from relaytrap.hub.ledger import Ledger

    data = segment([seen(request(0))])
    ingest.ingest_segment("trap", 7, data, spool="s2")
    other = HubDatabase(tmp_path_factory.mktemp("restored"))
    assert Ingest(store, config, Ledger(other), workers).ingest_segment("trap", 7, data, spool="s2").seen == "new"
    other.close()
    assert count_messages(store) == 1


def test_a_used_number_with_other_contents_is_kept_and_reported(ingest, store, ledger):
    ingest.ingest_segment("trap", 1, segment([seen(request(0))]), spool="s3")
    receipt = ingest.ingest_segment("trap", 1, segment([seen(request(1))]), spool="s3")
    assert (receipt.seen, receipt.messages, count_messages(store)) == ("other", 1, 2)
    (incident,) = ledger.list_incidents()
    assert (incident["sensor"], incident["kind"]) == ("trap", "segment-number-reused")
    assert "give each its own" in incident["text"]


def test_numbers_of_another_spool_are_other_segments(ingest, store, ledger):
    for spool in ("s4", "s5"):
        ingest.ingest_segment("trap", 1, segment([seen(request(0), 5 if spool == "s5" else 0)]), spool=spool)
    assert (count_messages(store), ledger.list_incidents()) == (2, [])


DAY_MS = NS_PER_DAY // 1_000_000


def days_apart(messages, first=0, step=1):
    """A segment of messages on as many days, the first so many days from now."""
    return segment(seen(request(n), (first + n * step) * DAY_MS) for n in range(messages))


def parts(store):
    """Parts that inserts made since the table was emptied."""
    sql = "SELECT sum(rows > 0) AS n FROM system.parts WHERE database = currentDatabase() AND table = 'messages'"
    return store.row(sql)["n"]


@pytest.mark.parametrize("step", [1, -1, 10, -13])
def test_a_segment_on_1500_days_costs_the_store_a_few_days_and_keeps_every_message(ingest, store, step):
    """Each day that an insert touches costs it 15 ms, in which no other sensor's messages are stored."""
    assert ingest.ingest_segment("trap", 1, days_apart(1500, step=step)).messages == 1500
    assert parts(store) <= DAYS_MAX + 1
    found = store.row(
        "SELECT count() AS n, uniqExact(id) AS ids, uniqExact(received_at) AS times, max(received_at) < "
        "now() + INTERVAL 1000 DAY AS near, uniqExactIf(own_at, own_at > toDateTime64(0, 9)) AS given, "
        "uniqExactArray(notes) AS notes FROM messages"
    )
    assert (found["n"], found["ids"], found["times"], found["near"]) == (1500, 1500, 1500, True)
    assert found["given"] >= 1500 - DAYS_MAX
    assert found["notes"] == 1


def test_times_that_are_not_believed_come_back_as_the_sensor_gave_them(ingest, store):
    ingest.ingest_segment("trap", 1, days_apart(1, first=4000))
    (row,) = run_query(store, "messages", {"note": "time of arrival, as its own is not believed"})
    assert abs(parse_rfc3339(row["received_at"]) - NOON_NS) < 600 * 10**9
    assert row["own_at"] == "2037-09-04T12:00:00.000000000Z"
    (row,) = export_messages(store, Filter())
    assert row["notes"] == ["time of arrival, as its own is not believed: 2037-09-04T12:00:00.000000000Z"]


@pytest.mark.parametrize("first", [4000, -4000, -3, 3])
def test_a_segment_that_is_not_believed_is_kept_once_when_it_comes_again_another_day(
    ingest, store, ledger, first, monkeypatch
):
    data = days_apart(3, first=first)
    key = Segment("trap", "s", 1, data).key
    assert ingest.ingest_segment("trap", 1, data, spool="s").messages == 3
    for days in (1, 400):  # nobody noted it, and then again
        with ledger._database.transaction() as connection:
            connection.execute("DELETE FROM segments")
        ledger.begin([key])
        later = Segment("trap", "s", 1, data, arrived_ns=NOON_NS + days * NS_PER_DAY)
        assert ingest.store_parcel([later], again=True) == 0
        assert ingest.ingest_segment("trap", 1, data, spool="s").messages == 0
    assert count_messages(store) == 3


def test_a_parcel_that_comes_again_lies_on_the_same_days(ingest, store):
    """Its insert may still go on, believed to have failed: then its token tells, if the days are the same."""
    given = Segment("trap", "s", 1, days_apart(5, first=4000), arrived_ns=NOON_NS - NS_PER_DAY)
    for again in (False, True):
        ingest.store_parcel([given], again=again)
    assert store.rows("SELECT DISTINCT toDate(received_at) AS day FROM messages") == [{"day": "2026-09-21"}]
    assert count_messages(store) == 5


def test_a_restored_hub_asks_the_store_about_a_segment_with_a_wrong_clock(ingest, store, ledger):
    data = days_apart(2, first=4000)
    assert ingest.ingest_segment("trap", 1, data, spool="s").messages == 2
    ledger.mark_restored()
    with ledger._database.transaction() as connection:
        connection.execute("DELETE FROM segments")
    ingest.ledger = Ledger(ledger._database)
    assert ingest.ingest_segment("trap", 1, data, spool="s").seen == "begun"
    assert count_messages(store) == 2


def test_the_sensor_is_the_one_that_the_token_names(ingest, store):
    ingest.ingest_segment("honest", 1, segment([seen(request(0), sensor="liar")], sensor="liar"))
    assert store.rows("SELECT sensor FROM messages") == [{"sensor": "honest"}]


def test_an_empty_segment_is_acknowledged(ingest, store):
    assert ingest.ingest_segment("trap", 1, segment([])).messages == 0
    assert count_messages(store) == 0


@pytest.mark.parametrize("data", [b"", b"hello", bytes(100)])
def test_bytes_that_are_no_segment_are_refused_and_not_noted(ingest, ledger, data):
    with pytest.raises(InputError, match="segment"):
        ingest.ingest_segment("trap", 9, data)
    with pytest.raises(InputError):
        ingest.ingest_segment("trap", 9, data)


def test_listeners_hear_of_what_was_stored_and_cannot_break_it(ingest, store):
    heard: list[Taken] = []

    def broken(_: Taken) -> None:
        raise RuntimeError("a bug")

    ingest.listeners += [broken, heard.append]
    data = segment([seen(request(0)), seen(request(1), 3)])
    for _ in range(2):
        ingest.ingest_segment("trap", 1, data)
    assert [(each.messages, each.last_ns - each.first_ns) for each in heard] == [(2, 3_000_000)]


def test_one_segment_arriving_over_two_connections_at_once_is_kept_once(ingest, store):
    data = segment(seen(request(n), n) for n in range(50))
    told = []

    def ship():
        try:
            with ingest.turn("trap"):
                told.append(ingest.ingest_segment("trap", 1, data).seen)
        except HubBusy:
            told.append("busy")

    threads = [threading.Thread(target=ship) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("new") == 1
    assert set(told) <= {"new", "again", "busy"}
    assert count_messages(store) == 50


def test_segment_of_a_sensor_that_has_one_at_work_is_sent_away(ingest):
    with ingest.turn("trap"):
        with pytest.raises(HubBusy), ingest.turn("trap"):
            pass
        with ingest.turn("other"):
            pass
    with ingest.turn("trap"):
        pass


def test_more_than_can_wait_is_sent_away(ingest, store):
    with store.gate.alone():  # nothing is stored meanwhile
        waiting = [
            threading.Thread(target=ingest.ingest_segment, args=(f"trap-{n}", 1, segment([seen(request(n))])))
            for n in range(WAITING_MAX + 1)
        ]
        for thread in waiting:
            thread.start()
        for thread in waiting[:]:
            thread.join(0.05)
        with pytest.raises(HubBusy):
            ingest.ingest_segment("late", 1, segment([seen(request(99))]))
    for thread in waiting:
        thread.join()
    assert count_messages(store) == WAITING_MAX + 1


def test_live_observations_are_one_batch_under_their_token(ingest, store):
    for _ in range(2):
        assert ingest.ingest_observations([seen(request(0)), seen(request(1), 1)], "hep/1") == 2
    assert count_messages(store) == 2


def test_what_a_restored_sensor_ships_again_in_other_segments_is_kept_once(ingest, store):
    # Its snapshot held the segment half written: it closes it as it is, and ships that under the same number.
    whole = [seen(request(n), n) for n in range(5)]
    ingest.ingest_segment("trap", 1, segment(whole), spool="s5")
    receipt = ingest.ingest_segment("trap", 1, segment(whole[:2]), spool="s5")
    assert (receipt.seen, receipt.messages, count_messages(store)) == ("other", 0, 5)


def test_a_segment_of_a_newer_format_is_not_refused_for_good(ingest, store):
    data = segment([seen(request(0))])
    newer = data.replace(b'"format":%d' % FORMAT_VERSION, b'"format":%d' % (FORMAT_VERSION + 1))
    assert newer != data
    with pytest.raises(HubTooOld, match="update the hub"):
        ingest.ingest_segment("trap", 1, newer)
    assert count_messages(store) == 0


def test_an_import_goes_through_the_same_door(ingest, store, tmp_path):
    from tests.hub.traffic import write_pcap

    heard: list[Taken] = []
    ingest.listeners.append(heard.append)
    (done,) = ingest.import_captures([write_pcap(tmp_path / "a.pcap", [request(0)])])
    assert (done.stored, [each.messages for each in heard]) == (1, [1])


def test_a_segment_of_a_group_that_nobody_noted_is_kept_once_when_it_comes_alone(ingest, store):
    segments = [
        Segment("trap", "g1", n, segment(seen(request(10 * n + m), 10 * n + m) for m in range(3))) for n in range(2)
    ]
    # The hub dies between the insert of a group and its notes.
    waiting = [_Waiting(each, ingest._batch(each), again=False) for each in segments]
    ingest._insert_group(waiting)
    assert count_messages(store) == 6
    for each in segments:
        assert ingest.ingest_segment("trap", each.number, each.data, spool="g1").seen == "begun"
    assert count_messages(store) == 6
    assert ingest.ingest_segment("trap", 0, segments[0].data, spool="g1").seen == "again"


def test_a_segment_whose_failed_insert_left_its_token_and_no_rows_is_stored(ingest, store, ledger):
    """As on a disk that became full in the middle: under a token that the engine knows it takes nothing."""
    data = segment((seen(request(n), n) for n in range(3)), number=1)
    failed, other = Segment("trap", "s", 1, data), Segment("other", "s", 9, segment([seen(request(99), 99)], number=9))
    ledger.begin([("trap", "s", 1, failed.digest)])
    store.insert_block("messages", ingest._batch(other).block, failed.token)
    assert ingest.ingest_segment("trap", 1, data, spool="s").messages == 3
    assert store.row("SELECT count() AS n FROM messages WHERE sensor = 'trap'") == {"n": 3}


def test_a_segment_out_of_the_stream_leaves_nothing_in_the_ledger(ingest, database):
    ingest.store_parcel([Segment("trap", "s", 1, segment([seen(request(0))]))], again=False)
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM begun").fetchone() == (0,)


def test_a_refused_segment_lies_where_its_owner_alone_may_read(store, ledger, workers, tmp_path):
    ingest = Ingest(store, Config(data_dir=tmp_path), ledger, workers)
    before = os.umask(0o022)
    try:
        for _ in range(2):  # as the stream does that got no answer
            ingest.refuse(Segment("trap", "s", 1, b"no pcapng at all"), "it is none")
    finally:
        os.umask(before)
    (file,) = (tmp_path / "refused").iterdir()
    assert file.read_bytes() == b"no pcapng at all"
    assert [each.stat().st_mode & 0o777 for each in (file.parent, file)] == [0o700, 0o600]


class Killing:
    """Workers that die over segments that hold a word, and do the rest."""

    def __init__(self, workers, word):
        self.workers, self.word, self.count = workers, word, workers.count

    def segment_batch(self, data, *given, **more):
        if self.word in data:
            raise StoreError("a worker process ended twice over the same messages")
        return self.workers.segment_batch(data, *given, **more)


def test_a_segment_that_kills_workers_holds_up_its_parcel_only_while_there_is_patience(
    store, ledger, workers, tmp_path
):
    ingest = Ingest(store, Config(data_dir=tmp_path), ledger, Killing(workers, b"DEADLY"))
    parcel = [Segment("trap", "s", n, segment([seen(request(n), n)], number=n)) for n in (1, 2)]
    deadly = Segment("trap", "s", 3, segment([seen(b"DEADLY" + request(3), 3)], number=3))
    parcel.insert(1, deadly)
    for again in (False, True):
        with pytest.raises(StoreError):
            ingest.store_parcel(parcel, again=again)
    assert ingest.store_parcel(parcel, again=True, patient=False) == 2
    assert ingest.store_parcel(parcel, again=True, patient=False) == 0
    assert count_messages(store) == 2
    (file,) = (tmp_path / "refused").iterdir()
    assert file.read_bytes() == deadly.data
    (incident,) = ledger.list_incidents()
    assert (incident["kind"], "ended twice" in incident["text"]) == ("segment-unreadable", True)


def test_a_store_that_fails_costs_no_segment_however_often_it_came(ingest, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise StoreError("the store is away")

    monkeypatch.setattr(ingest, "config", Config(data_dir=tmp_path))
    parcel = [Segment("trap", "s", 1, segment([seen(request(1))]))]
    for name in ("relaytrap.hub.ingest.known_ids", "relaytrap.hub.ingest.Ingest._insert"):
        with monkeypatch.context() as patched:
            patched.setattr(name, fail)
            with pytest.raises(StoreError):
                ingest.store_parcel(parcel, again=True, patient=False)
    assert not (tmp_path / "refused").exists()
    assert ingest.store_parcel(parcel, again=True, patient=False) == 1


def test_a_parcel_with_a_sensor_that_was_away_is_told_of_in_two_spans(ingest):
    heard: list[Taken] = []
    ingest.listeners.append(heard.append)
    days = 3 * 86_400_000
    parcel = [
        Segment(name, "s", 1, segment([seen(request(at), at, sensor=name), seen(request(at + 1), at + 1, sensor=name)]))
        for name, at in (("near", 0), ("late", -days), ("beside", 2_000))
    ]
    assert ingest.store_parcel(parcel, again=False) == 6
    ms = 1_000_000
    assert [(each.messages, each.last_ns - each.first_ns) for each in heard] == [(2, ms), (4, 2_001 * ms)]
    assert heard[1].first_ns - heard[0].first_ns == days * ms
