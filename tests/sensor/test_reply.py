"""Answers as bytes: what is copied, what is stamped, what goes first when room is short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sensor.flow import Flow
from relaytrap.sensor.personas import load_persona
from relaytrap.sensor.reply import Slots, compile_form, reprint, stamp_via, user_of_address
from relaytrap.sip import Request, parse_message, parse_via
from tests.sensor.talk import LOCAL, SOURCE, START_NS, request

FLOW = Flow("udp", SOURCE, 5071, LOCAL, 5060)
CHAN_SIP = load_persona("asterisk", seed="x").wire
PJSIP = load_persona("freepbx", seed="x").wire
KAMAILIO = load_persona("kamailio", seed="x").wire
CISCO = load_persona("cisco", seed="x").wire


def stamped(value: bytes, wire=CISCO, source: str = SOURCE) -> bytes:
    return stamp_via(value, source, 5071, wire)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (CHAN_SIP, b"SIP/2.0/UDP h:5060;branch=z9hG4bK1;received=198.51.100.7;rport=5071"),
        (KAMAILIO, b"SIP/2.0/UDP h:5060;branch=z9hG4bK1;rport=5071;received=198.51.100.7"),
        (PJSIP, b"SIP/2.0/UDP h:5060;rport=5071;received=198.51.100.7;branch=z9hG4bK1"),
    ],
)
def test_each_product_stamps_via_in_its_own_order(wire, expected: bytes) -> None:
    """As in captures of the real ones."""
    assert stamped(b"SIP/2.0/UDP h:5060;branch=z9hG4bK1;rport", wire) == expected


def test_rport_is_filled_where_it_stood() -> None:
    assert stamped(b"SIP/2.0/UDP h;rport;branch=x") == b"SIP/2.0/UDP h;rport=5071;branch=x;received=198.51.100.7"


def test_received_is_left_out_when_sent_by_is_the_source_and_nobody_asked() -> None:
    assert stamped(b"SIP/2.0/UDP 198.51.100.7:5071;branch=x") == b"SIP/2.0/UDP 198.51.100.7:5071;branch=x"
    assert stamped(b"SIP/2.0/UDP [2001:DB8::1];branch=x", source="2001:db8::1") == b"SIP/2.0/UDP [2001:DB8::1];branch=x"


def test_rport_that_nobody_asked_for_brings_no_received_along() -> None:
    value = b"SIP/2.0/UDP 198.51.100.7:5060;branch=x"
    assert stamped(value, KAMAILIO) == value + b";rport=5071"
    assert stamped(value + b";rport", KAMAILIO) == value + b";rport=5071;received=198.51.100.7"


def test_what_the_sender_claims_to_have_received_does_not_survive() -> None:
    value = stamped(b"SIP/2.0/UDP h;received=192.0.2.1;branch=x;rport=1")
    (via,) = parse_via(value)
    assert (via.received, via.rport, value.count(b"received")) == (SOURCE.encode(), 5071, 1)


@given(st.binary(max_size=80))
def test_stamping_never_fails_and_keeps_other_hops(tail: bytes) -> None:
    assert stamped(b"SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2" + tail).endswith(
        b", SIP/2.0/UDP b;branch=2" + tail
    )
    stamped(tail)


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        (b'"sipvicious"<sip:100@1.1.1.1>', b'"sipvicious" <sip:100@1.1.1.1>;tag=T'),
        (b"sip:8802@192.168.8.13", b"<sip:8802@192.168.8.13>;tag=T"),
        (b"sip:s@176.132.182.27:5060;line=qynrfeg", b"<sip:s@176.132.182.27:5060>;tag=T;line=qynrfeg"),
        (b"Bob  <sip:b@h> ; x=1", b'"Bob" <sip:b@h>;tag=T;x=1'),
    ],
)
def test_pjsip_prints_addresses_anew(written: bytes, printed: bytes) -> None:
    assert reprint(written, b"T") == printed


@given(st.binary(max_size=200))
def test_reprinting_never_fails(value: bytes) -> None:
    assert reprint(value, b"T").count(b"tag=T") >= 1


def test_shorter_forms_lose_what_the_persona_says_goes_first() -> None:
    persona = load_persona("asterisk", seed="x")
    form = compile_form(persona.answers["capabilities"], persona)
    slots = Slots(parse_message(request()), FLOW, persona, START_NS)
    slots.use_tag(b"as00000001")
    full = form.fill(slots, 10_000)
    lengths = [len(form.fill(slots, most) or b"") for most in range(len(full), 0, -1)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == len(full)
    assert all(length <= most for length, most in zip(lengths, range(len(full), 0, -1), strict=True))
    assert b"Accept: " not in (form.fill(slots, len(full) - 1) or b"")
    assert form.fill(slots, form.shortest(slots)) is not None
    assert form.fill(slots, form.shortest(slots) - 1) is None
    assert b"Content-Length: 0" in full


written = st.lists(
    st.sampled_from([*'"<>@:;,= \\', "sip:", "sips:", "100", "a.b", "%41", "host", "tag=1"]), max_size=9
).map("".join)


@given(written)
def test_user_seen_in_a_plain_address_is_the_one_that_taking_it_apart_gives(text: str) -> None:
    for value in (text, f'"x" <sip:100@{text}>', f"<sip:{text}@h>;tag=1"):
        seen = user_of_address(value.encode())
        message = parse_message(request().replace(b'"100" <sip:100@203.0.113.9>', value.encode(), 1))
        if seen is not None and isinstance(message, Request) and message.headers.get(b"to") == value.encode():
            assert message.to_address is not None
            assert message.to_address.uri.user == seen


@given(written)
def test_user_seen_in_a_plain_request_uri_is_the_one_that_taking_it_apart_gives(text: str) -> None:
    for uri in (text, f"sip:100@{text}", f"sip:{text}@h"):
        message = parse_message(request(uri=uri))
        if isinstance(message, Request) and b"via" in message.headers:
            taken_apart = message.uri.user if message.uri is not None else None
            seen = Slots(message, FLOW, load_persona("cisco", seed="x"), START_NS)[b"user"]
            assert seen == b"" or seen == taken_apart
