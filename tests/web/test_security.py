"""Who may ask and from where; what browsers may do with the answer; where the page refuses to listen."""

import pytest

from relaytrap.errors import ConfigError
from relaytrap.web.security import Endpoint, is_local_host, parse_listen, refuse_beyond_loopback
from tests.web.conftest import Hub


@pytest.mark.parametrize("path", ["/", "/static/app.css", "/api/sensors", "/nothing", "/messages.pcapng"])
def test_every_answer_carries_the_security_headers(hub: Hub, path: str) -> None:
    headers = hub.get(path).headers
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "", "localhost.evil.example:80"]
)
def test_foreign_host_header_is_refused(hub: Hub, host: str) -> None:
    assert hub.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8060", "127.0.0.1", "127.9.9.9:1", "[::1]:8060", "relaytrap.localhost"])
def test_loopback_host_header_is_welcome(host: str) -> None:
    assert is_local_host(host)


@pytest.mark.parametrize("host", ["[::1", "a b", "@", "127.0.0.1@evil.example", "0.0.0.0", "::", "[::ffff:192.0.2.1]"])
def test_odd_host_header_is_not_local(host: str) -> None:
    assert not is_local_host(host)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", "http://[", "file://"])
def test_change_asked_for_by_another_site_is_refused(hub: Hub, origin: str) -> None:
    headers = {"origin": origin, "authorization": f"Bearer {hub.token}"}
    assert hub.client.post("/api/import", headers=headers).status_code == 403


def test_change_asked_for_by_our_own_page_is_let_through(hub: Hub) -> None:
    assert hub.client.post("/api/import", headers={"origin": hub.url}).status_code == 401


def test_no_answer_names_the_server_software(hub: Hub) -> None:
    assert "server" not in hub.get("/").headers


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("127.0.0.1:8060", Endpoint("127.0.0.1", 8060)),
        ("localhost:1", Endpoint("127.0.0.1", 1)),
        ("[::1]:8060", Endpoint("::1", 8060)),
        ("127.0.0.2:0", Endpoint("127.0.0.2", 0)),
    ],
)
def test_listen_setting_is_an_address_and_a_port(text: str, wanted: Endpoint) -> None:
    assert parse_listen(text) == wanted


@pytest.mark.parametrize("text", ["8060", ":8060", "127.0.0.1", "example.com:80", "127.0.0.1:99999", "127.0.0.1:x", ""])
def test_listen_setting_that_is_none_is_explained(text: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.listen.*is no address and port"):
        parse_listen(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1"])
def test_page_refuses_to_listen_beyond_loopback_without_a_user(host: str) -> None:
    with pytest.raises(ConfigError, match="there is no user yet"):
        refuse_beyond_loopback(Endpoint(host, 8060))


def test_ipv6_address_is_bracketed_in_a_url() -> None:
    assert Endpoint("::1", 8060).url == "http://[::1]:8060"
