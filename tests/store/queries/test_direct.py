"""Who attacked from an address of its own: only what the sender cannot make up is a proof."""

import pytest

from relaytrap.store.queries import Filter
from relaytrap.store.queries.direct import count_direct_sources, list_direct_sources, list_sensors_of_relays
from tests.storing import NOON_NS, SECOND_NS, address, row

IN, OUT = 1, 2
REQUEST, RESPONSE = 1, 2
OURS, THEIRS = b"as0123abcd", b"as4567ef01"
NEAR, FAR = address("192.0.2.1"), address("192.0.2.2")


def asked(number, source=NEAR, **given):
    return row(number, source=source, direction=IN, kind=REQUEST, path_verdict=b"direct", **given)


def answered(number, source=NEAR, **given):
    return row(number, source=source, direction=OUT, kind=RESPONSE, **given)


def challenged(number, nonce, source=NEAR, **given):
    raw = b'SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="%s"\r\n\r\n' % nonce
    return answered(number, source, status_code=401, raw=raw, **given)


def digest(nonce):
    return b"$sip$***100*r*REGISTER*sip*192.0.2.1**%s***auth*MD5*0123" % nonce


def proofs(store, **given):
    return {each["address"]: each["proof"] for each in list_direct_sources(store, Filter(), **given)}


def test_what_a_source_did_is_summed_up(kept):
    store = kept(
        asked(0, country=b"FR", asn=1, as_name=b"One", goal=b"toll", tool=b"sipp"),
        asked(3600, sensor=b"other", goal=b"password"),
        row(5, source=NEAR, path_verdict=b"relayed"),
        row(6, source=FAR, path_verdict=b"hidden"),
    )
    (found,) = list_direct_sources(store, Filter())
    assert (found["address"], found["requests"], found["hours"], found["sensors"]) == ("192.0.2.1", 2, 2, 2)
    assert (found["goals"], found["tools"]) == (["password", "toll"], ["sipp"])
    assert found["first_seen"] == "2026-09-22T12:00:00.000000000Z"
    assert found["last_seen"] == "2026-09-22T13:00:00.000000000Z"


def test_udp_alone_proves_no_address(kept):
    assert proofs(kept(*(asked(number) for number in range(5)))) == {"192.0.2.1": []}


def test_an_answer_over_a_connection_proves_an_address(kept):
    store = kept(asked(0, transport=b"tcp"), answered(1, transport=b"tcp"), asked(2, FAR, transport=b"tcp"))
    assert proofs(store) == {"192.0.2.1": ["connection"], "192.0.2.2": []}


@pytest.mark.parametrize("transport", [b"ws", b"wss"])
def test_a_websocket_proves_nothing_since_any_page_lets_a_visitors_browser_open_one(kept, transport):
    store = kept(asked(0, transport=transport), answered(1, transport=transport))
    assert proofs(store) == {"192.0.2.1": []}


def test_a_tag_of_ours_that_comes_back_proves_an_address(kept):
    store = kept(asked(0), answered(1, to_tag=OURS), asked(2, to_tag=OURS), asked(3, FAR, to_tag=OURS))
    assert proofs(store) == {"192.0.2.1": ["tag"], "192.0.2.2": []}


@pytest.mark.parametrize("tag", [OURS, b"01234567-89ab-cdef-0123-456789abcdef"])
@pytest.mark.parametrize("column", ["branch", "call_id", "from_tag"])
def test_a_tag_made_of_what_the_sender_wrote_proves_nothing(kept, tag, column):
    given = {column: b"z9hG4bK" + tag}
    store = kept(asked(0, **given), answered(1, to_tag=tag, **given), asked(2, to_tag=tag))
    assert proofs(store) == {"192.0.2.1": []}


@pytest.mark.parametrize("tag", [b"7E71BE87-D553", b"1c346914458", b"ff53f99a664bf1ff4ef69301b3702c7e.18016f21", b"1"])
def test_a_tag_that_can_be_guessed_proves_nothing(kept, tag):
    assert proofs(kept(asked(0), answered(1, to_tag=tag), asked(2, to_tag=tag))) == {"192.0.2.1": []}


def test_a_tag_that_our_answer_only_echoed_proves_nothing(kept):
    store = kept(asked(0, to_tag=THEIRS), answered(1, to_tag=THEIRS), asked(2, to_tag=THEIRS))
    assert proofs(store) == {"192.0.2.1": []}


