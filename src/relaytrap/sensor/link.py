"""The connection to the hub: where it is, how it is recognised, one request at a time.

A hub with a certificate of its own is recognised by that certificate's SHA-256 fingerprint, which the joining line
carried: names and authorities say nothing then, and nothing is sent before the certificate was looked at. Without a
fingerprint the machine's authorities decide, as in a browser. Plain HTTP goes to loopback only.
"""

import hashlib
import hmac
import http.client
import io
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from relaytrap import __version__
from relaytrap.errors import ConfigError
from relaytrap.sip.uri import host_port

__all__ = ["Answered", "HubAddress", "Link", "WrongCertificate", "parse_hub_url", "parse_pin"]

TIMEOUT_S: Final = 30.0
SEND_BUFFER_BYTES: Final = 64 << 10
"""What the system holds of a body when the wait for the answer begins: on 64 kbit/s it is gone in time."""
RETRY_AFTER_MAX_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where the hub is.

    prefix: the path before `/api`, without a closing slash. pin: its certificate's fingerprint, 64 hex digits, or "".
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""
    pin: str = ""

    @property
    def url(self) -> str:
        """The address as text."""
        return f"{self.scheme}://{host_port(self.host, self.port)}{self.prefix}"

    @property
    def trust(self) -> str:
        """How the hub is recognised, for people."""
        if self.scheme == "http":
            return "loopback"
        return f"pinned {self.pin}" if self.pin else "authority"


def parse_hub_url(url: str, pin: str = "", *, given: str = "sensor.hub_url") -> HubAddress:
    """The hub that settings name; given: where its address stands.

    Raises ConfigError for what is no address or pin, or plain HTTP beyond loopback.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        sent = host.encode("idna").decode() + parts.path
    except ValueError:  # UnicodeError is one: a label that is empty or too long
        parts, host, port, sent = urlsplit(""), "", None, ""
    if parts.scheme not in ("http", "https") or not host or not _is_sendable(sent):
        raise ConfigError(f"{given}: {url!r} is no hub address; write https://HOST:PORT")
    if parts.scheme == "http" and not _is_loopback(parts):
        raise ConfigError(
            f"{given}: plain http to {parts.hostname} would show the token to everybody; write https://, "
            "or http://127.0.0.1 for a hub on this machine"
        )
    port = port or (443 if parts.scheme == "https" else 80)
    return HubAddress(parts.scheme, host, port, parts.path.rstrip("/"), parse_pin(pin))


def parse_pin(text: str) -> str:
    """A fingerprint as 64 small hex digits; takes colons, capitals and a leading `sha256:`. "" stays "".

    Raises ConfigError for anything else.
    """
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if digits and (len(digits) != 64 or set(digits) - set("0123456789abcdef")):
        raise ConfigError(
            f"sensor.hub_pin: {text!r} is no SHA-256 fingerprint (64 hex digits); the hub prints its own with "
            "relaytrap hub certificate"
        )
    return digits


def _is_sendable(text: str) -> bool:
    """Whether it can stand in a request's head."""
    return text.isascii() and text.isprintable() and " " not in text


def _is_loopback(parts: SplitResult) -> bool:
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


class WrongCertificate(OSError):
    """The hub showed another certificate than the one that this sensor was told about. Nothing was sent to it."""

    def __init__(self, hub: HubAddress, shown: str) -> None:
        super().__init__(
            f"{hub.url} shows a certificate with the fingerprint {shown} and not {hub.pin}; if the hub's certificate "
            f"was replaced (relaytrap hub certificate says so there), run relaytrap sensor join --pin {shown} here and "
            "start again; if not, somebody stands in between"
        )


@dataclass(slots=True)
class Answered:
    """What the hub said to one request. retry_after_s: None when it named no time."""

    status: int
    body: bytes
    retry_after_s: float | None


class Link:
    """One kept connection. Its requests raise OSError or http.client.HTTPException when the way or the hub fails.

    Raises ConfigError for what can be no token.
    """

    def __init__(self, hub: HubAddress, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        if not _is_sendable(token):
            raise ConfigError("sensor.token: there are letters in it that no token has; join again with the hub's line")
        self.hub = hub
        self._token = token
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """One request. A connection that the hub closed while it idled is replaced once: nothing is wrong then, and
        the hub recognises a segment that comes twice."""
        if self._connection is not None:
            try:
                return self._ask(self._connection, path, body, headers)
            except (ConnectionError, http.client.RemoteDisconnected):
                self._connection.close()
        return self._ask(self._connect(), path, body, headers)

    def close(self) -> None:
        """Let the connection go; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Answered:
        sent = {"Authorization": f"Bearer {self._token}", "User-Agent": f"relaytrap-sensor/{__version__}", **headers}
        # Piece by piece, each with the whole time: a slow line gets through whatever it goes on carrying.
        sent["Content-Length"] = str(len(body))
        connection.request("POST", self.hub.prefix + path, io.BytesIO(body), sent)
        response = connection.getresponse()
        return Answered(response.status, response.read(), _seconds(response.getheader("Retry-After")))

    def _connect(self) -> http.client.HTTPConnection:
        hub, self._connection = self.hub, None
        connection: http.client.HTTPConnection
        if hub.scheme == "http":
            connection = http.client.HTTPConnection(hub.host, hub.port, timeout=self._timeout_s)
        elif hub.pin:
            connection = PinnedConnection(hub, self._timeout_s)
        else:
            connection = http.client.HTTPSConnection(
                hub.host, hub.port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._connection = connection
        return connection


class PinnedConnection(http.client.HTTPSConnection):
    """TLS to whoever shows the one certificate; connecting fails for every other."""

    def __init__(self, hub: HubAddress, timeout_s: float) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fingerprint below says more than any authority could
        super().__init__(hub.host, hub.port, timeout=timeout_s, context=context)
        self._hub = hub

    def connect(self) -> None:
        """Connect, and look at the certificate before anything is said."""
        super().connect()
        assert isinstance(self.sock, ssl.SSLSocket)
        shown = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(shown, self._hub.pin):
            self.close()
            raise WrongCertificate(self._hub, shown)


def _seconds(text: str | None) -> float | None:
    return min(float(text), RETRY_AFTER_MAX_S) if text and text.isdecimal() else None
