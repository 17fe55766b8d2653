from relaytrap.store.findings_schema import findings_ddl
from relaytrap.store.migrations import STEPS, keep_own_times, migrate, schema_version
from relaytrap.store.schema import COLUMNS, FACETS, NAMES, Layout, messages_ddl, rollup_ddl, views_ddl
from tests.storing import row


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
    store = kept(row(0, notes=(b"cut", old)), row(1, notes=(b"cut",)), row(2))
    messages = store.layout.altered("messages")
    store.command(f"ALTER TABLE {messages} DROP INDEX by_own_at")
    store.command(f"ALTER TABLE {messages} DROP COLUMN own_at SETTINGS mutations_sync = 2")
    for _ in range(2):
        keep_own_times(store)
        assert store.rows("SELECT toUnixTimestamp64Nano(own_at) AS own, notes FROM messages ORDER BY id") == [
            {"own": 2135678400 * 10**9 + 5, "notes": ["cut", note]},
            {"own": 0, "notes": ["cut"]},
            {"own": 0, "notes": []},
        ]


def test_every_column_says_what_it_holds():
    assert all(len(column.doc) > 5 for column in COLUMNS)


def test_the_engine_reads_the_statements_for_a_cluster(store):
    layout = Layout("traps")
    for statement in (*messages_ddl(layout), *rollup_ddl(layout), *views_ddl(layout), *findings_ddl(layout)):
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
    assert {each["facet"] for each in found} == set(FACETS)
    assert all((each["n"], each["u"], each["country"]) == (1, 1, "FR") for each in found)
    values = {each["facet"]: each["value"] for each in found}
    assert (values["network"], values["tool"], values["all"]) == ("64500 Example", "sipp", "")
