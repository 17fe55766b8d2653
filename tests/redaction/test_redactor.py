"""Redacted messages and rows."""

import base64
import json
from typing import Any

import pytest

from relaytrap.errors import InputError
from relaytrap.evidence.topology_hiding import BUILT_IN
from relaytrap.redaction import Redactor, Secrets
from relaytrap.redaction.secrets import ADDRESSES_MAX

PLACES = [{"sensor": "fra-1", "address": "203.0.113.7"}, {"sensor": "syd-1", "address": "198.51.100.9"}]
# The message of 2010, with addresses of the documentation's.
STORY = (
    b"INVITE sip:001133155123456@203.0.113.7 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.5:2452;branch=19202501133155123456203.0.113.7\r\n"
    b'From: "33155123456" <sip:33155123456@192.0.2.5>;tag=1\r\n'
    b"To: <sip:001133155123456@203.0.113.7>\r\n"
    b"Call-ID: 192025-203-0-113-7-001133155123456\r\n\r\n"
)


def made(**more: Any) -> Redactor:
    return Redactor(Secrets.of(PLACES, **more))


def test_message_of_2010_is_published_as_it_was_published():
    shown = made().octets(STORY).decode()
    assert shown.startswith("INVITE sip:001133155xxxxxx@sensor-1 SIP/2.0\r\n")
    assert "203" not in shown
    assert "123456" not in shown
    assert "192.0.2.5:2452" in shown


def test_number_is_masked_in_whatever_carries_it():
    redactor = made()
    redactor.learn_number("+33155123456")
    assert redactor.text("9011 33155123456 00033155123456") == "9011 33155xxxxxx 00033155xxxxxx"
    assert b"33155123456".hex() not in redactor.text(b"33155123456".hex())
    assert base64.b64encode(b"33155123456").decode() not in redactor.text(base64.b64encode(b"a33155123456").decode())


def test_number_with_separators_loses_its_last_digits():
    assert made().text("<tel:+33-155.12(34)56>") == "<tel:+33-155.xx(xx)xx>"


def test_host_without_a_user_part_is_no_number():
    text = "Record-Route: <sip:198.18.38.171;lr> <sip:198.18.38.171:5060> <sip:198.18.38.171>"
    assert made().text(text) == text


def test_extension_is_no_number():
    assert made().text("sip:100200@192.0.2.1") == "sip:100200@192.0.2.1"


def test_digests_over_what_was_removed_go_as_well():
    branch = b"z9hG4bK4a0b.bd8b71d9ff0a66e7a01797fb87c0b68f.0"
    answer = b'Authorization: Digest realm="r", response="0123456789abcdef0123456789abcdef"'
    redactor = made()
    shown = redactor.octets(branch + b"\r\n" + answer)
    assert b"bd8b71d9" not in shown
    assert b"0123456789abcdef" not in shown
    assert redactor.removed["digest"] == 2


