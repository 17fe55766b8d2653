import sqlite3

import pytest

from relaytrap.errors import InputError, StoreError, StoreTooNew
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys


@pytest.fixture
def keys(database):
    return Keys(database)


def test_a_token_opens_the_door_for_its_sensor_only(keys):
    one, two = keys.add("one"), keys.add("two")
    assert (keys.check(one), keys.check(two), keys.check("guess"), keys.check("")) == ("one", "two", None, None)


def test_tokens_are_kept_as_hashes_only(keys, database):
    token = keys.add("one")
    everything = database.path.read_bytes() + database.path.with_name("hub.sqlite3-wal").read_bytes()
    assert token.encode() not in everything


def test_the_database_is_for_its_owner_only(database):
    assert database.path.stat().st_mode & 0o077 == 0


def test_rotating_ends_the_old_token(keys):
    old = keys.add("one")
    new = keys.rotate("one")
    assert (keys.check(old), keys.check(new)) == (None, "one")


def test_a_revoked_sensor_is_refused_until_it_gets_a_new_token(keys):
    token = keys.add("one")
    keys.revoke("one")
    assert keys.check(token) is None
    assert keys.list_sensors()[0].revoked_at_ns is not None
    assert keys.check(keys.rotate("one")) == "one"


def test_a_name_is_given_once(keys):
    keys.add("one")
    with pytest.raises(InputError, match="a sensor one exists already"):
        keys.add("one")


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 64, "é", "a\n", "hep-edge", "sample-edge"])
def test_names_that_could_mislead_are_refused(keys, name):
    with pytest.raises(InputError, match="cannot name a sensor"):
        keys.add(name)


@pytest.mark.parametrize("change", ["rotate", "revoke"])
def test_a_sensor_that_is_not_known_cannot_be_changed(keys, change):
    with pytest.raises(InputError, match="no sensor 'nobody'"):
        getattr(keys, change)("nobody")


def test_a_heartbeat_is_remembered_with_the_clocks_difference(keys):
    from relaytrap.clock import now_ns

    keys.add("one")
    keys.note_heartbeat("one", {"version": "1.2"}, now_ns() + 60 * 10**9)
    (sensor,) = keys.list_sensors()
    assert sensor.status == {"version": "1.2"}
    assert sensor.last_seen_ns is not None
    assert sensor.clock_difference_ms is not None
    assert 59_000 < sensor.clock_difference_ms <= 60_000


def test_a_swollen_heartbeat_is_not_kept(keys):
    keys.add("one")
    keys.note_heartbeat("one", {"version": "x" * 100_000}, None)
    assert keys.list_sensors()[0].status == {}


def test_a_newer_database_is_refused(tmp_path):
    HubDatabase(tmp_path).close()
    with sqlite3.connect(tmp_path / "hub.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match="newer Relaytrap"):
        HubDatabase(tmp_path)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "hub.sqlite3").write_text("not a database" * 100)
    with pytest.raises(StoreError, match="restore it from a backup or move it away"):
        HubDatabase(tmp_path)


def test_what_was_known_is_known_after_opening_again(tmp_path):
    first = HubDatabase(tmp_path)
    token = Keys(first).add("one")
    first.close()
    second = HubDatabase(tmp_path)
    assert Keys(second).check(token) == "one"
    second.close()
