"""What is acknowledged is there once, whatever is sent again or killed."""

import signal
import subprocess
import sys

from relaytrap.store import Store
from relaytrap.store.schema import CORES_OF_DAY
from tests.storing import ROOT, SECOND_NS, count_messages, dedented, keep, row, run_child

DAY_S = 86_400


def counts(store: Store) -> tuple[int, int, int]:
    """Messages, and messages as the two rollups count them, whose days and hours of dialled cores agree."""
    days = store.row(f"SELECT sum(messages) AS n FROM hourly WHERE facet = '{CORES_OF_DAY}'")["n"]
    assert days == store.row("SELECT sum(messages) AS n FROM hourly WHERE facet = 'dialled_core'")["n"]
    return (
        count_messages(store),
        store.row("SELECT sum(messages) AS n FROM hourly WHERE facet = 'all'")["n"],
        store.row("SELECT sum(messages) AS n FROM hourly_sources")["n"],
    )


def test_three_sends_of_one_token_leave_one_copy_also_in_rollups(store):
    rows = [row(n, country=b"FR", dialled_core=b"442030000000") for n in range(500)]
    for _ in range(3):
        keep(store, rows, "three-sends")
    assert store.row(f"SELECT sum(messages) AS n FROM hourly WHERE facet = '{CORES_OF_DAY}'") == {"n": 500}
    assert counts(store) == (500, 500, 500)


def test_two_tokens_with_the_same_rows_are_two_batches(store):
    for token in ("same-rows-1", "same-rows-2"):
        keep(store, [row(n) for n in range(5)], token)
    assert counts(store) == (10, 10, 10)


def test_a_token_is_known_after_closing_and_opening(tmp_path):
    assert (
        run_child(f"""
        from tests.storing import *
        for _ in range(2):
            with opened_store(Path({str(tmp_path)!r})) as store:
                keep(store, [row(n) for n in range(7)], "again")
        with opened_store(Path({str(tmp_path)!r})) as store:
            print(store.row("SELECT count() AS n FROM messages")["n"])
    """)
        == "7"
    )


def test_a_large_batch_is_one_block(store):
    keep(store, [row(n % 60, id=n + 1) for n in range(70_000)], "large")
    sql = f"SELECT rows FROM {store.layout.parts()} WHERE active AND database = currentDatabase() AND table = "
    parts = store.rows(sql + f"'{store.layout.local('messages')}'")
    assert [part["rows"] for part in parts] == [70_000]


def test_killed_in_mid_ingest_nothing_acknowledged_is_lost_and_resending_doubles_nothing(tmp_path):
    writer = f"""
        import sys
        from tests.storing import *
        with opened_store(Path({str(tmp_path)!r})) as store:
            for batch in range(10_000):
                keep(store, [row(n, id=batch * 1000 + n + 1) for n in range(1000)], f"batch-{{batch}}")
                print(batch, flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", dedented(writer)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    acknowledged = -1
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged == 5:
            process.send_signal(signal.SIGKILL)
    process.wait()
    found = run_child(f"""
        from tests.storing import *
        from relaytrap.store.upkeep import keep_up
        with opened_store(Path({str(tmp_path)!r})) as store:
            first = store.row("SELECT uniqExact(id) AS ids, count() AS n FROM messages")
            for batch in range({acknowledged} + 2):  # the sensor sends again what was never acknowledged, and more
                keep(store, [row(n, id=batch * 1000 + n + 1) for n in range(1000)], f"batch-{{batch}}")
            keep_up(store, NOON_NS)
            last = store.row("SELECT uniqExact(id) AS ids, count() AS n FROM messages")
            rolled = store.row("SELECT sum(messages) AS n FROM hourly WHERE facet = 'all'")["n"]
            print(first["n"] == first["ids"], first["n"] // 1000, last["n"] == last["ids"], last["n"], rolled)
    """)
    whole, before, whole_after, after, rolled = found.split()
    assert (whole, whole_after) == ("True", "True")
    assert int(before) >= acknowledged + 1
    assert int(after) == int(rolled) == max(int(before), acknowledged + 2) * 1000


def test_times_keep_their_nanoseconds(store):
    keep(
        store,
        [row(received_at=1_790_078_400_123_456_789), row(1, received_at=1_790_078_400_123_456_789 + SECOND_NS)],
        "ns",
    )
    first = store.row("SELECT toUnixTimestamp64Nano(min(received_at)) AS ns FROM messages")
    assert first["ns"] == 1_790_078_400_123_456_789


# Last: to empty tables of many days takes as long as to fill them.
def test_a_batch_over_many_days_is_kept_once(store):
    rows = [row(n * DAY_S) for n in range(101)]
    for _ in range(2):
        keep(store, rows, "many-days")
    assert counts(store) == (101, 101, 101)
