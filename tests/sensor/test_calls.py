"""Calls that ring or seem to stand."""

from relaytrap.sensor.calls import Calls, is_number
from relaytrap.sensor.flow import Flow
from relaytrap.sip import parse_message
from relaytrap.sip.transaction import Transaction
from tests.sensor.talk import LOCAL, SOURCE, invite, request

FLOW = Flow("udp", SOURCE, 5060, LOCAL, 5060)


def transaction(branch: str) -> Transaction:
    return Transaction(branch, parse_message(invite(branch=branch, call_id=branch)), FLOW, 0.0, False)


def test_call_is_found_by_its_dialog_and_only_from_its_own_address() -> None:
    calls = Calls()
    call = calls.open(transaction("b1"), FLOW, b"mine")
    bye = parse_message(request("BYE", call_id="b1", to_tag="mine"))
    assert calls.find(bye, FLOW) is call
    assert calls.find(bye, FLOW._replace(source_port=1)) is call
    assert calls.find(bye, FLOW._replace(source="192.0.2.1")) is None
    calls.end(call)
    assert calls.find(bye, FLOW) is None


def test_oldest_call_is_forgotten_beyond_the_limit() -> None:
    calls = Calls(calls_max=3)
    made = [transaction(f"b{number}") for number in range(5)]
    for each in made:
        calls.open(each, FLOW, b"mine")
    assert len(calls) == 3
    assert [calls.of(each) is not None for each in made] == [False, False, True, True, True]


def test_numbers_ring_and_names_do_not() -> None:
    assert is_number(r"\+?[0-9*#]{3,22}", b"900442012345678")
    assert not is_number(r"\+?[0-9*#]{3,22}", b"alice")
    assert not is_number(r"\+?[0-9*#]{3,22}", b"\xff" * 100)


def test_calls_hold_no_more_octets_than_they_may() -> None:
    size = len(transaction("b0").request.raw)
    calls = Calls(max_bytes=2 * size)
    made = [transaction(f"b{number}") for number in range(4)]
    opened = [calls.open(each, FLOW, b"mine") for each in made]
    assert [calls.of(each) is not None for each in made] == [False, False, True, True]
    for call in opened:
        calls.end(call)
    assert (len(calls), calls._bytes) == (0, 0)


def test_call_of_the_same_dialog_takes_the_place_of_the_first() -> None:
    calls = Calls()
    first, second = transaction("b1"), transaction("b1")
    old, new = calls.open(first, FLOW, b"mine"), calls.open(second, FLOW, b"mine")
    assert (calls.of(first), calls.of(second), len(calls)) == (None, new, 1)
    calls.end(old)
    assert calls.of(second) is new
