"""Forms of addresses, for decoding and for redaction."""

import ipaddress
from base64 import b64encode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relaytrap.evidence.address_forms import SURE_MIN, find_address_forms, plain_forms


def forms(address: str) -> dict[bytes, str]:
    return {form.text: form.encoding for form in find_address_forms(address)}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("dotted", b"202.71.111.5"),
        ("undotted", b"202711115"),
        ("undotted, padded", b"202071111005"),
        ("decimal", b"3393679109"),
        ("decimal reversed", b"91178954"),
        ("hex", b"ca476f05"),
        ("hex", b"CA476F05"),
        ("hex reversed", b"056f47ca"),
        ("hex reversed", b"056F47CA"),
        ("dotted reversed", b"5.111.71.202"),
        ("hyphenated", b"202-71-111-5"),
        ("underscored", b"202_71_111_5"),
        ("escaped", b"202%2E71%2e111%2E5".replace(b"%2e", b"%2E")),
        ("letters", b"CAC.HB.BBB.F"),
        ("hex of text", b"3230322e37312e3131312e35"),
        ("hex of hex", b"6361343736663035"),
        ("base64", b"ykdvBQ"),
    ],
)
def test_address_is_known_in_every_form(encoding: str, text: bytes) -> None:
    assert forms("202.71.111.5")[text] == encoding


@pytest.mark.parametrize(
    "host", [b"1.2.3.1_0", b"1.2.3.+4", b"1.2.3. 4", b"1.2.3", b"1.2..4", b"1.2.3.256", b"a.b.c.d", b""]
)
def test_what_only_a_number_reader_takes_for_an_address_has_no_forms(host: bytes) -> None:
    assert plain_forms(host) == ()


def test_forms_come_longest_first() -> None:
    lengths = [len(form.text) for form in find_address_forms("202.71.111.5")]
    assert lengths == sorted(lengths, reverse=True)


def test_short_digits_are_not_sure() -> None:
    sure = {form.text: form.sure for form in find_address_forms("1.2.3.4")}
    assert sure[b"1234"] is False
    assert sure[b"01020304"] is True
    assert sure[b"1.2.3.4"] is True


@given(address=st.ip_addresses(), before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_address_inside_any_base64_is_found(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, before: bytes, after: bytes
) -> None:
    assume(getattr(address, "ipv4_mapped", None) is None)
    encoded = b64encode(before + str(address).encode() + after)
    assert any(form.text in encoded for form in find_address_forms(str(address)) if form.encoding == "base64 of text")


@given(st.ip_addresses(v=4))
def test_plain_forms_are_among_all_forms(address: ipaddress.IPv4Address) -> None:
    every = forms(str(address))
    plain = plain_forms(str(address).encode())
    assert {text.encode() for _, text in plain} <= set(every)
    assert all(len(text) >= SURE_MIN or encoding == "dotted" for encoding, text in plain)


def test_ipv6_is_known_in_text_and_hex() -> None:
    every = forms("2001:db8::1")
    assert every[b"2001:db8::1"] == every[b"2001:DB8::1"] == every[b"2001:0db8:0000:0000:0000:0000:0000:0001"] == "text"
    assert every[b"20010db8000000000000000000000001"] == "hex"
    assert every[b"2001-db8--1"] == "hyphenated"


def test_mapped_ipv4_has_the_forms_of_ipv4() -> None:
    assert find_address_forms("::ffff:192.0.2.1") == find_address_forms("192.0.2.1")


def test_zone_of_a_link_local_address_is_no_part_of_its_forms() -> None:
    assert find_address_forms("fe80::1%eth0") == find_address_forms("fe80::1")


@pytest.mark.parametrize("text", ["", "example.com", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g"])
def test_what_is_no_address_has_no_forms(text: str) -> None:
    assert find_address_forms(text) == ()
    assert plain_forms(text.encode()) == ()


@given(st.binary(max_size=40))
def test_any_host_is_answered(host: bytes) -> None:
    assert isinstance(plain_forms(host), tuple)