def test_a_tag_that_was_echoed_just_before_the_asked_time_proves_nothing(kept):
    store = kept(asked(0, to_tag=THEIRS), answered(1, to_tag=THEIRS), asked(2, to_tag=THEIRS))
    found = list_direct_sources(store, Filter(since=NOON_NS + SECOND_NS // 2))
    assert [each["proof"] for each in found] == [[]]


def test_a_tag_that_comes_back_much_later_proves_nothing(kept):
    assert proofs(kept(answered(0, to_tag=OURS), asked(601, to_tag=OURS))) == {"192.0.2.1": []}


def test_a_tag_that_was_sent_just_before_the_asked_time_still_proves_an_address(kept):
    store = kept(answered(0, to_tag=OURS), asked(2, to_tag=OURS))
    found = list_direct_sources(store, Filter(since=NOON_NS + SECOND_NS))
    assert [each["proof"] for each in found] == [["tag"]]


def test_a_nonce_of_ours_that_comes_back_proves_an_address(kept):
    store = kept(
        challenged(0, b"n1", call_id=b"c"),
        asked(1, call_id=b"c", credentials=digest(b"n1")),
        asked(2, FAR, call_id=b"c", credentials=digest(b"n1")),
    )
    assert proofs(store) == {"192.0.2.1": ["challenge"], "192.0.2.2": []}


def test_an_answer_that_a_proxy_would_hand_on_proves_no_source(kept):
    """A proxy that gets an answer to what it never sent hands it on to the next Via, where the sender reads it."""
    store = kept(
        challenged(0, b"n1", call_id=b"c", to_tag=OURS, via_count=2),
        asked(1, call_id=b"c", to_tag=OURS, credentials=digest(b"n1")),
    )
    assert proofs(store) == {"192.0.2.1": []}


def test_a_made_up_nonce_proves_nothing(kept):
    store = kept(challenged(0, b"n1", call_id=b"c"), asked(1, call_id=b"c", credentials=digest(b"n2")))
    assert proofs(store) == {"192.0.2.1": []}


@pytest.mark.parametrize(("evidence", "found"), [("proven", [1]), ("persistent", [1, 2]), ("any", [1, 2, 4, 3])])
def test_sources_showed_as_much_as_is_asked_for(kept, evidence, found):
    def many(host, count, hours):
        source = address(f"192.0.2.{host}")
        return [asked(3600 * (n % hours) + n, source, id=1000 * host + n) for n in range(count)]

    store = kept(
        *(asked(0, transport=b"tcp"), answered(1, transport=b"tcp")),
        *(*many(2, 50, 6), *many(3, 49, 6), *many(4, 50, 5)),
    )
    rows = list_direct_sources(store, Filter(), evidence=evidence)
    assert [int(row["address"].rpartition(".")[2]) for row in rows] == found
    assert {row["of"] for row in rows} == {len(found)}
    assert {row["of"] for row in list_direct_sources(store, Filter(), evidence=evidence, limit=1)} == {len(found)}
    assert count_direct_sources(store, Filter()) == 4


def test_no_nonce_proves_nothing(kept):
    none = answered(0, status_code=401, raw=b"SIP/2.0 401 Unauthorized\r\n\r\n", call_id=b"c")
    assert proofs(kept(none, asked(1, call_id=b"c", credentials=digest(b"")))) == {"192.0.2.1": []}


def test_only_the_named_sensors_count(kept):
    store = kept(asked(0, sensor=b"trap"), asked(1, FAR, sensor=b"edge"))
    assert list(proofs(store, sensors="trap,other")) == ["192.0.2.1"]
    assert list(proofs(store)) == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize("given", [{"country": "FR"}, {"asn": 1}, {"source": "192.0.2.0/31"}])
def test_sources_narrow_by_place(kept, given):
    store = kept(asked(0, country=b"FR", asn=1), asked(1, FAR, country=b"DE", asn=2))
    assert [each["address"] for each in list_direct_sources(store, Filter(**given))] == ["192.0.2.1"]


def test_sensors_of_relays_are_all_that_their_requests_reached(kept):
    store = kept(asked(0), asked(1, sensor=b"edge"), asked(2, FAR))
    assert list_sensors_of_relays(store, ["192.0.2.1"]) == {"192.0.2.1": {"trap", "edge"}}
