"""Reading the kernel's tables of local addresses."""

import ipaddress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sensor.own_addresses import own_networks, parse_fib_trie, parse_ipv6_routes

FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
     |-- 198.51.100.0
        /24 host LOCAL
"""
ROUTES = (
    "20010db8000000000000000000000005 80 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth0\n"
    "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
)


def test_addresses_and_whole_prefixes_are_ours_and_neighbours_are_not() -> None:
    assert parse_fib_trie(FIB_TRIE) == {ipaddress.ip_network("192.0.2.2/32"), ipaddress.ip_network("198.51.100.0/24")}


def test_ipv6_addresses_are_ours_and_routes_to_others_are_not() -> None:
    assert parse_ipv6_routes(ROUTES) == {ipaddress.ip_network("2001:db8::5/128")}


def test_this_machine_s_loopback_is_its_own() -> None:
    assert any(ipaddress.ip_address("127.0.0.1") in network for network in own_networks() if network.version == 4)


def test_missing_tables_mean_no_addresses(tmp_path: Path) -> None:
    assert own_networks(tmp_path) == frozenset()


@given(st.text(alphabet="|-- 0123456789./hostLOCAL\n", max_size=200))
def test_any_text_gives_networks_or_none(text: str) -> None:
    parse_fib_trie(text)
    parse_ipv6_routes(text)
