import os
import threading

import pytest

from relaytrap.errors import InputError
from relaytrap.hub.importing import BATCH_MESSAGES, INSERT_DAYS, ImportOptions, import_captures
from relaytrap.hub.ingest import Ingest
from relaytrap.hub.turns import HubBusy
from relaytrap.store.rebuild import check_rollups
from tests.hub.traffic import request, seen, segment, write_pcap
from tests.storing import NOON_NS, clear, count_messages


def test_messages_come_in_with_name_frame_and_bytes(store, config, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(n) for n in range(3)])
    (done,) = import_captures(store, config, [file])
    assert (done.file, done.sensor, done.stored, done.known) == ("scan.pcap", "scan", 3, 0)
    assert (done.first_ns, done.last_ns) == (NOON_NS, NOON_NS + 2_000_000)
    found = store.rows("SELECT capture, sensor, frame, raw FROM messages ORDER BY frame")
    assert [(each["capture"], each["sensor"], each["frame"]) for each in found] == [
        ("scan.pcap", "scan", n) for n in (1, 2, 3)
    ]
    assert [each["raw"].encode() for each in found] == [request(n) for n in range(3)]


def test_importing_again_adds_nothing(store, config, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(n) for n in range(3)])
    import_captures(store, config, [file])
    (done,) = import_captures(store, config, [file])
    assert (done.stored, done.known, count_messages(store)) == (0, 3, 3)
    assert done.as_dict()["first"] is None


def test_a_capture_of_1970_is_kept_once_and_keeps_its_time(store, config, tmp_path):
    file = write_pcap(tmp_path / "unset.pcap", [request(0)], begins_ns=0)
    for stored in (1, 0):
        (done,) = import_captures(store, config, [file])
        assert done.stored == stored
    assert store.row("SELECT toUnixTimestamp64Nano(received_at) AS ns FROM messages") == {"ns": 0}


def test_a_file_whose_name_is_no_text_is_imported_under_one_that_is(store, config, tmp_path):
    file = write_pcap(tmp_path / os.fsdecode(b"caf\xe9.pcap"), [request(0)])
    for stored in (1, 0):
        (done,) = import_captures(store, config, [file])
        assert (done.file, done.sensor, done.stored) == (r"caf\xe9.pcap", r"caf\xe9", stored)


def test_a_file_given_twice_at_once_is_kept_once(store, config, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(0)])
    assert [each.stored for each in import_captures(store, config, [file, file])] == [1, 0]


def test_a_file_that_has_grown_adds_what_is_new(store, config, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(n) for n in range(3)])
    import_captures(store, config, [file])
    write_pcap(file, [request(n) for n in range(5)])
    (done,) = import_captures(store, config, [file])
    assert (done.stored, done.known, count_messages(store)) == (2, 3, 5)
    assert check_rollups(store) == []


def test_the_same_bytes_twice_in_one_file_are_two_messages(store, config, tmp_path):
    import_captures(store, config, [write_pcap(tmp_path / "twice.pcap", [request(0), request(0)])])
    assert count_messages(store) == 2


def test_a_sensor_can_be_named(store, config, tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(0)])
    import_captures(store, config, [file], ImportOptions(sensor="sample-a"))
    assert store.row("SELECT sensor FROM messages") == {"sensor": "sample-a"}


def test_a_spool_segment_keeps_its_sensors_name(store, config, tmp_path):
    file = tmp_path / "000001.pcapng"
    file.write_bytes(segment([seen(request(0), sensor="edge-1")], sensor="edge-1"))
    for stored in (1, 0):
        assert import_captures(store, config, [file])[0].stored == stored
    assert store.rows("SELECT sensor FROM messages") == [{"sensor": "edge-1"}]


def test_a_spool_segment_that_was_shipped_is_not_stored_again_when_it_is_imported(
    store, config, ledger, workers, tmp_path
):
    data = segment((seen(request(n), n, sensor="edge-1") for n in range(3)), sensor="edge-1", number=4)
    assert Ingest(store, config, ledger, workers).ingest_segment("edge-1", 4, data, spool="s1").messages == 3
    file = tmp_path / "00000004.pcapng.acked"
    file.write_bytes(data)
    (done,) = import_captures(store, config, [file], ImportOptions(ledger=ledger))
    assert (done.stored, done.known, count_messages(store)) == (0, 3, 3)


