import sqlite3

from relaytrap.hub.database import NAME, STEPS, HubDatabase
from relaytrap.hub.ledger import KEPT_SEGMENTS, Ledger, digest_of, read_incidents

ONE, OTHER = digest_of(b"one"), digest_of(b"other")


def test_a_segment_is_new_then_known(ledger):
    assert ledger.look_up("trap", "s", 1, ONE) == "new"
    ledger.record("trap", "s", 1, ONE, 5)
    assert ledger.look_up("trap", "s", 1, ONE) == "again"


def test_other_contents_under_a_known_number_are_told_apart_and_both_remembered(ledger):
    ledger.record("trap", "s", 1, ONE, 5)
    assert ledger.look_up("trap", "s", 1, OTHER) == "other"
    ledger.record("trap", "s", 1, OTHER, 5)
    assert [ledger.look_up("trap", "s", 1, each) for each in (ONE, OTHER)] == ["again", "again"]


def test_sensors_and_spools_count_for_themselves(ledger):
    ledger.record("trap", "s", 1, ONE, 5)
    assert ledger.look_up("trap-2", "s", 1, ONE) == "new"
    assert ledger.look_up("trap", "s2", 1, ONE) == "new"


def test_recording_twice_is_harmless(ledger):
    for _ in range(2):
        ledger.record("trap", "s", 1, ONE, 5)


def test_numbers_long_past_are_forgotten(ledger):
    ledger.record("trap", "s", 1, ONE, 5)
    ledger.record("trap", "s", KEPT_SEGMENTS + 2000, ONE, 5)
    assert ledger.look_up("trap", "s", 1, ONE) == "new"


def test_incidents_come_newest_first(ledger):
    for kind in ("first", "second"):
        ledger.report("trap", kind, "text")
    assert [each["kind"] for each in ledger.list_incidents()] == ["second", "first"]
    assert ledger.list_incidents()[0]["at"].endswith("Z")


def test_what_goes_on_is_one_incident_with_its_beginning_and_its_last_word(ledger):
    for text in ("one", "two", "two"):
        ledger.report("trap", "loss", text)
    (incident,) = ledger.list_incidents()
    assert (incident["text"], incident["since"] < incident["at"]) == ("two", True)


def test_highest_number_is_that_of_the_spool(ledger):
    ledger.record("trap", "s", 3, ONE, 5)
    ledger.record("trap", "s2", 9, ONE, 5)
    assert [ledger.highest("trap", spool) for spool in ("s", "s2", "s3")] == [3, 9, 0]


def test_an_imported_segment_is_told_apart_from_one_that_was_shipped(ledger):
    ledger.note_import("trap", 4)
    assert ledger.look_up("trap", "s", 4, ONE) == "imported"
    ledger.record("trap", "s", 4, ONE, 5)
    assert ledger.look_up("trap", "s", 4, ONE) == "again"


def test_incidents_of_an_older_hub_are_kept(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.executescript(STEPS[0])
        connection.execute("PRAGMA user_version = 1")
        rows = [(1, "trap", "clock", "first"), (5, "trap", "clock", "last"), (3, "attic", "clock", "other")]
        connection.executemany("INSERT INTO incidents VALUES (?, ?, ?, ?)", rows)
    assert read_incidents(tmp_path) == []
    database = HubDatabase(tmp_path)
    found = [(each["sensor"], each["text"]) for each in Ledger(database).list_incidents()]
    assert (
        found == [("trap", "last"), ("attic", "other")] == [(e["sensor"], e["text"]) for e in read_incidents(tmp_path)]
    )
    database.close()
