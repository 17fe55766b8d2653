import ipaddress

from relaytrap.config import NetworkConfig, NetworkName
from relaytrap.sample.networks import country_of, load_networks, with_sample

DOCUMENTATION = [
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32")
]


def test_every_network_is_a_documentation_network_with_country_and_operator() -> None:
    for row in load_networks().names:
        network = ipaddress.ip_network(row.network)
        assert any(network.version == each.version and network.subnet_of(each) for each in DOCUMENTATION), row
        assert len(row.country) == 2, row
        assert row.name.startswith("Example "), row


def test_every_as_number_is_set_aside_for_documentation_and_has_one_name() -> None:
    names: dict[int, set[str]] = {}
    for row in load_networks().names:
        assert 64496 <= row.asn <= 64511 or 65536 <= row.asn <= 65551, row
        names.setdefault(row.asn, set()).add(row.name)
    assert all(len(each) == 1 for each in names.values())


def test_no_network_is_listed_twice() -> None:
    networks = [row.network for row in load_networks().names]
    assert len(networks) == len(set(networks))


def test_no_network_lies_within_another() -> None:
    networks = [ipaddress.ip_network(row.network) for row in load_networks().names]
    for network in networks:
        assert [each for each in networks if each.version == network.version and each.overlaps(network)] == [network]


def test_a_honeypots_country_is_known_and_a_strangers_is_not() -> None:
    assert country_of("192.0.2.10") == "AU"
    assert country_of("2001:db8:1::10") == "DE"
    assert country_of("8.8.8.8") == ""


def test_an_operators_row_wins_over_the_samples() -> None:
    own = NetworkName("192.0.2.0/26", "NZ", 64496, "Ours")
    merged = with_sample(NetworkConfig(names=(own,), known_proxies=("10.0.0.1",)))
    assert [row for row in merged.names if row.network == "192.0.2.0/26"] == [own]
    assert merged.known_proxies == ("10.0.0.1", *load_networks().known_proxies)