def test_a_sensor_waits_while_a_spool_segment_of_its_own_is_imported(
    store, config, ledger, workers, tmp_path, monkeypatch
):
    """Else it could ship that segment between the look at what is known and the insert."""
    data = segment((seen(request(n), n, sensor="edge-1") for n in range(3)), sensor="edge-1", number=4)
    file = tmp_path / "00000004.pcapng"
    file.write_bytes(data)
    ingest, insert, sent_away = Ingest(store, config, ledger, workers), store.insert_block, []

    def watched(*given):
        with pytest.raises(HubBusy), ingest.turn("edge-1"):
            pass
        with ingest.turn("edge-2"):
            sent_away.append("edge-1")
        insert(*given)

    monkeypatch.setattr(store, "insert_block", watched)
    assert ingest.import_captures([file])[0].stored == 3
    monkeypatch.undo()
    assert sent_away == ["edge-1"]
    with ingest.turn("edge-1"):
        assert ingest.ingest_segment("edge-1", 4, data, spool="s1").messages == 0


def test_an_import_waits_for_a_segment_that_its_sensor_ships(store, config, ledger, workers, tmp_path):
    data = segment((seen(request(n), n, sensor="edge-1") for n in range(3)), sensor="edge-1", number=4)
    file = tmp_path / "00000004.pcapng"
    file.write_bytes(data)
    ingest, done = Ingest(store, config, ledger, workers), []
    importing = threading.Thread(target=lambda: done.extend(ingest.import_captures([file])))
    with ingest.turn("edge-1"):
        importing.start()
        assert ingest.ingest_segment("edge-1", 4, data, spool="s1").messages == 3
    importing.join()
    assert (done[0].stored, done[0].known, count_messages(store)) == (0, 3, 3)


def test_a_spool_segment_that_was_imported_half_written_is_completed_when_it_is_shipped(
    store, config, ledger, workers, tmp_path
):
    whole = [seen(request(n), n, sensor="edge-1") for n in range(5)]
    file = tmp_path / "00000004.pcapng.open"
    file.write_bytes(segment(whole[:2], sensor="edge-1", number=4))
    (done,) = import_captures(store, config, [file], ImportOptions(ledger=ledger))
    assert done.stored == 2
    shipped = segment(whole, sensor="edge-1", number=4)
    ingest = Ingest(store, config, ledger, workers)
    assert ingest.ingest_segment("edge-1", 4, shipped, spool="s1").messages == 3
    assert ingest.ingest_segment("edge-1", 4, shipped, spool="s1").seen == "again"
    assert store.row("SELECT count() AS n, uniqExact(id) AS ids FROM messages") == {"n": 5, "ids": 5}
    assert ledger.list_incidents() == []


def test_a_spool_segment_with_a_wrong_clock_is_kept_once_by_whichever_way_it_comes(
    store, config, ledger, workers, tmp_path
):
    data = segment([seen(request(n), n * 400 * 86_400_000, sensor="edge-1") for n in range(5)], sensor="edge-1")
    file = tmp_path / "00000001.pcapng"
    file.write_bytes(data)
    ingest = Ingest(store, config, ledger, workers)
    assert ingest.ingest_segment("edge-1", 1, data, spool="s1").messages == 5
    (done,) = import_captures(store, config, [file])
    assert (done.stored, done.known, count_messages(store)) == (0, 5, 5)
    clear(store)
    assert import_captures(store, config, [file], ImportOptions(ledger=ledger))[0].stored == 5
    assert ingest.ingest_segment("edge-1", 1, data, spool="s2").messages == 0


def test_an_imported_spool_segment_is_noted_before_it_is_stored(store, config, ledger, tmp_path, monkeypatch):
    """A backup takes the store before the ledger: what is in the one must be noted in the other."""
    file = tmp_path / "00000004.pcapng"
    file.write_bytes(segment((seen(request(n), n, sensor="edge-1") for n in range(2)), sensor="edge-1", number=4))
    for name in ("BATCH_MESSAGES", "INSERT_MESSAGES"):
        monkeypatch.setattr(f"relaytrap.hub.importing.{name}", 1)
    insert, seen_then = store.insert_block, []

    def watched(*given):
        seen_then.append(ledger.look_up("edge-1", "s1", 4, b"digest"))
        insert(*given)

    monkeypatch.setattr(store, "insert_block", watched)
    import_captures(store, config, [file], ImportOptions(ledger=ledger))
    assert seen_then == ["imported", "imported"]


def test_large_captures_go_through_worker_processes_whole_and_in_place(store, config, workers, tmp_path):
    messages = [request(n) for n in range(BATCH_MESSAGES + 1000)]
    file = write_pcap(tmp_path / "large.pcap", messages)
    positions: list[int] = []
    options = ImportOptions(workers=workers, progress=lambda name, at: positions.append(at))
    done = import_captures(store, config, [file], options)
    assert done[0].stored == count_messages(store) == len(messages)
    assert store.row("SELECT uniqExact(frame) AS n, max(frame) AS m FROM messages") == {
        "n": len(messages),
        "m": len(messages),
    }
    assert positions == sorted(positions)
    assert positions[-1] == file.stat().st_size


