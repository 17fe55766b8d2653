"""URIs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import SipSyntaxError, parse_uri
from relaytrap.sip.uri import host_port, read_uri
from tests.property.strategies import uris


def test_every_part_is_told_apart() -> None:
    uri = parse_uri(b"sips:alice:secret@example.com:5061;transport=tcp;lr?Subject=x&To=%3Csip:b%3E")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        b"sips",
        b"alice",
        b"secret",
        b"example.com",
        5061,
    )
    assert uri.params == ((b"transport", b"tcp"), (b"lr", None))
    assert uri.headers == ((b"Subject", b"x"), (b"To", b"%3Csip:b%3E"))


def test_question_mark_without_headers_behind_it_is_noted() -> None:
    uri, defects = read_uri(b"sip:bob@example.net?")
    assert uri is not None
    assert uri.headers == ()
    assert defects == (("uri-headers", 20),)


def test_user_may_hold_semicolons_and_escaped_at() -> None:
    uri = parse_uri(b"sip:user;par=u%40example.net@example.com")
    assert (uri.user, uri.host, uri.params) == (b"user;par=u%40example.net", b"example.com", ())
    assert uri.user_text == b"user;par=u@example.net"


def test_escapes_are_resolved_once() -> None:
    assert parse_uri(b"sip:a%2541@h").user_text == b"a%41"


def test_escaped_nul_does_not_cut_the_user() -> None:
    assert parse_uri(b"sip:null-%00-null@h").user_text == b"null-\x00-null"


def test_scheme_is_lower_case() -> None:
    assert parse_uri(b"SIP:a@h").scheme == b"sip"


def test_ipv6_reference_loses_its_brackets() -> None:
    uri = parse_uri(b"sip:caller@[2001:db8::1]:5070")
    assert (uri.host, uri.port) == (b"2001:db8::1", 5070)


@pytest.mark.parametrize("host", [b"2001:db8::10", b"[2001:db8::10", b"2001:db8::10]"])
def test_ipv6_address_that_lacks_a_bracket_is_named(host: bytes) -> None:
    _, defects = read_uri(b"sip:bob@" + host)
    assert defects == (("ipv6-bare", 8),)


def test_number_of_a_tel_uri_is_the_user() -> None:
    uri = parse_uri(b"tel:+1-201-555-0123;phone-context=example.com")
    assert (uri.scheme, uri.user, uri.host, uri.params) == (
        b"tel",
        b"+1-201-555-0123",
        b"",
        ((b"phone-context", b"example.com"),),
    )


def test_unknown_schemes_are_accepted_whole() -> None:
    uri = parse_uri(b"soap.beep://192.0.2.103:3002")
    assert (uri.scheme, uri.user, uri.raw) == (b"soap.beep", None, b"soap.beep://192.0.2.103:3002")


@pytest.mark.parametrize(
    ("text", "name", "offset"),
    [
        (b"sip:a b@h", "uri-blanks", 5),
        (b" sip:a@h", "uri-blanks", 0),
        (b"sip:a@h ", "uri-blanks", 7),
        (b"sip:a%4@h", "uri-escape", 5),
        (b'sip:"a"@h', "uri-user", 4),
        (b"sip:a@", "no-host", 6),
        (b"sip:a@h_x", "host", 6),
        (b"sip:a@h:99999", "port", 8),
        (b"sip:a@h:", "port", 8),
        (b"sip:2001:db8::10", "ipv6-bare", 4),
        (b"sip:[2001:db8:::192.0.2.1]", "ipv6-three-colons", 4),
        (b"sip:[1:2]", "host", 4),
        (b"sip:a@h;x=a@b", "uri-param", 11),
        (b"sip:a@h;;x", "uri-param", 8),
        (b"sip:a@h?x", "uri-headers", 8),
        (b"100", "uri", 0),
        (b"", "uri", 0),
        (b"tel:abc!", "uri", 4),
        (b"urn:<x>", "uri", 4),
    ],
)
def test_what_breaks_the_grammar_is_named_with_its_offset(text: bytes, name: str, offset: int) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse_uri(text)
    assert (caught.value.name, caught.value.offset) == (name, offset)


def test_user_and_host_without_a_scheme_are_told_apart_all_the_same() -> None:
    uri, defects = read_uri(b"100@192.0.2.1")
    assert uri is not None
    assert (uri.scheme, uri.user, uri.host) == (b"", b"100", b"192.0.2.1")
    assert defects


def test_second_at_belongs_to_the_user() -> None:
    uri, defects = read_uri(b"sip:a@b@h;x=1")
    assert uri is not None
    assert (uri.user, uri.host, uri.params) == (b"a@b", b"h", ((b"x", b"1"),))
    assert defects


@pytest.mark.parametrize("text", [b"sip:a@h;" + b";".join([b"x"] * 65), b"sip:a@h?" + b"&".join([b"x=1"] * 65)])
def test_more_parameters_or_headers_than_are_read_are_noted(text: bytes) -> None:
    uri, defects = read_uri(text)
    assert uri is not None
    assert len(uri.params) + len(uri.headers) == 64
    assert defects == (("too-many-values", len(text) - len(b"x" if uri.params else b"x=1")),)


@pytest.mark.parametrize("count", [16, 17, 64])
def test_as_many_parameters_as_are_read_are_all_well(count: int) -> None:
    uri, defects = read_uri(b"sip:a@h" + b";x=1" * count)
    assert uri is not None
    assert (len(uri.params), defects) == (count, ())


def test_bare_ipv6_address_is_read_all_the_same() -> None:
    uri, _ = read_uri(b"sip:2001:db8::10")
    assert uri is not None
    assert uri.host == b"2001:db8::10"


@given(uris())
def test_uri_gives_back_its_parts(uri: tuple[bytes, dict[str, object]]) -> None:
    text, parts = uri
    read = parse_uri(text)
    assert {name: getattr(read, name) for name in parts} == parts
    assert read.raw == text


@given(st.binary(max_size=80) | st.text("sip:@;=?&[]%.a1 ", max_size=40).map(str.encode))
def test_any_octets_are_read(text: bytes) -> None:
    uri, defects = read_uri(text)
    assert uri is not None or defects
    assert all(0 <= offset <= len(text) for _, offset in defects)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("192.0.2.1", 5060, "192.0.2.1:5060"),
        ("192.0.2.1", 0, "192.0.2.1:0"),
        ("2001:db8::1", 5060, "[2001:db8::1]:5060"),
        ("2001:db8::1", None, "[2001:db8::1]"),
        ("pbx.example.com", None, "pbx.example.com"),
    ],
)
def test_host_and_port_are_written_as_in_a_uri(host: str, port: int | None, text: str) -> None:
    assert host_port(host, port) == text
