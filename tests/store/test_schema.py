from relaytrap.store.findings_schema import findings_ddl
from relaytrap.store.migrations import STEPS, keep_own_times, migrate, schema_version
from relaytrap.store.rebuild import rebuild_rollups
from relaytrap.store.schema import (
    ATTACK,
    COLUMNS,
    CORES_OF_DAY,
    FACETS,
    LISTED_VALUES,
    NAMES,
    SOURCE_LISTS,
    Layout,
    messages_ddl,
    rollup_ddl,
    rollup_upgrade_ddl,
    views_ddl,
)
from tests.store.test_rebuild import rolled, traffic
from tests.storing import address, count_messages, keep, row


def test_a_new_store_has_seen_every_step(store):
    assert schema_version(store) == len(STEPS)


def test_migrating_again_changes_nothing(kept):
    store = kept(row())
    migrate(store)
    assert store.row("SELECT count() AS n FROM messages")["n"] == 1
    assert store.row("SELECT count() AS n FROM schema_steps")["n"] == len(STEPS)


def test_a_step_may_run_again_after_a_crash_in_its_middle(kept):
    store = kept(row())
    for _, step in STEPS:
        step(store)
    assert store.row("SELECT count() AS n FROM messages")["n"] == 1


def test_the_table_has_the_listed_columns_in_their_order(store):
    found = store.rows(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'messages' ORDER BY position"
    )
    assert tuple(row["name"] for row in found) == NAMES


def test_an_older_store_gets_the_codec_of_a_new_one(store):
    def codec() -> str:
        sql = "SELECT compression_codec AS codec FROM system.columns WHERE database = currentDatabase() "
        return store.row(f"{sql} AND table = '{store.layout.local('messages')}' AND name = 'source'")["codec"]

    made = codec()
    store.command(f"ALTER TABLE {store.layout.altered('messages')} MODIFY COLUMN source IPv6 CODEC(ZSTD(1))")
    assert codec() != made
    for _, step in STEPS:
        step(store)
    assert codec() == made


def test_an_older_store_gets_the_times_that_were_in_its_notes(kept):
    note = "time of arrival, as its own is not believed"
    old = f"{note}: 2037-09-04T12:00:00.000000005Z".encode()
    unset, bad = (f"{note}: {text}".encode() for text in ("1970-01-01T00:00:00.000000000Z", "soon"))
    store = kept(
        row(0, notes=(b"cut", old)), row(1, notes=(b"cut",)), row(2), row(3, notes=(unset,)), row(4, notes=(bad,))
    )
    messages = store.layout.altered("messages")
    store.command(f"ALTER TABLE {messages} DROP INDEX by_own_at")
    store.command(f"ALTER TABLE {messages} DROP COLUMN own_at SETTINGS mutations_sync = 2")
    for _ in range(2):
        keep_own_times(store)
        assert store.rows("SELECT toUnixTimestamp64Nano(own_at) AS own, notes FROM messages ORDER BY id") == [
            {"own": 2135678400 * 10**9 + 5, "notes": ["cut", note]},
            {"own": 0, "notes": ["cut"]},
            {"own": 0, "notes": []},
            {"own": 1, "notes": [note]},
            {"own": 0, "notes": [note]},
        ]


def test_an_older_store_gets_the_rollups_of_a_new_one(kept):
    store = kept(*traffic())
    made = rolled(store)
    _as_schema_4_had_them(store)
    keep(store, [row(5, dialled_core=b"441610000000")], "before-the-step")
    migrate(store)
    keep(store, [row(6, dialled_core=b"441610000000")], "after-the-step")
    found = rolled(store)
    assert schema_version(store) == len(STEPS)
    assert count_messages(store) == 62
    rebuild_rollups(store)
    assert rolled(store) == found
    store.command(f"DELETE FROM {store.layout.altered('messages')} WHERE id IN (6, 7) AND target = ''")
    rebuild_rollups(store)
    assert rolled(store) == made


