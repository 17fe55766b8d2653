"""Addresses as they stand in messages, and what the operator knows beforehand."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.path import NOT_PUBLIC, AddressSet, address_text, is_public


def by_the_standard_library(host: bytes) -> str | None:
    try:
        address = ipaddress.ip_address(host.decode("ascii"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


@given(st.one_of(st.from_regex(rb"[0-9]{1,3}(\.[0-9]{1,3}){2,4}", fullmatch=True), st.binary(max_size=12)))
def test_what_is_an_address_is_what_the_standard_library_takes_for_one(host):
    assert address_text(host) == by_the_standard_library(host)


@given(st.ip_addresses())
def test_an_address_has_one_text_and_is_public_unless_in_a_network_that_is_not(address):
    text = address_text(str(address).encode())
    assert text == by_the_standard_library(str(address).encode())
    parsed = ipaddress.ip_address(text)
    inside = any(parsed in network for network in NOT_PUBLIC if network.version == parsed.version)
    assert is_public(text) is not inside


@pytest.mark.parametrize("text", ["", "evil", "198.evil", "8.8.8.8.8", "8.8.8.8/24", "1" * 100])
def test_what_is_no_address_is_neither_public_nor_in_any_set(text):
    assert not is_public(text)
    assert text not in AddressSet(["192.0.2.0/24", "2001:db8::/32"], "network.known_proxies")


@pytest.mark.parametrize(("given", "is_empty"), [([], True), (["192.0.2.7"], False), (["192.0.2.0/24"], False)])
def test_a_set_of_no_addresses_says_that_it_is_empty(given, is_empty):
    known = AddressSet(given, "network.known_proxies")
    assert known.is_empty is is_empty
    assert ("192.0.2.7" in known) is not is_empty
