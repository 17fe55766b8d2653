import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.hub.batch import make_batch
from relaytrap.hub.columns import TEXT_MAX
from relaytrap.hub.rows import RULES_VERSION, bare_row, make_row, make_rows
from relaytrap.observation import Observation
from relaytrap.store.native import native_block
from relaytrap.store.schema import COLUMNS, JSON_LISTS, NAMES
from tests.hub.traffic import request, seen
from tests.storing import NOON_NS, address


def columns(raw: bytes, setting: Any, **given: Any) -> dict[str, Any]:
    return dict(zip(NAMES, make_row(seen(raw, **given), setting, 1234), strict=True))


def test_a_request_fills_its_columns(setting):
    found = columns(request(7, method=b"REGISTER", user=b"1%301"), setting)
    expected = {
        "received_at": NOON_NS, "ingested_at": 1234, "sensor": b"trap", "direction": 1, "transport": b"udp",
        "source": address("192.0.2.7"), "local": address("198.51.100.1"), "kind": 1, "method": b"REGISTER",
        "request_uri": b"sip:1%301@198.51.100.1", "request_user": b"101", "request_host": b"198.51.100.1",
        "from_user": b"101", "to_user": b"101", "call_id": b"call-7", "cseq": 1, "cseq_method": b"REGISTER",
        "from_tag": b"t7", "to_tag": b"", "branch": b"z9hG4bK-7", "user_agent": b"friendly-scanner", "via_count": 1,
        "max_forwards": 70, "country": b"FR", "asn": 64500, "as_name": b"Exemple", "target": b"101",
        "rules_version": RULES_VERSION,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_a_response_has_status_and_no_verdict(setting):
    found = columns(b"SIP/2.0 404 Not Found\r\nCSeq: 3 INVITE\r\nCall-ID: x\r\n\r\n", setting)
    assert (found["kind"], found["status_code"], found["method"], found["cseq_method"]) == (2, 404, b"", b"INVITE")
    assert (found["path_verdict"], found["tool"], found["track"]) == (b"", b"", 0)


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 2000])
def test_what_cannot_be_parsed_is_a_row_too(setting, raw):
    found = columns(raw, setting)
    assert (found["kind"], found["raw"], found["size"]) == (3, raw, len(raw))


def test_a_dialled_number_is_read_by_the_rules_of_the_sensors_country(setting):
    found = columns(request(method=b"INVITE", user=b"0011442030000000"), setting)
    assert (found["dialled"], found["dialled_prefix"], found["dialled_country"]) == (b"+442030000000", b"0011", b"GB")
    assert found["dialled_digits"] == b"0011442030000000"


def test_reasons_name_bytes_of_the_message(setting):
    raw = request(method=b"INVITE", user=b"0011442030000000")
    found = columns(raw, setting)
    for name, keys in JSON_LISTS.items():
        for each in json.loads(found[name] or b"[]"):
            told = dict(zip(keys, each, strict=True))
            if told.get("offset", -1) >= 0:
                assert raw[told["offset"] :][: told["length"]].decode() == told["quote"]


def test_undecodable_bytes_become_readable_text_and_stay_whole_in_raw(setting):
    raw = request(agent=b"\xff\xfe\x1b[31m")
    found = columns(raw, setting)
    assert found["user_agent"] == b"\\xff\\xfe\x1b[31m"
    assert found["raw"] == raw


def test_a_long_user_with_escapes_is_cut_once(setting):
    user = b"x" * 5000 + b"%ff"
    raw = b"REGISTER sip:a@b SIP/2.0\r\nTo: <sip:" + user + b"@b>\r\nFrom: <sip:" + user + b"@b>;tag=1\r\n\r\n"
    found = columns(raw, setting)
    for column in ("from_user", "to_user", "target"):
        assert found[column] == b"x" * TEXT_MAX + "… (5001 bytes)".encode()


def test_very_long_values_are_cut_with_a_mark_and_stay_whole_in_raw(setting):
    raw = request(agent=b"a" * 60_000)
    found = columns(raw, setting)
    assert found["user_agent"] == b"a" * TEXT_MAX + "… (60000 bytes)".encode()
    assert found["raw"] == raw


def test_the_identifier_depends_on_what_was_seen_and_nothing_else(setting):
    base = make_row(seen(request()), setting, 1)[0]
    assert make_row(seen(request()), setting, 999)[0] == base
    assert bare_row(seen(request()), 5)[0] == base
    others = [seen(request(1)), seen(request(), 1), seen(request(), sensor="other")]
    assert len({base, *(make_row(each, setting, 1)[0] for each in others)}) == 4


@pytest.mark.parametrize("moment", [-5, 2**63])
def test_times_that_no_clock_gives_are_brought_into_range(setting, moment):
    odd = Observation(moment, "trap", "in", "udp", "192.0.2.7", 1, "198.51.100.1", 2, request())
    row = dict(zip(NAMES, make_row(odd, setting, 1), strict=True))
    assert 0 <= row["received_at"] < 2**32 * 10**9


def test_an_address_that_is_none_does_not_cost_the_message(setting):
    odd = Observation(NOON_NS, "trap", "in", "udp", "no address", 1, "fe80::1", 2, request())
    row = dict(zip(NAMES, make_row(odd, setting, 1), strict=True))
    assert row["source"] == bytes(16)
    assert row["local"] == bytes.fromhex("fe80" + "00" * 13 + "01")


def test_a_message_that_our_own_code_fails_on_is_kept_bare(setting, monkeypatch):
    def fail(message: Any, *_: object) -> tuple[()]:
        if message.call_id == b"call-1":
            raise RuntimeError("a bug")
        return ()

    monkeypatch.setattr("relaytrap.hub.rows.decode_identifiers", fail)
    batch = make_batch([seen(request(n)) for n in range(3)], setting, 1)
    assert (batch.rows, batch.block.count(b"not-analysed")) == (3, 1)


ANSWER = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
KINDS = st.sampled_from(
    [request(), request(3, method=b"INVITE", user=b"0011442030000000"), ANSWER, b"\r\n\r\n", b"\xff"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KINDS | st.binary(max_size=80), st.sampled_from(["trap", "sample-sydney"])), max_size=9))
def test_messages_side_by_side_make_the_rows_that_each_makes_alone(setting, messages):
    observations = [seen(raw, number, sensor=sensor) for number, (raw, sensor) in enumerate(messages)]
    stamps = range(len(observations))
    alone = [make_row(one, setting, stamp) for one, stamp in zip(observations, stamps, strict=True)]
    assert make_rows(observations, setting, stamps) == alone


def test_bare_rows_have_every_column():
    assert len(bare_row(seen(request()), 1)) == len(COLUMNS)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600) | st.binary(max_size=60).map(lambda junk: request(agent=junk, user=junk, more=junk)))
def test_any_bytes_make_a_row_that_the_store_can_take(setting, raw):
    row = make_row(seen(raw), setting, 1)
    assert len(row) == len(COLUMNS)
    assert row[-1] == raw
    assert native_block([row])
    for name, value in zip(NAMES, row, strict=True):
        if isinstance(value, bytes) and name not in ("raw", "mask", "source", "local", "relay", "origin", "claim"):
            value.decode("utf-8")  # what leaves as JSON is valid UTF-8
