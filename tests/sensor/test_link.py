"""The connection to the hub: which addresses are taken, and who is believed to be the hub."""

import pytest

from relaytrap.errors import ConfigError
from relaytrap.sensor.link import HubAddress, parse_hub_url, parse_pin


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8060", HubAddress("http", "127.0.0.1", 8060)),
        ("http://[::1]:8060/", HubAddress("http", "::1", 8060)),
        ("http://localhost", HubAddress("http", "localhost", 80)),
        ("https://hub.example/relaytrap/", HubAddress("https", "hub.example", 443, "/relaytrap")),
    ],
)
def test_hub_urls(url: str, address: HubAddress) -> None:
    assert parse_hub_url(url) == address


@pytest.mark.parametrize("url", ["hub.example", "ftp://hub.example", "https://", "https://hub:99999", "https://h:x"])
def test_what_is_no_hub_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no hub address"):
        parse_hub_url(url)


@pytest.mark.parametrize("url", ["http://hub.example", "http://192.0.2.1:8060"])
def test_plain_http_beyond_loopback_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="would show the token"):
        parse_hub_url(url)
