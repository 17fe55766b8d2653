import base64
import itertools

import pytest

from relaytrap.errors import InputError
from relaytrap.store.queries import CATALOGUE, FIELDS, options_of, run_query
from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.messages import cursor_of, export_messages, list_messages
from relaytrap.store.schema import NAMES
from tests.storing import NOON_NS, SECOND_NS, address, row

WANTED = (
    "id capture frame received_at sensor transport source source_port local local_port direction method status_code "
    "request_uri from_user to_user call_id user_agent via_count max_forwards country asn as_name tool dialled decoded "
    "anomalies raw path_verdict relay origin origin_confidence hops evidence campaign association association_why"
)


def ids(rows):
    return [int(each["id"], 16) for each in rows]


def test_a_message_has_every_key_in_its_outward_form(kept):
    store = kept(
        row(
            id=255,
            received_at=NOON_NS + 5,
            kind=2,
            status_code=404,
            max_forwards=-1,
            relay=address("203.0.113.9"),
            decoded=b'[["Call-ID","dotted","address","192.0.2.7","192.0.2.7",40,9,"",true,false]]',
            raw=b"\xff\0",
        )
    )
    (found,) = run_query(store, "messages", {"with_raw": True})
    assert set(WANTED.split()) | set(NAMES) == set(found)
    assert (found["id"], found["received_at"]) == ("00000000000000ff", "2026-09-22T12:00:00.000000005Z")
    assert (found["source"], found["relay"], found["origin"]) == ("192.0.2.7", "203.0.113.9", None)
    assert (found["status_code"], found["max_forwards"], found["start"]) == (404, None, None)
    assert (found["campaign"], found["association"]) == (None, False)
    assert base64.b64decode(found["raw"]) == b"\xff\0"
    assert found["decoded"][0]["value"] == "192.0.2.7"
    assert (found["decoded"][0]["is_source"], found["hops"]) == (True, [])


def test_ipv6_addresses_come_in_canonical_text(kept):
    store = kept(row(source=bytes.fromhex("20010db8000000000000000000000001"), local=bytes(15) + b"\1"))
    (found,) = run_query(store, "messages", {})
    assert (found["source"], found["local"]) == ("2001:db8::1", "::1")


def test_messages_come_newest_first_and_by_pages_without_gap_or_overlap(kept):
    # Several messages share a moment: the identifier decides among them.
    store = kept(*(row(n // 3, id=n + 1) for n in range(20)))
    pages, before = [], ""
    while page := list(run_query(store, "messages", {"limit": "7", "before": before})):
        pages.append(ids(page))
        before = cursor_of(page[-1])
    assert [len(page) for page in pages] == [7, 7, 6]
    assert list(itertools.chain(*pages)) == list(range(20, 0, -1))


def test_a_page_after_a_cursor_is_the_one_next_to_it(kept):
    store = kept(*(row(n) for n in range(10)))
    oldest = list(run_query(store, "messages", {"limit": 0}))[-1]
    assert ids(run_query(store, "messages", {"limit": 3, "after": cursor_of(oldest)})) == [4, 3, 2]


@pytest.mark.parametrize("cursor", ["x", "2026_0000000000000001", "2026-09-22T12:00:00Z_12"])
def test_a_wrong_cursor_is_refused(store, cursor):
    with pytest.raises(InputError, match="cursor"):
        list(run_query(store, "messages", {"before": cursor}))


def test_without_limit_all_messages_stream(kept):
    store = kept(*(row(n) for n in range(1200)))
    stream = list_messages(store, Filter(), limit=0)
    assert next(stream)["id"] == f"{1200:016x}"
    assert sum(1 for _ in stream) == 1199


def test_a_message_is_found_by_its_identifier(kept):
    store = kept(row(0, id=1 << 63), row(1))
    (found,) = run_query(store, "message", {"id": "8000000000000000"})
    assert found["id"] == "8000000000000000"
    assert list(run_query(store, "message", {"id": "0" * 16})) == []


def test_a_conversation_has_both_directions_in_order_and_no_strangers(kept):
    store = kept(
        row(0, call_id=b"a"),
        row(1, call_id=b"a", direction=2, kind=2),
        row(2, call_id=b"b"),
        row(3, call_id=b"a", source=address("192.0.2.8")),
        row(7200, call_id=b"a"),
    )
    assert ids(run_query(store, "conversation", {"id": f"{2:016x}"})) == [1, 2]
    assert run_query(store, "conversation", {"id": "0" * 16}) == []


def test_counting_nothing_gives_nulls(store):
    assert run_query(store, "count", {}) == [{"messages": 0, "sources": 0, "first_seen": None, "last_seen": None}]


def test_text_anywhere_in_the_bytes_narrows_the_list_with_its_bytes_and_without(kept):
    store = kept(row(0, raw=b"a needle here"), row(1, raw=b"hay"))
    for with_raw in (False, True):
        (found,) = run_query(store, "messages", {"raw": "needle", "with_raw": with_raw})
        assert found["received_at"] == "2026-09-22T12:00:00.000000000Z"


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_option_of_a_question_takes_the_place_of_a_condition(name):
    assert set(options_of(name)) & set(FIELDS) <= {"id"}


def test_counting_gives_span_and_sources(kept):
    store = kept(row(0), row(60, source=address("192.0.2.8")))
    (found,) = run_query(store, "count", {})
    assert (found["messages"], found["sources"]) == (2, 2)
    assert (found["first_seen"], found["last_seen"]) == (
        "2026-09-22T12:00:00.000000000Z",
        "2026-09-22T12:01:00.000000000Z",
    )


def test_an_export_gives_back_bytes_and_nanoseconds_oldest_first(kept):
    store = kept(row(1, raw=b"b"), row(0, raw=bytes(range(256)), notes=(b"cut",)))
    found = list(export_messages(store, Filter()))
    assert [each["raw"] for each in found] == [bytes(range(256)), b"b"]
    assert [each["received_at_ns"] for each in found] == [NOON_NS, NOON_NS + SECOND_NS]
    assert found[0]["notes"] == ["cut"]
