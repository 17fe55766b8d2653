"""The connection to the hub: which addresses are taken, and who is believed to be the hub."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relaytrap.config import HubConfig
from relaytrap.errors import ConfigError
from relaytrap.hub.certificate import load_certificate
from relaytrap.sensor.link import HubAddress, Link, WrongCertificate, parse_hub_url, parse_pin


class Heard:
    """A hub with a certificate of its own, and what reached it."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        heard = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.requests.append(self.headers["Authorization"])
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None: ...

        certificate = load_certificate(HubConfig(), folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = HubAddress("https", "127.0.0.1", self.server.server_port, pin=certificate.fingerprint)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    made = Heard(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_hub_with_the_pinned_certificate_is_spoken_to(heard: Heard) -> None:
    assert Link(heard.address, "secret").post("/x", b"", {}).status == 200
    assert heard.requests == ["Bearer secret"]


def test_nothing_is_said_to_a_hub_with_another_certificate(heard: Heard) -> None:
    other = replace(heard.address, pin="0" * 64)
    with pytest.raises(WrongCertificate, match=f"--pin {heard.address.pin}"):
        Link(other, "secret").post("/x", b"", {})
    assert heard.requests == []


def test_without_a_pin_an_authority_must_vouch(heard: Heard) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Link(replace(heard.address, pin=""), "secret").post("/x", b"", {})
    assert heard.requests == []


@pytest.mark.parametrize("spelling", ["AB:" * 31 + "AB", "sha256:" + "ab" * 32, " " + "ab" * 32 + "\n"])
def test_fingerprint_is_taken_as_other_programs_write_it(spelling: str) -> None:
    assert parse_pin(spelling) == "ab" * 32


@pytest.mark.parametrize("text", ["ab", "zz" * 32, "sha1:" + "ab" * 32])
def test_what_is_no_fingerprint_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="no SHA-256 fingerprint"):
        parse_pin(text)


@pytest.mark.parametrize(
    ("address", "trust"),
    [
        (HubAddress("http", "127.0.0.1", 80), "loopback"),
        (HubAddress("https", "h", 443, pin="ab" * 32), "pinned " + "ab" * 32),
        (HubAddress("https", "h", 443), "authority"),
    ],
)
def test_how_the_hub_is_recognised_is_told(address: HubAddress, trust: str) -> None:
    assert address.trust == trust


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


@pytest.mark.parametrize(
    "url",
    [
        *("hub.example", "ftp://hub.example", "https://", "https://hub:99999", "https://h:x", "https://[::1"),
        *("https://hub..example", f"https://{'a' * 64}.example", "https://a b.example", "https://hub.example/ü"),
        *("https://hub.example/a b", "https://hub.example/\x7f"),
    ],
)
def test_what_is_no_hub_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no hub address"):
        parse_hub_url(url)


@pytest.mark.parametrize("url", ["http://hub.example", "http://192.0.2.1:8060"])
def test_plain_http_beyond_loopback_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="would show the token"):
        parse_hub_url(url)


@pytest.mark.parametrize("token", ["tök€n", "to ken", "to\nken"])
def test_what_can_be_no_token_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match=r"sensor\.token"):
        Link(HubAddress("http", "127.0.0.1", 8060), token)


def test_a_line_that_carries_a_body_slowly_and_steadily_carries_it_whole() -> None:
    """Three times as long as the connection may be silent."""
    with socket.create_server(("127.0.0.1", 0)) as hub:
        hub.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 10)
        body = bytes(2 << 20)
        answered: list[int] = []
        link = Link(HubAddress("http", "127.0.0.1", hub.getsockname()[1]), "secret", timeout_s=1)
        sensor = threading.Thread(target=lambda: answered.append(link.post("/x", body, {}).status), daemon=True)
        sensor.start()
        way, _ = hub.accept()
        with way:
            head, _, begun = way.recv(4096).partition(b"\r\n\r\n")
            left, began = len(body) - len(begun), time.monotonic()
            while left:
                # So much of it a second as takes three, whatever one recv gives.
                time.sleep(max((len(body) - left) / len(body) * 3 - (time.monotonic() - began), 0))
                left -= len(way.recv(left))
            way.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            sensor.join(10)
    assert b"content-length: %d" % len(body) in head.lower()
    assert answered == [200]
