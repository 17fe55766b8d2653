"""No list has an address that must never be blocked, whatever was seen of it."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.errors import ConfigError
from relaytrap.feeds import Barrier, make_feed
from tests.feeds.made import indicator

KEPT = {
    "sensor": ["100.20.30.40", "2600::5"],
    "network.known_proxies": ["100.21.0.0/16", "2600:1::/32"],
    "feeds.allow": ["::ffff:100.22.0.0/112", "100.23.1.1/32"],
}
BARRIER = Barrier(KEPT)
ADDRESSES = (
    st.ip_addresses(v=4)
    | st.ip_addresses(v=6)
    | st.integers(0, 2**32 - 1).map(lambda number: ipaddress.IPv6Address(f"::ffff:{ipaddress.IPv4Address(number)}"))
)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.1.2.3", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("100.64.0.1", "shared by carrier-grade NAT"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("192.0.2.1", "documentation"),
        ("198.18.0.1", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("0.0.0.0", "this network"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fd00::1", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("64:ff9b::808:808", "reserved"),
        ("2002:808:808::1", "6to4"),
        ("2001:0:808:808::1", "protocol assignments"),
        ("::808:808", "reserved"),
        ("::ffff:8.8.8.8", "no address"),
        ("fe80::1%eth0", "no address"),
        ("2600::1%eth0", "no address"),
        ("8.8.8.8 ", "no address"),
        ("8.8.8.0/24", "no address"),
        ("", "no address"),
        ("100.20.30.40", "sensor"),
        ("2600::5", "sensor"),
        ("100.21.7.7", "network.known_proxies"),
        ("2600:1::9", "network.known_proxies"),
        ("100.22.200.1", "feeds.allow"),
        ("100.23.1.1", "feeds.allow"),
        ("8.8.8.8", ""),
        ("2600::6", ""),
        ("100.23.1.2", ""),
    ],
)
def test_an_address_stays_out_for_a_reason(address, reason):
    assert BARRIER.reason(address) == reason


@pytest.mark.parametrize("address", ["192.0.2.1", "198.18.0.1", "2001:db8::1", "203.0.113.5"])
def test_the_sample_passes_only_when_it_is_asked_for(address):
    assert BARRIER.reason(address)
    assert Barrier({}, sample=True).reason(address) == ""


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "240.0.0.1"])
def test_the_sample_opens_no_other_way(address):
    assert Barrier({}, sample=True).reason(address)


def test_own_addresses_of_the_sample_stay_out():
    assert Barrier({"sensor": ["192.0.2.10"]}, sample=True).reason("192.0.2.10") == "sensor"


@given(ADDRESSES)
def test_what_passes_is_a_global_address_that_nobody_allowed(address):
    if BARRIER.reason(str(address)):
        return
    assert address.is_global
    assert not address.is_multicast
    assert not address.is_private
    kept = [ipaddress.ip_network(text) for texts in KEPT.values() for text in texts]
    assert not any(address in network for network in kept)


@given(st.lists(ADDRESSES.map(str).filter(lambda text: not text.startswith("::ffff")), max_size=20, unique=True))
def test_no_feed_has_an_address_that_the_barrier_keeps(addresses):
    made = make_feed("attackers", [indicator(each) for each in addresses], BARRIER)
    assert [each.address for each in made.indicators if BARRIER.reason(each.address)] == []
    assert len(made.indicators) + sum(made.left_out.values()) == len(addresses)


@pytest.mark.parametrize("text", ["carrier.example", "192.0.2.0/33", "", "1.2.3.4/a"])
def test_a_setting_that_is_no_network_is_named(text):
    with pytest.raises(ConfigError, match=r"feeds\.allow"):
        Barrier({"feeds.allow": [text]})
