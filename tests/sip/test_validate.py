"""What a peer is owed."""

import pytest

from relaytrap.sip import ANOMALIES, Abilities, parse_message, validate
from relaytrap.sip.validate import REASONS
from tests.sip.torture import INVITE, IS_SDP, OK, OPTIONS, SDP, message


def owed(data: bytes, abilities: Abilities | None = None) -> tuple[int, str] | None:
    rejection = validate(parse_message(data), abilities) if abilities else validate(parse_message(data))
    return (rejection.status, rejection.why) if rejection else None


def test_good_request_is_owed_nothing() -> None:
    assert owed(message(INVITE, IS_SDP, body=SDP)) is None


def test_responses_and_noise_are_owed_nothing() -> None:
    assert owed(message(OK, b"CSeq: broken")) is None
    assert owed(b"\r\n\r\n") is None
    assert owed(b"GET / HTTP/1.1\r\n\r\n") is None


@pytest.mark.parametrize("name", [b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:"])
def test_missing_required_field_is_bad(name: bytes) -> None:
    assert owed(message(OPTIONS, name)) == (400, "no-" + name[:-1].lower().decode())


def test_missing_max_forwards_is_let_pass() -> None:
    assert owed(message(OPTIONS, b"Max-Forwards:")) is None


def test_version_comes_before_all_else() -> None:
    assert owed(message(b"OPTIONS sip:bob@h SIP/3.0", b"To:", b"Require: x")) == (505, "version")


def test_unsupported_extensions_are_named() -> None:
    rejection = validate(
        parse_message(message(OPTIONS, b"Require: 100rel, foo, timer")), Abilities(extensions=frozenset({b"100rel"}))
    )
    assert rejection is not None
    assert (rejection.status, rejection.headers) == (420, ((b"Unsupported", b"foo, timer"),))


@pytest.mark.parametrize("method", [b"ACK", b"CANCEL"])
def test_require_is_ignored_where_it_must_not_be_judged(method: bytes) -> None:
    assert owed(message(method + b" sip:bob@h SIP/2.0", b"Require: foo")) is None


def test_require_that_is_no_list_of_tokens_is_bad() -> None:
    assert owed(message(OPTIONS, b"Require: @")) == (400, "option-tag")


def test_methods_are_judged_when_a_list_is_given() -> None:
    rejection = validate(parse_message(message(OPTIONS)), Abilities(methods=(b"INVITE", b"ACK")))
    assert rejection is not None
    assert (rejection.status, rejection.headers) == (405, ((b"Allow", b"INVITE, ACK"),))


def test_method_that_nobody_knows_is_not_implemented() -> None:
    able = Abilities(methods=(b"INVITE",))
    assert owed(message(b"BREW sip:bob@h SIP/2.0", b"Require: x"), able) == (501, "method-unknown")


def test_content_types_are_judged_when_a_list_is_given() -> None:
    able = Abilities(content_types=(b"application/sdp",))
    assert owed(message(INVITE, b"Content-Type: text/x", body=b"x"), able) == (415, "content-type-unsupported")
    assert owed(message(INVITE, IS_SDP + b";x=y", body=SDP), able) is None
    optional = b"Content-Disposition: render;handling=optional"
    assert owed(message(INVITE, b"Content-Type: text/x", optional, body=b"x"), able) is None


def test_encoded_body_is_unsupported() -> None:
    assert owed(message(INVITE, IS_SDP, b"Content-Encoding: gzip", body=SDP)) == (415, "encoding-unsupported")


def test_body_that_may_be_passed_over_is_owed_nothing_whatever_its_type_and_encoding() -> None:
    able = Abilities(content_types=(b"application/sdp",))
    fields = (b"Content-Type: text/x", b"Content-Encoding: gzip")
    for disposition in (b"render;handling=optional", b"session ; Handling = OPTIONAL;x=y"):
        assert owed(message(INVITE, *fields, b"Content-Disposition: " + disposition, body=b"x"), able) is None
    required = b"Content-Disposition: render;handling=required;x=handling=optional"
    assert owed(message(INVITE, *fields, required, body=b"x"), able) == (415, "encoding-unsupported")


def test_unknown_scheme_is_unsupported_and_tel_is_not() -> None:
    assert owed(message(b"OPTIONS urn:x SIP/2.0")) == (416, "scheme-unsupported")
    assert owed(message(b"OPTIONS tel:+15551 SIP/2.0")) is None


def test_header_too_large_is_513() -> None:
    assert owed(message(OPTIONS, b"X-Pad: " + b"y" * 70000)) == (513, "too-much-header")


def test_every_status_that_an_anomaly_earns_has_a_reason_phrase() -> None:
    assert {kind.status for kind in ANOMALIES.values() if kind.status} <= REASONS.keys()


def test_every_anomaly_names_its_section() -> None:
    assert all(kind.section.startswith("RFC ") and kind.text for kind in ANOMALIES.values())
