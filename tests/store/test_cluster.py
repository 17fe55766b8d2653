"""The store on a server and on a cluster; everything else about it is in the other files, which run on both."""

import pytest

from relaytrap.config import StoreConfig
from relaytrap.errors import StoreError
from relaytrap.store import Store
from relaytrap.store.findings_schema import FINDINGS
from tests.storing import keep, opened_store, row, run_child


def test_the_engine_makes_every_replicated_and_distributed_table(tmp_path):
    # ON CLUSTER needs a server's queue of DDL; everything else is the statement as a cluster gets it.
    said = run_child(f"""
        import os
        import chdb
        from relaytrap.store.findings_schema import findings_ddl
        from relaytrap.store.schema import Layout, messages_ddl, rollup_ddl, versions_ddl, views_ddl
        from tests.clickhouse import write_configuration
        handle = chdb.connect(f"{tmp_path}/engine?config-file={{write_configuration(Path({str(tmp_path)!r}))}}")
        handle.query("CREATE DATABASE relaytrap")
        handle.query("USE relaytrap")
        layout = Layout("two")
        for part in (messages_ddl, rollup_ddl, views_ddl, findings_ddl):
            for statement in part(layout):
                assert layout.on_cluster in statement
                handle.query(statement.replace(layout.on_cluster, ""))
        handle.query(versions_ddl(layout).replace(layout.on_cluster, ""))
        sql = "SELECT engine, count() FROM system.tables WHERE database = 'relaytrap' GROUP BY engine ORDER BY engine"
        print(handle.query(sql, "TSV"), flush=True)
        os._exit(0)
    """)
    assert dict(line.split("\t") for line in said.splitlines()) == {
        "Distributed": "3",
        "MaterializedView": "2",
        "ReplicatedAggregatingMergeTree": "2",
        "ReplicatedMergeTree": "2",
        "ReplicatedReplacingMergeTree": str(len(FINDINGS)),
    }


def test_one_server_without_a_cluster_keeps_plain_tables(tmp_path, clickhouse):
    with opened_store(tmp_path, url=clickhouse + "plain") as store:
        for _ in range(2):
            keep(store, [row(n) for n in range(5)], "again")
        assert store.row("SELECT count() AS n FROM messages") == {"n": 5}
        assert "messages_local" not in [each["name"] for each in store.rows("SHOW TABLES")]


def test_two_hubs_share_one_cluster(tmp_path, clickhouse):
    settings = {"url": clickhouse + "shared", "cluster": "one"}
    with opened_store(tmp_path / "a", **settings) as one, opened_store(tmp_path / "b", **settings) as other:
        for store in (one, other):
            keep(store, [row(n) for n in range(5)], "the same segment")
        assert other.row("SELECT count() AS n FROM messages") == {"n": 5}


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(StoreError, match=r"^the ClickHouse server 127\.0\.0\.1:1: the store cannot be opened") as told:
        Store(StoreConfig(url="clickhouse://user:secret@127.0.0.1:1/db"), tmp_path)
    assert "secret" not in str(told.value)
    assert str(told.value).endswith(": Connection refused")


def test_a_cluster_without_a_server_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"store\.cluster names a cluster and store\.url no server"):
        Store(StoreConfig(cluster="traps"), tmp_path)
