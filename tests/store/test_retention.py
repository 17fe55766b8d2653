from relaytrap.store import Store
from relaytrap.store.retention import apply_retention, bytes_stored, drop_sensors
from relaytrap.store.schema import CORES_OF_DAY
from tests.storing import NOON_NS, SECOND_NS, count_messages, row

DAY_S = 86_400
DAY_NS = DAY_S * SECOND_NS


def with_settings(store: Store, **settings: int) -> Store:
    import dataclasses

    store.config = dataclasses.replace(store.config, **settings)
    return store


def old(number: int, **given: object) -> tuple[object, ...]:
    """A row whose day is also the day it was taken in."""
    return row(number, ingested_at=(NOON_NS + number * SECOND_NS) // 1_000_000, **given)


def test_days_older_than_the_limit_go_with_their_rollups(kept):
    store = with_settings(kept(old(0), old(1), old(10 * DAY_S)), retention_days=5, retention_bytes=0)
    dropped = apply_retention(store, NOON_NS + 11 * DAY_NS)
    assert [(d.day, d.messages, d.reason) for d in dropped] == [("20260922", 2, "age")]
    assert count_messages(store) == 1
    assert store.row("SELECT sum(messages) AS n FROM hourly WHERE facet = 'all'")["n"] == 1
    assert store.row("SELECT sum(messages) AS n FROM hourly_sources")["n"] == 1


def test_days_of_dialled_cores_go_with_their_day_and_with_their_sensors(kept):
    def cores() -> list[tuple[str, int]]:
        sql = (
            f"SELECT value, sum(messages) AS n FROM hourly WHERE facet = '{CORES_OF_DAY}' GROUP BY value ORDER BY value"
        )
        return [(each["value"], each["n"]) for each in store.rows(sql)]

    mine = [old(number, dialled_core=b"1") for number in (0, 10 * DAY_S)]
    others = [old(10 * DAY_S + number, dialled_core=b"%d" % (number % 2), sensor=b"sample-a") for number in range(1, 5)]
    store = with_settings(kept(*mine, *others), retention_days=5, retention_bytes=0)
    assert cores() == [("0", 2), ("1", 4)]
    apply_retention(store, NOON_NS + 11 * DAY_NS)
    assert cores() == [("0", 2), ("1", 3)]
    drop_sensors(store, "sample-")
    assert cores() == [("1", 1)]


def test_an_old_capture_imported_today_stays(kept):
    now = NOON_NS + 400 * DAY_NS
    store = with_settings(kept(row(ingested_at=now // 1_000_000)), retention_days=5, retention_bytes=0)
    assert apply_retention(store, now) == []


def test_zero_keeps_everything(kept):
    store = with_settings(kept(old(0)), retention_days=0, retention_bytes=0)
    assert apply_retention(store, NOON_NS + 10_000 * DAY_NS) == []


def test_the_oldest_days_go_while_the_store_is_too_large_but_never_the_newest(kept):
    store = with_settings(kept(old(0), old(DAY_S), old(2 * DAY_S)), retention_days=0, retention_bytes=1)
    dropped = apply_retention(store, NOON_NS + 3 * DAY_NS)
    assert [(d.day, d.reason) for d in dropped] == [("20260922", "size"), ("20260923", "size")]
    assert count_messages(store) == 1


def test_a_day_that_is_yet_to_come_goes_before_the_one_on_which_it_was_taken_in(kept):
    came = (NOON_NS + DAY_NS) // 1_000_000
    ahead = [row(DAY_S * 4000, ingested_at=came + 1), row(DAY_S * 4001, ingested_at=came + 2)]
    store = with_settings(kept(old(0), *ahead, old(DAY_S)), retention_days=0, retention_bytes=1)
    dropped = [each.day for each in apply_retention(store, NOON_NS + DAY_NS + SECOND_NS)]
    assert (dropped[0], sorted(dropped)) == ("20260922", ["20260922", "20370904", "20370905"])
    assert store.rows("SELECT _partition_id AS day FROM messages") == [{"day": "20260923"}]


def test_a_day_that_is_yet_to_come_ages_from_when_it_was_taken_in(kept):
    store = with_settings(kept(row(DAY_S * 4000)), retention_days=5, retention_bytes=0)
    assert apply_retention(store, NOON_NS + 4 * DAY_NS) == []
    assert [each.reason for each in apply_retention(store, NOON_NS + 7 * DAY_NS)] == ["age"]


def test_a_store_within_its_size_keeps_all_days(kept):
    store = with_settings(kept(old(0), old(DAY_S)), retention_days=0, retention_bytes=1 << 40)
    assert apply_retention(store, NOON_NS) == []
    assert bytes_stored(store) > 0


def test_sensors_are_removed_by_prefix_with_their_share_of_the_rollups(kept):
    store = kept(row(0, sensor=b"sample-a"), row(1, sensor=b"sample-b"), row(2, sensor=b"mine"))
    assert drop_sensors(store, "sample-") == 2
    assert store.rows("SELECT sensor FROM messages") == [{"sensor": "mine"}]
    assert store.row("SELECT sum(messages) AS n FROM hourly WHERE facet = 'all'")["n"] == 1


def test_removing_the_last_sensor_of_a_day_empties_its_rollups(kept):
    store = kept(row(0, sensor=b"sample-a"))
    assert drop_sensors(store, "sample-") == 1
    assert store.row("SELECT count() AS n FROM hourly")["n"] == 0
    assert store.row("SELECT count() AS n FROM hourly_sources")["n"] == 0


def test_removing_sensors_that_are_not_there_changes_nothing(kept):
    store = kept(row(0, sensor=b"mine"))
    assert drop_sensors(store, "sample-") == 0
