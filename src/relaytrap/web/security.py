"""What stands between the network and the pages: who may ask, from where, and what a browser may do with the answer.

An ASGI wrapper around the whole application. On loopback there is no login, so two doors must be shut that a login
would shut: a page elsewhere whose name is re-pointed to 127.0.0.1 (DNS rebinding; the Host header gives it away), and a
page elsewhere that posts here (the Origin header gives it away).
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from relaytrap.errors import ConfigError
from relaytrap.sip.uri import host_port

__all__ = ["Endpoint", "Guard", "is_local_host", "parse_listen", "public_url", "refuse_beyond_loopback"]

# ASGI as its specification has it: a scope, a way to receive, a way to send; all of them plain dicts and callables.
App = Callable[[Any, Any, Any], Awaitable[None]]

# Scripts, styles and data come from this server alone. Vega runs with its interpreter: nothing is compiled from text.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # With "no-referrer" a browser sends "Origin: null" with our own forms, and the guard below refuses them.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the page listens. host: an IP address, canonical; port 0 takes a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        return f"http://{host_port(self.host, self.port)}"


def parse_listen(text: str, setting: str = "web.listen") -> Endpoint:
    """`127.0.0.1:8060`, `[::1]:8060` or `localhost:8060` as an Endpoint. Raises ConfigError with one sentence."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        number = int(port)
        if not colon or not 0 <= number <= 65535:
            raise ValueError(text)
    except ValueError:
        raise ConfigError(
            f"{setting}: {text!r} is no address and port; write 127.0.0.1:8060, or [::1]:8060 for IPv6"
        ) from None
    return Endpoint(str(address), number)


def public_url(endpoint: Endpoint) -> str:
    """Where sensors reach an endpoint, as far as this machine can tell: the address by which it leaves for others."""
    host = endpoint.host
    if host in ("0.0.0.0", "::"):
        host = _own_address(socket.AF_INET6 if ":" in host else socket.AF_INET) or socket.getfqdn()
    return f"https://{host_port(host, endpoint.port)}"


def _own_address(family: socket.AddressFamily) -> str:
    """Our address towards the documentation network: connecting a UDP socket asks the routes and sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            way.connect(("2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1", 9))
        except OSError:
            return ""
        return str(way.getsockname()[0])


def refuse_beyond_loopback(endpoint: Endpoint) -> None:
    """Pages hold secrets (sensor addresses, passwords tried): without a login they stay on this machine."""
    if not endpoint.is_loopback:
        raise ConfigError(
            f"web.listen: {endpoint.host} can be reached from other machines, and there is no user yet who could log "
            f"in; listen on 127.0.0.1:{endpoint.port} and reach it through a tunnel (ssh -L "
            f"{endpoint.port}:127.0.0.1:{endpoint.port} this-machine)"
        )


def is_local_host(host: str) -> bool:
    """Whether a Host header names this machine by loopback address or as localhost."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Guard:
    """The application behind its doors: foreign Host or Origin refused, security headers on every answer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in HEADERS if each[0] not in present)]
            await send(message)

        refusal = _refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
            return
        status, sentence = refusal
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(sentence))]
        await send_guarded({"type": "http.response.start", "status": status, "headers": headers})
        await send_guarded({"type": "http.response.body", "body": sentence})


def _refusal(scope: Any) -> tuple[int, bytes] | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    if not is_local_host(host):
        return 421, b"This page answers to localhost only: open it by its loopback address.\n"
    origin = headers.get(b"origin", "")
    if scope["method"] not in SAFE_METHODS and origin and origin.partition("://")[2] != host:
        return 403, b"A page of another site asked for a change here: refused.\n"
    return None
