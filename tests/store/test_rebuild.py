import threading

from relaytrap.store import Store
from relaytrap.store.rebuild import check_rollups, list_days, rebuild_rollups
from relaytrap.store.upkeep import keep_up
from tests.storing import NOON_NS, address, keep, row

DAY_S = 86_400


def rolled(store: Store) -> list[dict[str, object]]:
    return store.rows(
        "SELECT facet, hour, country, value, sum(messages) AS n, uniqMerge(sources) AS u FROM hourly "
        "GROUP BY ALL ORDER BY ALL"
    ) + store.rows(
        "SELECT hour, source, sum(messages) AS n, min(first_seen) AS f, arraySort(groupUniqArrayArray(tools)) AS t, "
        "arraySort(groupUniqArrayArray(sensors)) AS s, arraySort(groupUniqArrayArray(methods)) AS m, "
        "arraySort(groupUniqArrayArray(user_agents)) AS a, uniqMerge(targets) AS v FROM hourly_sources "
        "GROUP BY hour, source ORDER BY ALL"
    )


def traffic() -> list[tuple[object, ...]]:
    """Sixty half-hours from two countries, with two numbers, three tools and five extensions."""
    return [
        row(
            n * 1800,
            country=b"FR" if n % 2 else b"DE",
            tool=b"tool-%d" % (n % 3),
            target=b"%d" % (n % 5),
            dialled_core=(b"442030000000", b"441610000000", b"")[n % 3],
        )
        for n in range(60)
    ]


def test_rollups_made_again_are_the_same(kept):
    store = kept(*traffic())
    before = rolled(store)
    rebuild_rollups(store)
    assert rolled(store) == before


def test_a_day_of_many_made_up_sources_is_summed_up_in_parts(kept, monkeypatch):
    """All at once, two million sources of a day took more memory than a question may."""
    store = kept(*(row(n * 600, source=address(f"203.0.113.{n}"), user_agent=b"%d" % n) for n in range(90)))
    before = rolled(store)
    monkeypatch.setattr("relaytrap.store.rebuild.SOURCES_AT_ONCE", 20)
    inserts, command = [], store.command
    monkeypatch.setattr(store, "command", lambda sql: (inserts.append("INSERT" in sql), command(sql)))
    rebuild_rollups(store, ["20260922"])
    assert sum(inserts) == 2 * 4
    assert rolled(store) == before


def test_days_whose_rollups_fall_short_are_found_and_mended(kept):
    store = kept(row(0), row(DAY_S), row(DAY_S + 1))
    before = rolled(store)
    assert check_rollups(store) == []
    store.command(f"ALTER TABLE {store.layout.altered('hourly')} DROP PARTITION ID '20260923'")
    assert check_rollups(store) == ["20260923"]
    keep_up(store, NOON_NS + 2 * 3600 * 10**9)
    assert check_rollups(store) == []
    assert rolled(store) == before


def test_on_a_server_a_day_that_is_being_written_waits(kept):
    now_ns = NOON_NS + 2 * 3600 * 10**9
    store = kept(row(0, ingested_at=now_ns // 1_000_000))
    store.command(f"ALTER TABLE {store.layout.altered('hourly')} DROP PARTITION ID '20260922'")
    keep_up(store, now_ns)
    assert check_rollups(store) == ([] if store.embedded else ["20260922"])
    keep_up(store, now_ns + 2 * 3600 * 10**9)
    assert check_rollups(store) == []


def test_a_rebuild_leaves_no_tables_behind(kept):
    rebuild_rollups(store := kept(row(0)))
    names = [each["name"] for each in store.rows("SHOW TABLES")]
    assert not [name for name in names if name.endswith("_rebuilt")]


def test_days_are_listed_oldest_first(kept):
    assert list_days(kept(row(DAY_S), row(0))) == ["20260922", "20260923"]


def test_writers_wait_while_one_rewrites(store):
    done = threading.Event()

    def write() -> None:
        keep(store, [row(0)], "waits-for-the-gate")
        done.set()

    with store.gate.alone():
        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.2)
    assert done.wait(10)
    thread.join()
