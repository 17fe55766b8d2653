import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.errors import InputError
from relaytrap.observation import TRANSPORTS
from relaytrap.store import Store
from relaytrap.store.queries.filter import FIELDS, Filter, parse_filter, parse_moment
from tests.storing import NOON_NS, SECOND_NS, address, row

HOUR_NS = 3600 * SECOND_NS


def found(store: Store, **given: object) -> int:
    clause = parse_filter(given, NOON_NS).where()
    return int(store.row(f"SELECT count() AS n FROM messages {clause.sql}", clause.params)["n"])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-22T12:00:00Z", NOON_NS),
        ("2026-09-22T12:00:00.000000001Z", NOON_NS + 1),
        ("2026-09-22T14:00:00+02:00", NOON_NS),
        ("2026-09-22", NOON_NS - 12 * HOUR_NS),
        ("2026-09-22 12:00:00.000", NOON_NS),
        ("2026-09-22T12:00", NOON_NS),
        ("90m", NOON_NS - 90 * 60 * SECOND_NS),
        ("7d", NOON_NS - 168 * HOUR_NS),
        ("now", NOON_NS),
    ],
)
def test_moments_are_times_in_utc_or_their_zone_days_or_ages(text, moment):
    assert parse_moment(text, NOON_NS) == moment


def test_number_of_a_network_may_be_written_as_networks_are():
    assert parse_filter({"asn": "AS64500"}) == parse_filter({"asn": "as64500"}) == parse_filter({"asn": "64500"})


@pytest.mark.parametrize("text", ["yesterday", "7", "d", "2026-09-22 12", "2026-13-22 12:00", "-5d", "9999999999999d"])
def test_other_moments_are_refused_by_name(text):
    with pytest.raises(InputError, match=r"since: .* is not understood"):
        parse_filter({"since": text}, NOON_NS)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("source", "192.0.2.300", "source: '192.0.2.300' is no address or network"),
        ("source", "fe80::1%eth0", "source: 'fe80::1%eth0' is no address or network"),
        ("id", "12", "id: '12' is no identifier"),
        ("verdict", "maybe", "verdict: 'maybe' is none of direct, relayed"),
        ("transport", "UDP", "transport: 'UDP' is none of udp, tcp, tls, ws, wss"),
        ("country", "usa", "country: 'usa' is no ISO code of a country; write two letters"),
        ("track", "77", "track: '77' is not understood .*16 hex digits"),
        ("asn", "ASN1", "asn: 'ASN1' is not understood .*such as AS64500"),
        ("asn", "4294967296", "asn: '4294967296' is not understood"),
        ("faked", "perhaps", "faked: 'perhaps' is not understood .*yes or no"),
        ("colour", "red", "no filter 'colour'"),
    ],
)
def test_a_wrong_value_is_named(field, value, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_filter({field: value})


def test_empty_text_is_no_condition():
    assert parse_filter({"country": "", "method": None}) == Filter()


def test_each_field_finds_its_message_and_no_other(kept):
    given = {
        "sensor": b"one", "transport": b"tcp", "country": b"FR", "asn": 64500, "method": b"INVITE", "status_code": 404,
        "tool": b"sipp", "tool_faked": 1, "fingerprint": b"00ff", "user_agent": b"agent", "call_id": b"call",
        "from_user": b"from", "to_user": b"to", "target": b"200", "dialled": b"+442030000000",
        "dialled_core": b"442030000000", "dialled_country": b"GB", "path_verdict": b"relayed", "track": 77,
        "capture": b"a.pcap", "anomalies": (b"odd",), "notes": (b"JA4 t13",), "source": address("203.0.113.9"),
        "relay": address("203.0.113.9"), "origin": address("203.0.113.10"), "direction": 2, "kind": 2,
        "raw": b"needle in the bytes",
    }  # fmt: skip
    store = kept(row(0, **given), row(1))
    asked = {
        "sensor": "one", "transport": "tcp", "country": "fr", "asn": "64500", "method": "INVITE", "status": "404",
        "tool": "sipp", "faked": "yes", "fingerprint": "00ff", "user_agent": "agent", "call_id": "call",
        "from_user": "from", "to_user": "to", "target": "200", "dialled": "+4420", "dialled_core": "442030000000",
        "dialled_country": "gb", "verdict": "relayed",
        "track": "000000000000004d", "capture": "a.pcap", "anomaly": "odd",
        "note": "JA4 t13", "source": "203.0.113.9", "relay": "203.0.113.9", "origin": "203.0.113.10",
        "direction": "out", "kind": "response", "raw": "needle", "text": "AGENT", "id": f"{1:016x}",
        "until": "2026-09-22T12:00:01Z",
    }  # fmt: skip
    assert set(FIELDS) - set(asked) == {"since", "campaign"}  # campaigns: see test_attach.py
    assert {field: found(store, **{field: value}) for field, value in asked.items()} == dict.fromkeys(asked, 1)
    assert found(store, since="2026-09-22T12:00:01Z") == 1


def test_a_network_finds_its_addresses_only(kept):
    store = kept(
        row(0, source=address("192.0.2.0")),
        row(1, source=address("192.0.2.255")),
        row(2, source=address("192.0.3.0")),
        row(3, source=bytes.fromhex("20010db8" + "00" * 11 + "01")),
    )
    assert found(store, source="192.0.2.0/24") == 2
    assert found(store, source="2001:db8::/32") == 1
    assert found(store, source="0.0.0.0/0") == 3
    assert found(store, source="::/0") == 4


def test_the_attack_condition_leaves_answers_out_unless_asked_for(kept):
    store = kept(row(0), row(1, kind=2), row(2, direction=2))
    count = "SELECT count() AS n FROM messages "
    assert store.row(count + Filter().where(attack=True).sql)["n"] == 1
    clause = Filter(kind="response").where(attack=True)
    assert store.row(count + clause.sql, clause.params)["n"] == 1


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([name for name, meta in FIELDS.items() if meta["type"] == "String"]), st.text(max_size=60))
def test_no_text_breaks_out_of_a_condition(engine, field, text):
    try:
        wanted = parse_filter({field: text}, NOON_NS)
    except InputError:
        return
    clause = wanted.where()
    assert engine.row(f"SELECT count() AS n FROM messages {clause.sql}", clause.params)["n"] >= 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_transport_that_a_message_may_have_can_be_asked_for(transport):
    assert parse_filter({"transport": transport}, NOON_NS).transport == transport
