"""Keys that join messages: what they depend on, and what they must not depend on."""

import uuid

import pytest

from relaytrap.evidence.track import (
    NO_KEYS,
    _grammar,
    _shape_cached,
    goal_of,
    keys_of,
    shape_of,
    stack_of,
    target_number,
)
from relaytrap.observation import Observation
from tests.evidence.relays import SENSOR, Message, b2bua, judge, kamailio, parsed, proxy, request, topoh

ATTACKER, OTHER = "198.51.100.66", "198.51.100.67"


def keys(message: Message, source: str, target: bytes = b"586", core: bytes = b""):
    seen = Observation(0, "one", "in", "udp", source, 5060, SENSOR, 5060, message.wire())
    return keys_of(parsed(message), seen, judge(message, source), target=target, dialled_core=core)


def through(relay, address: str, origin: str = ATTACKER, **given):
    message = request(origin, given.pop("target", "586"), **given)
    relay(message, address, origin, 5074)
    return keys(message, address)


def test_one_origin_through_any_relay_is_one_track():
    assert through(kamailio, "203.0.113.11").track == through(proxy, "203.0.113.12", target="587").track


def test_two_origins_are_two_tracks():
    assert through(kamailio, "203.0.113.11").track != through(kamailio, "203.0.113.11", OTHER).track


def test_a_b2bua_keeps_the_shape_and_replaces_the_stack():
    plain, anew = through(kamailio, "203.0.113.11"), through(b2bua, "203.0.113.12")
    assert plain.shape == anew.shape
    assert plain.stack != anew.stack


def test_masked_messages_of_two_senders_are_two_tracks_without_the_key():
    relay = topoh(b"secret", 3)
    one, again = through(relay, "203.0.113.11"), through(relay, "203.0.113.11", target="587")
    assert one.track == again.track != through(relay, "203.0.113.11", OTHER).track


def test_shape_depends_on_the_order_of_fields_and_not_on_what_hops_add():
    message = request(ATTACKER, "100")
    plain = shape_of(parsed(message))
    message.headers.insert(0, ("Record-Route", "<sip:203.0.113.9;lr>"))
    message.headers.append(("Server", "x"))
    assert shape_of(parsed(message)) == plain
    message.headers.reverse()
    assert shape_of(parsed(message)) != plain


def test_stack_depends_on_the_grammar_of_branch_and_tag_and_not_on_their_values():
    one, other = request(ATTACKER, "100", serial=1), request(ATTACKER, "101", serial=2)
    assert stack_of(parsed(one)) == stack_of(parsed(other))
    assert stack_of(parsed(request(ATTACKER, "100", branch="z9hG4bKabcdefgh"))) != stack_of(parsed(one))


@pytest.mark.parametrize("method", ["ACK", "BYE", "CANCEL"])
def test_what_belongs_to_a_transaction_or_dialogue_opens_nothing_but_has_a_track(method):
    found = keys(request(ATTACKER, "100", method=method), ATTACKER)
    assert (found.opener, found.shape) == (False, 0)
    assert found.track


def test_a_response_has_no_keys():
    message = parsed(request(ATTACKER, "100"))
    seen = Observation(0, "one", "out", "udp", ATTACKER, 5060, SENSOR, 5060, message.raw)
    from relaytrap.evidence.path import NOT_JUDGED

    assert keys_of(message, seen, NOT_JUDGED, target=b"", dialled_core=b"") is NO_KEYS


@pytest.mark.parametrize(
    ("given", "core", "goal"),
    [
        ({"method": "REGISTER"}, b"", "extension"),
        ({"method": "OPTIONS"}, b"", "host"),
        ({"method": "INVITE"}, b"", "extension"),
        ({"method": "INVITE"}, b"441904911122", "toll"),
        ({"method": "INVITE"}, b"1234", "extension"),
        ({"sensor": "198.51.100.5"}, b"", "relay"),
    ],
)
def test_a_request_says_what_it_is_for(given, core, goal):
    message = parsed(request(ATTACKER, "100", **given))
    seen = Observation(0, "one", "in", "udp", ATTACKER, 5060, SENSOR, 5060, message.raw)
    assert goal_of(message, seen, core) == goal


def test_credentials_make_a_registration_a_password_attack():
    message = request(ATTACKER, "100", method="REGISTER")
    message.headers.append(("Authorization", 'Digest username="100"'))
    seen = Observation(0, "one", "in", "udp", ATTACKER, 5060, SENSOR, 5060, message.wire())
    assert goal_of(parsed(message), seen, b"") == "password"


def test_numbers_are_themselves_and_other_targets_are_told_apart():
    assert target_number(b"586") == 586
    assert target_number(b"") == 0
    assert target_number(b"0586") != 586
    assert target_number(b"admin") >= 1 << 63


def test_a_number_under_many_prefixes_is_one_target():
    message = request(ATTACKER, "0011441904911122")
    assert keys(message, ATTACKER, b"0011441904911122", b"441904911").target_key == 441904911


def test_every_uuid_has_one_form_though_some_of_its_parts_have_no_letter():
    made = [f"z9hG4bKPj{uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)}" for number in range(300)]
    assert any(part.isdigit() for value in made for part in value.split("-"))
    assert {_grammar(value.encode()) for value in made} == {b"A10-A4-A4-A4-A12"}


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (b"z9hG4bK-2240523530", b"-D"),
        (b"z9hG4bK.4242.0815", b".D.D"),
        (b"16264-18299-a", b"D-D-A1"),
        (b"z9hG4bK-70c65387f613", b"-A12"),
        (b"z9hG4bK71a9.b30fbd7fe75d6f935dabf5adac16ffaf.0", b"A4.A32.D"),
        (b"z9hG4bK-524287-1---486e1fe431d591e8", b"-D-D---A16"),
        (b"a" * 37, b"A0"),
        (b"1" * 37, b"D"),
        (b"-.~", b"-.~"),
        (b"z9hG4bK", b""),
        (b"", b""),
    ],
)
def test_form_of_a_value_tells_digits_runs_and_punctuation(value, form):
    assert _grammar(value) == form


def test_form_of_nothing_but_different_punctuation_is_found_at_once():
    marks = bytes(octet for octet in range(256) if not bytes((octet,)).isalnum())
    assert _grammar(marks) == marks[:96]


def test_names_of_an_overlong_message_are_not_kept():
    message = request(ATTACKER, "100")
    kept = _shape_cached.cache_info().currsize
    for serial in range(3):
        message.headers.append((f"X-{serial}" + "a" * 5000, "1"))
        assert shape_of(parsed(message))
    assert _shape_cached.cache_info().currsize == kept
