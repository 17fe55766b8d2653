"""What a message claims about where it comes from."""

import pytest

from relaytrap.evidence.claim import claimed_address, claims
from relaytrap.observation import Observation
from relaytrap.sip import Request, parse_message

SOURCE, LOCAL, OTHER = "198.51.100.7", "203.0.113.9", "192.0.2.50"


def request(*lines: str, body: str = "") -> tuple[Request, Observation]:
    raw = "\r\n".join(("OPTIONS sip:a@203.0.113.9 SIP/2.0", *lines, "", body)).encode()
    message = parse_message(raw)
    assert isinstance(message, Request)
    return message, Observation(1, "s", "in", "udp", SOURCE, 5060, LOCAL, 5060, raw)


def test_contact_speaks_before_the_session_description_and_that_before_the_call_id():
    body = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\n"
    message, _ = request("Contact: <sip:a@192.0.2.1:5070>", "Call-ID: x@192.0.2.4", body=body)
    assert [(address, where) for address, where, _ in claims(message)] == [
        ("192.0.2.1", "Contact"),
        ("192.0.2.2", "the session description"),
        ("192.0.2.3", "the session description"),
        ("192.0.2.4", "Call-ID"),
    ]


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ("sip:192.0.2.50", OTHER),
        ("<sips:192.0.2.50;transport=tls>", OTHER),
        ('"a" <sip:a@[2001:db8::50]:5060>', "2001:db8::50"),
        ("<sip:a@phone.example>", None),
        ("<sip:a@192.0.2.500>", None),
        ("*", None),
    ],
)
def test_contact_claims_only_what_is_an_address(contact, address):
    assert claimed_address(*request(f"Contact: {contact}")) == address


def test_source_sensor_and_private_addresses_are_no_claim_of_another():
    message = request(f"Contact: <sip:a@{SOURCE}>", f"Call-ID: x@{LOCAL}")
    assert claimed_address(*message) is None
    assert claimed_address(*request("Contact: <sip:a@10.0.0.1>", f"Call-ID: x@{OTHER}")) == OTHER


def test_a_long_run_of_colons_costs_no_more_than_its_length():
    message, seen = request("Contact: <sip:" + "a:" * 30_000 + "x>")
    assert claimed_address(message, seen) is None
