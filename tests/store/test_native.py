import uuid

from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.store import Store
from relaytrap.store.native import varint
from relaytrap.store.schema import COLUMNS
from tests.storing import NOON_NS, clear, keep, row

texts = st.binary(max_size=300) | st.integers(16_000, 17_000).map(bytes)


def test_varint_counts_seven_bits_a_byte():
    assert [varint(n) for n in (0, 127, 128, 300, 1 << 21)] == [b"\0", b"\x7f", b"\x80\1", b"\xac\2", b"\x80\x80\x80\1"]


def test_every_column_survives_a_round_trip(kept):
    store = kept(
        row(
            id=2**64 - 1,
            ingested_at=NOON_NS // 1_000_000 + 7,
            frame=2**32 - 1,
            direction=2,
            kind=2,
            status_code=404,
            max_forwards=-1,
            tool_faked=1,
            anomalies=(b"one", b"two"),
            raw=bytes(range(256)),
        )
    )
    names = ", ".join(f"toString({column.name}) AS {column.name}" for column in COLUMNS if column.name != "raw")
    found = store.row(f"SELECT {names}, hex(raw) AS raw FROM messages")
    assert found["id"] == str(2**64 - 1)
    assert (found["received_at"], found["ingested_at"]) == ("2026-09-22 12:00:00.000000000", "2026-09-22 12:00:00.007")
    assert (found["direction"], found["kind"], found["status_code"]) == ("out", "response", "404")
    assert (found["frame"], found["max_forwards"], found["tool_faked"]) == (str(2**32 - 1), "-1", "true")
    assert (found["source"], found["anomalies"]) == ("::ffff:192.0.2.7", "['one','two']")
    assert bytes.fromhex(found["raw"]) == bytes(range(256))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(texts, texts, st.lists(st.binary(max_size=40), max_size=4)), min_size=1, max_size=12))
def test_any_bytes_in_text_columns_come_back(engine: Store, values):
    clear(engine)
    rows = [row(n, call_id=a, user_agent=b, notes=tuple(c)) for n, (a, b, c) in enumerate(values)]
    keep(engine, rows, uuid.uuid4().hex)
    found = engine.rows(
        "SELECT hex(call_id) AS a, hex(user_agent) AS b, arrayMap(x -> hex(x), notes) AS c "
        "FROM messages ORDER BY received_at"
    )
    assert [(bytes.fromhex(r["a"]), bytes.fromhex(r["b"]), [bytes.fromhex(c) for c in r["c"]]) for r in found] == [
        (a, b, c) for a, b, c in values
    ]


def test_columns_that_hold_one_value_throughout_are_written_right(kept):
    store = kept(*(row(n, sensor=b"same", call_id=b"same") for n in range(3)))
    assert store.rows("SELECT sensor, call_id, count() AS n FROM messages GROUP BY ALL") == [
        {"sensor": "same", "call_id": "same", "n": 3}
    ]
