from relaytrap.hub.ledger import KEPT_SEGMENTS, digest_of

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