def _as_schema_4_had_them(store):
    """Rollups without days of cores and without what sources did."""
    layout = store.layout
    origin, on = layout.local("messages"), layout.on_cluster
    names, values = ", ".join(f"'{name}'" for name in FACETS), ", ".join(FACETS.values())
    store.command(
        f"ALTER TABLE hourly_view{on} MODIFY QUERY SELECT facet, toStartOfHour(received_at) AS hour, country, value, "
        f"count() AS messages, uniqState(source) AS sources FROM {origin} ARRAY JOIN [{names}] AS facet, [{values}] AS "
        f"value WHERE {ATTACK} AND (value != '' OR facet IN ('all', 'tool', 'verdict', 'user_agent')) "
        "GROUP BY facet, hour, country, value"
    )
    store.command(
        f"ALTER TABLE hourly_sources_view{on} MODIFY QUERY SELECT toStartOfHour(received_at) AS hour, source, "
        "any(country) AS country, any(asn) AS asn, any(as_name) AS as_name, count() AS messages, "
        "countIf(path_verdict IN ('relayed', 'hidden')) AS relayed, min(received_at) AS first_seen, "
        f"max(received_at) AS last_seen FROM {origin} WHERE {ATTACK} GROUP BY hour, source"
    )
    store.command(f"DELETE FROM {layout.altered('hourly')} WHERE facet = '{CORES_OF_DAY}'")
    dropped = ", ".join(f"DROP COLUMN {name}" for name in (*SOURCE_LISTS, "targets"))
    for table in dict.fromkeys(("hourly_sources", layout.local("hourly_sources"))):
        store.command(f"ALTER TABLE {table}{on} {dropped}")
    store.command(f"DELETE FROM schema_steps{on} WHERE step > 4")


def test_a_source_that_varies_all_it_can_keeps_few_values_an_hour(kept):
    store = kept(*(row(n, tool=b"%d" % n, user_agent=b"%d" % n) for n in range(100)))
    keep(store, [row(n, tool=b"%d" % n, user_agent=b"%d" % n) for n in range(100, 200)], "as-many-again")
    store.command(f"OPTIMIZE TABLE {store.layout.altered('hourly_sources')} FINAL")
    found = store.rows("SELECT length(tools) AS tools, length(user_agents) AS agents FROM hourly_sources")
    assert found == [{"tools": LISTED_VALUES, "agents": LISTED_VALUES}]


def test_one_insert_brings_one_row_for_each_key_of_the_rollups(store):
    """So the engine is told not to look for more of them in each insert (optimize_on_insert)."""
    rows = [row(number, source=address(f"192.0.2.{number % 7}")) for number in range(3_000)]
    store.command("SYSTEM STOP MERGES")
    try:
        keep(store, rows, "all")
        for table, key in (("hourly", "facet, hour, country, value"), ("hourly_sources", "hour, source")):
            counts = store.row(f"SELECT count() AS rows, uniqExact({key}) AS keys FROM {table}")
            assert counts["rows"] == counts["keys"] > 0
    finally:
        store.command("SYSTEM START MERGES")


def test_every_column_says_what_it_holds():
    assert all(len(column.doc) > 5 for column in COLUMNS)


def test_the_engine_reads_the_statements_for_a_cluster(store):
    layout = Layout("traps")
    made = (messages_ddl, rollup_ddl, views_ddl, rollup_upgrade_ddl, findings_ddl)
    for statement in (statement for part in made for statement in part(layout)):
        shown = store.row("SELECT formatQuery({sql:String}) AS sql", {"sql": statement})["sql"]
        assert "ON CLUSTER traps" in shown


def test_the_rollup_keeps_every_facet_of_what_came_in(kept):
    store = kept(
        row(
            country=b"FR",
            asn=64500,
            as_name=b"Example",
            tool=b"sipp",
            path_verdict=b"direct",
            user_agent=b"x",
            dialled_country=b"GB",
            dialled_core=b"442030000000",
            cseq_method=b"OPTIONS",
        ),
        row(1, kind=2, method=b"", country=b"FR"),
        row(2, direction=2, country=b"FR"),
    )
    found = store.rows(
        "SELECT facet, value, country, sum(messages) AS n, uniqMerge(sources) AS u FROM hourly "
        "GROUP BY ALL ORDER BY facet"
    )
    days = [each for each in found if each["facet"] == CORES_OF_DAY]
    assert [(each["value"], each["n"], each["u"], each["country"]) for each in days] == [("442030000000", 1, 0, "")]
    found = [each for each in found if each not in days]
    assert {each["facet"] for each in found} == set(FACETS)
    assert all((each["n"], each["u"], each["country"]) == (1, 1, "FR") for each in found)
    values = {each["facet"]: each["value"] for each in found}
    assert (values["network"], values["tool"], values["all"]) == ("64500 Example", "sipp", "")