def masked(plain: bytes) -> bytes:
    """As topoh writes it with its built-in key."""
    symbols = {value: symbol for symbol, value in BUILT_IN.items()}
    bits = int.from_bytes(plain, "big") << (-len(plain) * 8 % 6)
    count = -(-len(plain) * 8 // 6)
    return bytes(symbols[bits >> 6 * (count - 1 - at) & 63] for at in range(count))


def test_address_under_topology_hiding_is_removed_with_its_mask():
    ours, theirs = masked(b"sip:100@203.0.113.7"), masked(b"sip:100@192.0.2.5")
    redactor = made()
    shown = redactor.octets(b"Contact: <sip:127.0.0.8;line=sr-%s*>\r\nm: <sip:127.0.0.8;line=sr-%s>" % (ours, theirs))
    assert ours not in shown
    assert b"line=sr-[sensor-1 in topoh of dotted]" in shown
    assert theirs in shown


def test_what_is_masked_under_a_secret_key_goes_whole():
    redactor = made()
    assert redactor.text("branch=z9hG4bKsr-AAAAAAAAAAAAAAAAAAAA;x") == "branch=z9hG4bKsr-xxxxxxxxxxxxxxxxxxxx;x"
    assert redactor.removed["masked value"] == 1


def test_rows_lose_sensors_addresses_and_whatever_confirms_a_guess():
    row = {
        "id": "0123456789abcdef",
        "sensor": "fra-1",
        "local": "203.0.113.7",
        "capture": "honeypot-fra.pcap",
        "credentials": "$sip$*203.0.113.7",
        "dialled": "+33155123456",
        "dialled_core": "155123456",
        "raw": base64.b64encode(STORY).decode(),
        "evidence": [{"quote": "cb007107", "offset": 12, "weight": 5}],
        "methods": {"X203.0.113.7": 1},
        "campaign": "1341f8ed9e4b",
    }
    shown = made().rows(
        {"relays": [row], "leaders": {"sensor": [{"facet": "sensor", "value": "syd-1", "messages": 2}]}}
    )
    text = json.dumps(shown)
    for secret in ("fra", "syd", "203.0.113.7", "cb007107", "123456", "0123456789abcdef", "honeypot"):
        assert secret not in text
    kept = shown["relays"][0]
    assert kept["sensor"] == kept["local"] == "sensor-1"
    assert kept["id"] == "message-1"
    assert kept["campaign"] == "1341f8ed9e4b"
    assert b"33155xxxxxx" in base64.b64decode(kept["raw"])


def test_number_is_masked_also_before_the_row_that_tells_of_it():
    shown = made().rows([{"title": "calls 155123456"}, {"core": "155123456"}])
    assert shown == [{"title": "calls 155xxxxxx"}, {"core": "155xxxxxx"}]


def test_networks_and_names_of_our_own_are_removed():
    redactor = made(networks=["192.0.2.0/24", "2001:db8:5::/48"], names=["Pots.Example.org"])
    shown = redactor.text("sip:1@192.0.2.77 c0000205 [2001:db8:5::99] a.POTS.example.ORG")
    assert shown == "sip:1@our-server [our-server in hex] [our-server] a.our-server"


def test_more_addresses_than_can_be_looked_for_are_refused():
    places = [{"sensor": "s", "address": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"} for n in range(ADDRESSES_MAX + 1)]
    with pytest.raises(InputError, match="publish nothing"):
        Secrets.of(places)


def test_sensors_are_numbered_by_name_whatever_the_order_of_rows():
    assert Secrets.of(PLACES).sensors == Secrets.of(PLACES[::-1]).sensors == {"fra-1": "sensor-1", "syd-1": "sensor-2"}


def test_address_that_the_store_cut_in_two_leaves_no_half():
    shown = made().rows([{"quote": "x" * 502 + "203.0.113.", "text": "short 203.0.11"}])
    assert "203.0.11" not in shown[0]["quote"]


def test_names_of_fields_stay_whatever_is_ours():
    shown = made(names=["totals", "message"]).rows({"totals": {"messages": 3}, "methods": {"totals": 1}})
    assert shown == {"totals": {"messages": 3}, "methods": {"our-server": 1}}


def test_identifier_that_was_asked_for_is_no_way_around():
    shown = made().rows({"what": "0123456789abcdef", "message": {"row": {"id": "0123456789abcdef"}}})
    assert shown == {"what": "message-1", "message": {"row": {"id": "message-1"}}}
    assert made().rows({"what": "0123456789ABCDEF"}) == {"what": "message-1"}


@pytest.mark.parametrize(
    "user",
    [
        "#0033155123456",
        "%230033155123456",
        "00%33%33155123456",
        "*#0033155123456",
        "9,0033155123456",
        "++33155123456",
        "a0033155123456",
        "0033_155_123456",
        "0033155123456%00",
        "0033155123456x",
        "+33.155.123456",
    ],
)
def test_number_behind_whatever_way_out_loses_its_last_digits(user):
    assert "123456" not in made().octets(f"INVITE sip:{user}@192.0.2.1 SIP/2.0\r\n".encode()).decode()
    for key in ("target", "to_user", "from_user", "request_user"):
        assert "123456" not in made().rows({key: user})[key]


def test_number_as_name_or_without_a_host_loses_its_last_digits():
    assert made().text('"+33 155 123456" <sip:x@h>') == '"+33 155 xxxxxx" <sip:x@h>'
    assert made().text("INVITE sip:0033155123456 SIP/2.0") == "INVITE sip:0033155xxxxxx SIP/2.0"


@pytest.mark.parametrize(
    "user", ["706f74732e6578616d706c65", "7f3a9b2c12345678", "3fa85f64-5717-4562-b3fc-2c963f66afa6"]
)
def test_token_as_user_part_is_no_number(user):
    text = f"Contact: <sip:{user}@192.0.2.1>"
    assert made().text(text) == text


def test_address_as_user_part_is_no_number():
    text = "sip:198.18.38.171@192.0.2.1"
    assert made().text(text) == text


def test_number_is_hidden_also_where_it_is_an_integer():
    rows = {
        "title": "Sweep 33155123000\u201333155123456",
        "range": [33155123000, 33155123456],
        "sweep": [{"target": "33155123456", "number": 33155123456}, {"target": "100", "number": 100}],
    }
    shown = made().rows(rows)
    assert shown["range"] is None
    assert [each["number"] for each in shown["sweep"]] == [None, 100]
    assert "123" not in shown["title"]
    assert made().rows({"range": [100, 1000]}) == {"range": [100, 1000]}


def test_numbers_in_a_title_are_masked_also_where_nothing_else_names_them():
    shown = made().rows([{"title": "Extensions 100, 33155123456 and 33155123457", "range": None}])
    assert shown[0]["title"] == "Extensions 100, 33155xxxxxx and 33155xxxxxx"


def test_number_that_an_identifier_gave_away_is_masked():
    shown = made().rows({"kind": "target", "value": "33155123456", "note": b"33155123456".hex()})
    assert shown == {"kind": "target", "value": "33155xxxxxx", "note": b"33155".hex() + "x" * 12}
