"""name-addr and addr-spec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import SipSyntaxError, parse_address
from relaytrap.sip.address import read_address, read_addresses
from relaytrap.sip.params import unquote
from tests.property.strategies import addresses


def test_every_part_is_told_apart() -> None:
    address = parse_address(b'"A. Bell" <sip:bell@example.com;lr>;tag=a48s;x')
    assert address.display_name == b"A. Bell"
    assert (address.uri.user, address.uri.params) == (b"bell", ((b"lr", None),))
    assert (address.tag, address.params) == (b"a48s", ((b"tag", b"a48s"), (b"x", None)))


def test_without_brackets_every_parameter_belongs_to_the_header() -> None:
    address = parse_address(b"sip:+12125551212@phone2net.com;user=phone;tag=887s")
    assert address.uri.params == ()
    assert (address.param(b"user"), address.tag) == (b"phone", b"887s")


def test_inside_brackets_parameters_belong_to_the_uri() -> None:
    address = parse_address(b"<sip:a@h;user=phone>")
    assert (address.uri.param(b"user"), address.params) == (b"phone", ())


def test_quoted_display_name_loses_quotes_and_backslashes() -> None:
    assert parse_address(b'"J \\\\\\"" <sip:a@h>').display_name == b'J \\"'


def test_quoted_display_name_may_hold_brackets_and_commas() -> None:
    address = parse_address(b'"<sip:x@y>, z" <sip:a@h>')
    assert (address.display_name, address.uri.host) == (b"<sip:x@y>, z", b"h")


def test_display_name_of_tokens_needs_no_quotes() -> None:
    assert parse_address(b"tok1 tok2  <sip:a@h>").display_name == b"tok1 tok2"
    assert parse_address(b"caller<sip:a@h>").display_name == b"caller"
    assert parse_address(b"<sip:a@h>").display_name is None


def test_empty_quoted_display_name_is_empty_not_absent() -> None:
    assert parse_address(b'"" <sip:a@h>').display_name == b""


@pytest.mark.parametrize(
    ("text", "name", "offset"),
    [
        (b'"A <sip:a@h>', "quote-open", 0),
        (b"<sip:a@h", "bracket-open", 0),
        (b"Bell, A <sip:a@h>", "display-name-comma", 4),
        ("Jürgen <sip:a@h>".encode(), "display-name", 1),
        (b"< sip:a@h >", "uri-blanks", 1),
        (b"sip:a@h?x=y", "uri-needs-brackets", 7),
        (b"<sip:a@h> junk;tag=1", "address", 10),
        (b'"A" sip:a@h', "address", 3),
        (b"<sip:a@h>;;tag=1", "param-gap", 9),
        (b"<sip:a@h>;tag=", "param", 9),
        (b"<sip:a@h>;tag=1;tag=2", "param-repeated", 9),
        (b"<>", "uri", 1),
        (b"", "uri", 0),
    ],
)
def test_what_breaks_the_grammar_is_named_with_its_offset(text: bytes, name: str, offset: int) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse_address(text)
    assert (caught.value.name, caught.value.offset) == (name, offset)


def test_address_behind_an_open_quote_is_still_found() -> None:
    address = read_address(b'"Mr. Bob <sip:bob@example.com>;tag=1', 0, [])
    assert address is not None
    assert (address.uri.user, address.tag) == (b"bob", b"1")


def test_lists_are_cut_at_commas_outside_quotes_and_brackets() -> None:
    found = read_addresses(b'"a,b" <sip:c,d@h>, <sip:e@h>;x="1,2" ,sip:f@h', [])
    assert [address.uri.user for address in found] == [b"c,d", b"e", b"f"]


@given(addresses())
def test_address_gives_back_its_parts(address: tuple[bytes, dict[str, object]]) -> None:
    text, parts = address
    read = parse_address(text)
    name = parts["name"]
    assert read.display_name == (unquote(name) if isinstance(name, bytes) else None)
    assert read.tag == parts["tag"]
    assert {key: getattr(read.uri, key) for key in parts["uri"]} == parts["uri"]  # type: ignore[attr-defined]


@given(st.binary(max_size=80) | st.text('sip:@;"\\<>,=a1 ', max_size=60).map(str.encode))
def test_any_octets_are_read(text: bytes) -> None:
    defects: list[tuple[str, int]] = []
    found = read_addresses(text, defects)
    assert found or defects
    assert all(0 <= offset <= len(text) for _, offset in defects)
