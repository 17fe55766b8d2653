"""Probes as bytes."""

import phonenumbers
import pytest

from relaytrap.probe.plan import NO_NUMBER
from relaytrap.probe.request import METHODS, Probe, build_follow_up, build_probe, find_token
from relaytrap.probe.tricks import STANDARD, TRICKS, Ends
from relaytrap.sip import Response, parse_message

ENDS = Ends(
    "203.0.113.5", 5060, "pbx.example", "192.0.2.10", 5060, "198.51.100.10", 5061, "k3yabcdefgh1", "99900000001"
)


def lines_of(data: bytes) -> list[bytes]:
    return data.partition(b"\r\n\r\n")[0].split(b"\r\n")


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("method", METHODS)
def test_every_probe_leads_to_the_witness_or_carries_its_number(trick: str, method: str) -> None:
    head = build_probe(Probe(method, "udp", trick, ENDS)).partition(b"\r\n\r\n")[0]
    assert b"192.0.2.10" in head or ENDS.number.encode() in head
    assert ENDS.token.encode() in head


@pytest.mark.parametrize("trick", TRICKS)
def test_content_length_is_true(trick: str) -> None:
    head, _, body = build_probe(Probe("INVITE", "tcp", trick, ENDS)).partition(b"\r\n\r\n")
    assert head.endswith(b"Content-Length: %d" % len(body))


def test_hops_are_few_so_that_a_loop_ends_soon() -> None:
    assert b"Max-Forwards: 8" in lines_of(build_probe(Probe("OPTIONS", "udp", "plain", ENDS)))


def test_invite_offers_no_media() -> None:
    assert b"m=audio 0 " in build_probe(Probe("INVITE", "udp", "plain", ENDS))


def test_the_standard_tricks() -> None:
    six = {"plain", "from-address", "from-domain", "route", "to-tag", "to-tag-route"}
    assert set(STANDARD) == six | {"same-transport", "to-server", "from-to-server", "alias"}


def test_made_up_number_begins_with_no_emergency_number_and_is_no_countrys() -> None:
    digits = NO_NUMBER.ljust(12, "0")
    regions = phonenumbers.SUPPORTED_SHORT_REGIONS
    assert [each for each in regions if phonenumbers.connects_to_emergency_number(digits, each)] == []
    valid = (phonenumbers.is_valid_number(phonenumbers.parse(digits, each)) for each in phonenumbers.SUPPORTED_REGIONS)
    assert not any(valid)


def test_acknowledgement_of_a_refusal_keeps_branch_and_takes_the_answers_to() -> None:
    probe = Probe("INVITE", "udp", "plain", ENDS)
    ack = lines_of(build_follow_up(probe, "ACK", b"<sip:x@y>;tag=9"))
    assert ack[0] == lines_of(build_probe(probe))[0].replace(b"INVITE", b"ACK")
    assert ack[1] == lines_of(build_probe(probe))[1]
    assert b"To: <sip:x@y>;tag=9" in ack
    assert b"CSeq: 1 ACK" in ack


def test_answer_with_line_ends_in_to_cannot_add_a_header() -> None:
    ack = build_follow_up(Probe("INVITE", "udp", "plain", ENDS), "ACK", b"<sip:x@y>\r\nRoute: <sip:victim>")
    assert b"victim" not in ack


def accepted(contact: bytes, *record_route: bytes) -> Response:
    head = b"".join(b"Record-Route: " + each + b"\r\n" for each in record_route)
    message = parse_message(b"SIP/2.0 200 OK\r\n" + head + b"Contact: " + contact + b"\r\n\r\n")
    assert isinstance(message, Response)
    return message


def test_bye_is_a_transaction_of_its_own() -> None:
    answer = accepted(b"<sip:callee@198.51.100.77:5080>", b"<sip:203.0.113.5;lr>", b"<sip:203.0.113.6;lr>")
    probe = Probe("INVITE", "udp", "plain", ENDS)
    bye = lines_of(build_follow_up(probe, "BYE", b"<sip:x@y>;tag=9", accepted=answer))
    assert b"CSeq: 2 BYE" in bye
    assert b"branch=z9hG4bKk3yabcdefgh1bye" in bye[1]


def test_bye_goes_to_who_took_the_call_by_the_way_that_was_recorded() -> None:
    answer = accepted(b"<sip:callee@198.51.100.77:5080>", b"<sip:203.0.113.6;lr>", b"<sip:203.0.113.5;lr>")
    probe = Probe("INVITE", "udp", "number", ENDS)
    bye = lines_of(build_follow_up(probe, "BYE", b"<sip:x@y>;tag=9", accepted=answer))
    assert bye[0] == b"BYE sip:callee@198.51.100.77:5080 SIP/2.0"
    assert [line for line in bye if line.startswith(b"Route")] == [
        b"Route: <sip:203.0.113.5;lr>",
        b"Route: <sip:203.0.113.6;lr>",
    ]


def test_hostile_contact_cannot_add_a_header() -> None:
    answer = accepted(b"<sip:x@y\rRoute: <sip:victim>>", b"<sip:a\rX: victim;lr>")
    probe = Probe("INVITE", "udp", "plain", ENDS)
    bye = build_follow_up(probe, "BYE", b"<sip:x@y>;tag=9", accepted=answer)
    assert b"\r" not in bye.replace(b"\r\n", b"")
    assert not [line for line in lines_of(bye) if b"victim" in line]


def test_token_is_found_wherever_a_relay_left_it() -> None:
    token = ENDS.token.encode()
    assert find_token(b"sip:" + token + b"@192.0.2.10", b"", b"", b"", b"") == [token]
    assert find_token(b"sip:192.0.2.10", b"other", b"new@b2bua", b"z9hG4bK" + token, b"") == [token]
    assert find_token(b"sip:192.0.2.10", b"", b"", b"", token) == [token]


def test_ipv6_ends_stand_in_brackets() -> None:
    ends = Ends("2001:db8::5", 5060, "pbx.example", "2001:db8::10", 5060, "2001:db8::1", 5061, "k3yabcdefgh1", "1")
    first, via = lines_of(build_probe(Probe("OPTIONS", "udp", "plain", ends)))[:2]
    assert first == b"OPTIONS sip:k3yabcdefgh1@[2001:db8::10]:5060 SIP/2.0"
    assert via.startswith(b"Via: SIP/2.0/UDP [2001:db8::1]:5061;")
