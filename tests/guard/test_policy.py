"""Whose an address, a host or a number is under a policy."""

from pathlib import Path

import pytest

from relaytrap.config import Config, GuardConfig, NetworkConfig
from relaytrap.guard import Policy
from tests.guard.edge import CARRIER, EDGE, GUARDED, OWN, STRANGER, TRUNK


def policy(network: NetworkConfig = OWN, guard: GuardConfig = GUARDED, **more: object) -> Policy:
    return Policy.of(Config(data_dir=Path("nowhere"), network=network, guard=guard), **more)


@pytest.mark.parametrize(
    ("address", "party"),
    [(EDGE, "own"), (TRUNK, "trunk"), (CARRIER, "known"), (STRANGER, "stranger"), ("2001:db8::1", "stranger")],
)
def test_an_address_belongs_to_one_party(address: str, party: str) -> None:
    assert policy().party(address) == party


def test_own_networks_win_over_trunks_within_them() -> None:
    assert policy(guard=GuardConfig(trunks=(EDGE,))).party(EDGE) == "own"


@pytest.mark.parametrize(
    ("host", "ours"),
    [(b"Example.COM", True), (b"192.0.2.9", True), (b"sub.example.com", False), (b"203.0.113.7", False), (b"", False)],
)
def test_hosts_are_ours_by_domain_or_network(host: bytes, ours: bool) -> None:
    assert policy().is_ours(host) is ours


def test_names_that_the_edge_goes_by_are_learned_up_to_a_bound() -> None:
    known = policy()
    for number in range(1000):
        known.learn_name(b"edge%d.example.net" % number)
    assert known.is_ours(b"EDGE0.example.net")
    assert len(known.own_names) == 256


@pytest.mark.parametrize(
    ("user", "country"),
    [
        (b"00972597654321", "IL"),
        (b"900972597654321", "IL"),
        (b"12124567890", ""),  # no way out in front
        (b"00999123456789", ""),  # a code of nobody
        (b"+12124567890", "US"),
        (b"02079460000", ""),
        (b"+442079460000", ""),
        (b"100", ""),
        (b"alice", ""),
        (None, ""),
    ],
)
def test_numbers_abroad_are_those_of_another_country_that_are_not_ours(user: bytes | None, country: str) -> None:
    number = policy().number_abroad(user, EDGE)
    assert (number.country if number else "") == country


def test_numbers_of_ours_abroad_are_ours() -> None:
    assert policy(guard=GuardConfig(own_numbers=("+97259",))).number_abroad(b"00972597654321", EDGE) is None


def test_home_is_where_the_edge_is_when_nobody_says() -> None:
    nowhere = NetworkConfig(own_networks=(EDGE,))
    assert policy(nowhere).number_abroad(b"00972597654321", EDGE) is None
    assert policy(nowhere, region_of=lambda address: "IL").number_abroad(b"0597654321", EDGE) is None
    assert policy(nowhere, region_of=lambda address: "GB").number_abroad(b"00972597654321", EDGE) is not None