def test_batches_that_go_in_together_and_apart_lose_nothing(store, config, workers, tmp_path, monkeypatch):
    monkeypatch.setattr("relaytrap.hub.importing.BATCH_MESSAGES", 100)
    monkeypatch.setattr("relaytrap.hub.importing.INSERT_MESSAGES", 350)
    file = write_pcap(tmp_path / "batches.pcap", [request(n) for n in range(1_030)])
    (imported,) = import_captures(store, config, [file], ImportOptions(workers=workers))
    assert imported.stored == count_messages(store) == 1_030
    assert store.row("SELECT uniqExact(frame) AS n FROM messages") == {"n": 1_030}
    assert check_rollups(store) == []


def test_of_a_capture_in_no_order_each_batch_is_told_only_what_is_known_of_its_own(
    store, config, workers, tmp_path, monkeypatch
):
    """Its batches all reach over the whole of it: telling each of all of that goes by the square of its size."""
    monkeypatch.setattr("relaytrap.hub.importing.BATCH_MESSAGES", 100)
    make, told = workers.batch, []

    def watched(*given, known=()):
        told.append(len(known))
        return make(*given, known=known)

    order = sorted(range(1_000), key=lambda n: n * 9 % 1_000)
    file = tmp_path / "by-call.pcapng"
    file.write_bytes(segment((seen(request(n), n, sensor="edge-1") for n in order), sensor="edge-1"))
    options = ImportOptions(workers=workers)
    assert import_captures(store, config, [file], options)[0].stored == 1_000
    monkeypatch.setattr(workers, "batch", watched)
    (again,) = import_captures(store, config, [file], options)
    assert (again.stored, again.known, told) == (0, 1_000, [100] * 10)


def test_a_file_that_is_not_there_is_one_sentence(store, config, tmp_path):
    with pytest.raises(InputError, match=r"gone.pcap: cannot be read \(No such file or directory\)"):
        import_captures(store, config, [tmp_path / "gone.pcap"])


def test_a_directory_is_no_capture(store, config, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        import_captures(store, config, [tmp_path])


def test_what_was_imported_before_a_bad_file_stays(store, config, tmp_path):
    good, bad = write_pcap(tmp_path / "good.pcap", [request(0)]), tmp_path / "bad.pcap"
    bad.write_text("this is a letter to my aunt")
    with pytest.raises(InputError, match="no capture"):
        import_captures(store, config, [good, bad])
    assert count_messages(store) == 1


def test_a_cut_file_gives_what_it_holds_and_says_so(store, config, tmp_path):
    file = write_pcap(tmp_path / "cut.pcap", [request(n) for n in range(3)])
    file.write_bytes(file.read_bytes()[:-10])
    (done,) = import_captures(store, config, [file])
    assert done.stored == 2
    assert sum(done.report.unread.values()) == 1


def test_a_recorded_scene_comes_in_whole(store, config, material):
    import json

    truth = json.loads((material / "lab-open.json").read_text())
    done = import_captures(store, config, [material / name for name in truth["pcaps"]])
    for each in done:
        assert each.stored == each.report.packets
        asked = {(r["frame"], r["method"]) for r in truth["pcaps"][each.file]["requests"]}
        sql = "SELECT frame, method FROM messages WHERE capture = {capture:String} AND method != ''"
        assert asked <= {(r["frame"], r["method"]) for r in store.rows(sql, {"capture": each.file})}


# Last: to empty tables of many days takes as long as to fill them.
def test_a_capture_of_many_days_keeps_its_times_and_goes_in_a_few_days_at_a_time(
    store, config, workers, tmp_path, monkeypatch
):
    """Whoever writes meanwhile waits for one insert at most."""
    insert, days = store.insert_block, []

    def watched(*given):
        before = on_days()
        insert(*given)
        days.append(on_days() - before)

    def on_days():
        return store.row("SELECT uniqExact(toDate(received_at)) AS n FROM messages")["n"]

    monkeypatch.setattr(store, "insert_block", watched)
    order = sorted(range(70), key=lambda n: n * 9 % 70)
    data = segment((seen(request(n), -n * 86_400_000, sensor="edge-1") for n in order), sensor="edge-1")
    file = tmp_path / "years.pcapng"
    file.write_bytes(data)
    for given in (workers, None):
        clear(store)
        days.clear()
        assert import_captures(store, config, [file], ImportOptions(workers=given))[0].stored == 70
        assert (max(days), sum(days)) == (INSERT_DAYS, 70)
