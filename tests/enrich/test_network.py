"""Looking addresses up: the operator's names, their tables, the bundled ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.config import EnrichConfig, NetworkConfig, NetworkName
from relaytrap.enrich import Enricher, Network
from relaytrap.errors import ConfigError
from tests.enrich.mmdb import write_mmdb


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def enricher(cache: Path) -> Enricher:
    return Enricher.open(EnrichConfig(), NetworkConfig(), cache)


def named(cache: Path, *names: NetworkName, enrich: EnrichConfig | None = None) -> Enricher:
    return Enricher.open(enrich or EnrichConfig(), NetworkConfig(names=names), cache)


def test_malaysian_scanner_of_2010_is_in_malaysia(enricher: Enricher) -> None:
    found = enricher.network("202.71.111.5")
    assert (found.country, found.asn, found.source) == ("MY", 17971, "bundled")
    assert "TM TECHNOLOGY" in found.name


def test_ipv6_has_a_country(enricher: Enricher) -> None:
    assert enricher.network("2001:4860:4860::8888")[:2] == ("US", 15169)


def test_mapped_ipv4_is_looked_up_as_ipv4(enricher: Enricher) -> None:
    assert enricher.network("::ffff:202.71.111.5") == enricher.network("202.71.111.5")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.1.2.3", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("2001:db8::1", "documentation"),
        ("198.18.0.1", "benchmarking"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.64.0.1", "shared by carrier-grade NAT"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("0.0.0.0", "this network"),
        ("::", "unspecified"),
        ("fd00::1", "private"),
    ],
)
def test_special_address_has_a_name_and_no_country(enricher: Enricher, address: str, name: str) -> None:
    assert enricher.network(address) == Network("", 0, name, "special")


@pytest.mark.parametrize("text", ["", "junk", "1.2.3", "1.2.3.4.5", "300.1.1.1", "::g", "1.2.3.4/8", "\x00"])
def test_what_is_no_address_has_no_network(enricher: Enricher, text: str) -> None:
    assert enricher.network(text) == Network()


@given(text=st.text(max_size=40))
def test_any_text_is_answered(enricher: Enricher, text: str) -> None:
    assert isinstance(enricher.network(text), Network)


def test_operators_name_wins_over_tables(cache: Path) -> None:
    enricher = named(cache, NetworkName("202.71.0.0/16", "de", 64500, "Our friends"))
    assert enricher.network("202.71.111.5") == Network("DE", 64500, "Our friends", "names")


def test_longest_prefix_wins_among_names(cache: Path) -> None:
    wide, narrow = NetworkName("198.51.0.0/16", name="wide"), NetworkName("198.51.100.0/24", name="narrow")
    enricher = named(cache, wide, narrow)
    assert [enricher.network(each).name for each in ("198.51.100.9", "198.51.7.9")] == ["narrow", "wide"]


def test_empty_field_of_a_name_leaves_what_the_tables_say(cache: Path) -> None:
    found = named(cache, NetworkName("202.71.111.0/24", name="The scanner")).network("202.71.111.5")
    assert found == Network("MY", 17971, "The scanner", "names")


def test_name_gives_a_documentation_network_a_country(cache: Path) -> None:
    enricher = named(cache, NetworkName("203.0.113.0/24", "US", 64501, "Example Cloud"))
    assert enricher.network("203.0.113.7") == Network("US", 64501, "Example Cloud", "names")


def test_name_of_ipv6_network_does_not_touch_ipv4(cache: Path) -> None:
    enricher = named(cache, NetworkName("::/0", "SE"))
    assert (enricher.network("2001:db8::1").country, enricher.network("10.0.0.1").country) == ("SE", "")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (NetworkName("198.51.100"), "'198.51.100' is not a network"),
        (NetworkName("198.51.100.0/24", country="Germany"), "'Germany' of 198.51.100.0/24 is not a two-letter"),
    ],
)
def test_wrong_name_is_refused_in_a_sentence(cache: Path, row: NetworkName, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^network\.names: ") as caught:
        named(cache, row)
    assert words in str(caught.value)


def test_operators_tables_win_and_the_bundled_ones_fill_gaps(cache: Path, tmp_path: Path) -> None:
    country = write_mmdb(tmp_path / "c.mmdb", {"202.71.111.0/24": {"country": {"iso_code": "SG"}}})
    asn = write_mmdb(
        tmp_path / "a.mmdb",
        {"202.71.111.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Other"}},
    )
    enricher = named(cache, enrich=EnrichConfig(str(country), str(asn)))
    assert enricher.network("202.71.111.5") == Network("SG", 64500, "Other", str(country))
    assert enricher.network("8.8.8.8")[:2] == ("US", 15169)


def test_date_shown_is_that_of_the_oldest_table(cache: Path, tmp_path: Path, enricher: Enricher) -> None:
    old = write_mmdb(tmp_path / "c.mmdb", {"8.8.8.0/24": {"country_code": "US"}})
    assert named(cache, enrich=EnrichConfig(country_mmdb=str(old))).data_date == "2023-11-14"
    assert enricher.data_date == "2026-09-16"
