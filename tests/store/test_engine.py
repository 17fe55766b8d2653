import threading

import pytest

from relaytrap.config import StoreConfig
from relaytrap.errors import DiskError, StoreError, StoreLocked, StoreTooNew
from relaytrap.store import Store
from relaytrap.store.engine import _sentences
from relaytrap.store.lock import owner_of
from tests.storing import count_messages, row, run_child


def test_a_second_process_is_told_who_owns_the_directory(engine):
    import os

    said = run_child(f"""
        from relaytrap.config import StoreConfig
        from relaytrap.errors import StoreLocked
        from relaytrap.store import Store
        try:
            Store(StoreConfig(), Path({str(engine.data_dir)!r}))
        except StoreLocked as error:
            print(error, error.exit_status)
    """)
    assert said == (
        f"{engine.data_dir} is in use by process {os.getpid()}; stop that process or choose another --data 6"
    )


@pytest.mark.parametrize("url", ["db.example", "/srv/store", "embeded", "postgres://db.example/sip"])
def test_what_is_no_address_of_a_server_is_refused_before_anything_is_asked(tmp_path, url):
    with pytest.raises(StoreError, match="no address of a ClickHouse server; write clickhouse://"):
        Store(StoreConfig(url=url), tmp_path)


def test_the_same_process_cannot_open_a_directory_twice(engine):
    with pytest.raises(StoreLocked):
        Store(StoreConfig(), engine.data_dir)


def test_the_owner_is_known_while_it_owns_and_not_after(tmp_path):
    assert owner_of(tmp_path) is None
    said = run_child(f"""
        import os
        from relaytrap.store.lock import DirectoryLock, owner_of
        lock = DirectoryLock(Path({str(tmp_path)!r}))
        print(owner_of(Path({str(tmp_path)!r})) == os.getpid())
    """)
    assert said == "True"
    assert owner_of(tmp_path) is None


def test_a_store_of_a_newer_version_is_refused_untouched(tmp_path):
    said = run_child(f"""
        from tests.storing import *
        from relaytrap.errors import StoreTooNew
        with opened_store(Path({str(tmp_path)!r})) as store:
            newer = {{"step": 99, "name": "later", "applied_at": 0, "written_by": "9.9"}}
            store.insert_rows("schema_steps", [newer])
        try:
            with opened_store(Path({str(tmp_path)!r})):
                pass
        except StoreTooNew as error:
            print(error, error.exit_status)
    """)
    assert "was written by Relaytrap 9.9 (schema 99)" in said
    assert said.endswith(f"install that version or a newer one {StoreTooNew.exit_status}")


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"cannot be used for data \(Not a directory\); choose another with --data"):
        Store(StoreConfig(), tmp_path / "file" / "data")


def test_a_store_closes_and_another_opens_elsewhere_in_the_same_process(tmp_path):
    said = run_child(f"""
        from tests.storing import *
        for name in ("one", "two"):
            with opened_store(Path({str(tmp_path)!r}) / name) as store:
                keep(store, [row(n) for n in range(3)], name)
                print(store.row("SELECT count() AS n FROM messages")["n"], end=" ")
    """)
    assert said == "3 3"


def test_a_closed_store_says_so(tmp_path):
    said = run_child(f"""
        from tests.storing import *
        from relaytrap.errors import StoreError
        with opened_store(Path({str(tmp_path)!r})) as store:
            pass
        try:
            store.rows("SELECT 1 AS one")
        except StoreError as error:
            print(error)
    """)
    assert said.endswith("is closed; open it again")


def test_a_wrong_statement_is_a_store_error(store):
    with pytest.raises(StoreError, match="the store refused a statement"):
        store.rows("SELECT nothing FROM nowhere")


def test_no_room_is_told_apart_from_other_failures():
    from clickhouse_connect.driver.exceptions import DatabaseError

    with pytest.raises(DiskError, match="no room"), _sentences(embedded=True):
        raise DatabaseError("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)")


def test_only_where_a_server_is_named_is_it_said_not_to_answer():
    from clickhouse_connect.driver.exceptions import OperationalError

    with pytest.raises(StoreError, match=r"server of store\.url does not answer"), _sentences(embedded=False):
        raise OperationalError("connection refused")
    with (
        pytest.raises(StoreError, match=r"^the store refused a statement: the engine ended$"),
        _sentences(embedded=True),
    ):
        raise OperationalError("the engine ended")


def test_parameters_are_bound_not_written_into_the_statement(store):
    for text in ("'", "\\", "a\tb\nc\0d", "{x:String}", "'; DROP TABLE messages --", "é\u202e"):
        assert store.row("SELECT {text:String} AS said", {"text": text}) == {"said": text}


def test_threads_ask_at_the_same_time(kept):
    store = kept(*(row(n) for n in range(100)))
    found: list[int] = []

    def ask() -> None:
        found.extend(count_messages(store) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100] * 120


def test_a_stream_is_read_piece_by_piece_while_others_ask(kept):
    store = kept(*(row(n) for n in range(3000)))
    stream = store.stream("SELECT id FROM messages ORDER BY id")
    assert next(stream) == {"id": 1}
    assert count_messages(store) == 3000
    assert sum(1 for _ in stream) == 2999


def test_a_stream_that_is_not_read_to_its_end_leaves_the_store_usable(kept):
    store = kept(*(row(n) for n in range(3000)))
    stream = store.stream("SELECT id FROM messages")
    next(stream)
    stream.close()
    assert count_messages(store) == 3000


def test_everything_runs_without_pandas_pyarrow_and_numpy(tmp_path):
    said = run_child(f"""
        import sys

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("pandas", "pyarrow", "numpy"):
                    raise ModuleNotFoundError(name, name=name)

        sys.meta_path.insert(0, Absent())
        from tests.storing import *
        from relaytrap.store.queries import CATALOGUE, run_query
        with opened_store(Path({str(tmp_path)!r})) as store:
            keep(store, [row(n) for n in range(10)], "batch")
            print(len(list(run_query(store, "messages", {{"raw": "1"}}))), len(list(run_query(store, "sources", {{}}))))
        print([name for name in ("pandas", "pyarrow", "numpy") if name in sys.modules])
    """)
    assert said == "10 1\n[]"
