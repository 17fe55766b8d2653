"""What a probe tries: each trick is a way to make a server send a stranger's request on to the witness.

Six tricks found all 22 relaying variants of a family of 31 real servers; plain OPTIONS over UDP alone missed 12 of
them. A seventh is for servers that forward only by the transport that a request came by; three more for checks of To or
P-Asserted-Identity, and for the `alias` that Kamailio's nathelper follows. The others are tried by `--thorough`; tricks
that never worked on any (`maddr`, `received`, `user%40host`, `tel:`, Via `maddr`) are among them, so that a server on
which one works is found all the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from relaytrap.sip.uri import host_port

__all__ = ["STANDARD", "TRICKS", "Ends", "Shape", "Trick"]

Group = Literal["standard", "thorough", "asked"]
Kind = Literal["plain", "from", "route", "in-dialog", "number", "registrar"]


@dataclass(frozen=True, slots=True)
class Ends:
    """The three ends of a probe, and its token.

    server, server_port: where the probe goes. domain: the server's own domain, or its address where none is known.
    witness, witness_port: where it must arrive to prove anything. tester, tester_port: where answers come back.
    token: 12 characters that name the probe. number: digits that name it where only digits pass. transport: by which
    the probe goes to the server.
    """

    server: str
    server_port: int
    domain: str
    witness: str
    witness_port: int
    tester: str
    tester_port: int
    token: str
    number: str
    transport: str = "udp"

    def at_witness(self, user: str = "", params: str = "") -> str:
        """A SIP URI at the witness."""
        return f"sip:{user or self.token}@{host_port(self.witness, self.witness_port)}{params}"

    def at_server(self, user: str = "", params: str = "") -> str:
        """A SIP URI at the server's own address."""
        return f"sip:{user or self.token}@{host_port(self.server, self.server_port)}{params}"

    @property
    def server_route(self) -> str:
        """A loose Route through the server."""
        return f"<sip:{host_port(self.server, self.server_port)};lr>"

    @property
    def witness_route(self) -> str:
        """A loose Route to the witness."""
        return f"<sip:{host_port(self.witness, self.witness_port)};lr>"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a trick changes in the plain probe; "" leaves a part as it is.

    request_uri, to: URIs. from_uri: the URI of From. routes: Route values in order. headers: further header lines.
    to_tag: whether To carries a tag, as if the request belonged to a dialog. via_params: parameters of our Via.
    max_forwards: None for the default, -1 for no such header. contact: the URI of Contact.
    """

    request_uri: str = ""
    to: str = ""
    from_uri: str = ""
    routes: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    to_tag: bool = False
    via_params: str = ";rport"
    max_forwards: int | None = None
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Trick:
    """One way to ask a server to relay. kind: which class of hole it finds; text: for people, what it tries."""

    name: str
    kind: Kind
    text: str
    shape: Callable[[Ends], Shape] = field(repr=False)
    group: Group = "thorough"


def user_at(host: str) -> str:
    """A SIP URI of an ordinary user at a host."""
    return f"sip:100@{host_port(host)}"


def own(ends: Ends, user: str = "", params: str = "", **more: Any) -> Shape:
    """A request to the server itself; user, params (of its Request-URI) or a header leads to the witness."""
    return Shape(request_uri=ends.at_server(user, params), to=ends.at_server(), **more)


def asserted(domain: str) -> str:
    """A header by which trusted proxies tell each other who calls (RFC 3325)."""
    return f"P-Asserted-Identity: <{user_at(domain)}>"


def alias(ends: Ends) -> str:
    """A URI parameter by which Kamailio's nathelper remembers where a request came from; 1 is UDP."""
    return f";alias={host_port(ends.witness)}~{ends.witness_port}~1"


def by_transport(transport: str) -> Callable[[Ends], Shape]:
    """A request for the witness by a transport that the Request-URI names."""
    return lambda ends: Shape(request_uri=ends.at_witness(params=f";transport={transport}"))


_TRICKS: Final = (
    Trick("plain", "plain", "a foreign Request-URI, nothing else", lambda e: Shape(), "standard"),
    Trick(
        "from-address",
        "from",
        "From names the server's own address",
        lambda e: Shape(from_uri=user_at(e.server)),
        "standard",
    ),
    Trick(
        "from-domain",
        "from",
        "From names the server's own domain",
        lambda e: Shape(from_uri=user_at(e.domain)),
        "standard",
    ),
    Trick("to-tag", "in-dialog", "a made-up To tag", lambda e: Shape(to_tag=True), "standard"),
    Trick(
        "to-tag-route",
        "in-dialog",
        "a made-up To tag and a Route through the server",
        lambda e: Shape(to_tag=True, routes=(e.server_route,)),
        "standard",
    ),
    Trick(
        "same-transport",
        "plain",
        "the witness by the transport that the probe came by (not over UDP)",
        lambda e: by_transport(e.transport)(e),
        "standard",
    ),
    Trick("to-server", "plain", "To names the server", lambda e: Shape(to=e.at_server()), "standard"),
    Trick(
        "from-to-server",
        "from",
        "From, To and P-Asserted-Identity name the server's own domain",
        lambda e: Shape(
            from_uri=user_at(e.domain), to=f"sip:{e.token}@{host_port(e.domain)}", headers=(asserted(e.domain),)
        ),
        "standard",
    ),
    Trick("alias", "plain", "alias names the witness", lambda e: own(e, params=alias(e)), "standard"),
    Trick(
        "route",
        "route",
        "a preloaded Route: the server, then the witness",
        lambda e: own(e, routes=(e.server_route, e.witness_route)),
        "standard",
    ),
    Trick("route-server", "route", "a Route through the server", lambda e: Shape(routes=(e.server_route,))),
    Trick("route-witness", "route", "a Route to the witness only", lambda e: own(e, routes=(e.witness_route,))),
    Trick(
        "route-foreign",
        "route",
        "a Route to the witness under a name that does not exist",
        lambda e: Shape(request_uri=f"sip:{e.token}@nowhere.invalid", routes=(e.witness_route,)),
    ),
    Trick(
        "route-strict",
        "route",
        "a strict Route to the witness",
        lambda e: Shape(request_uri=f"sip:{host_port(e.server, e.server_port)}", routes=(f"<{e.at_witness()}>",)),
    ),
    Trick(
        "to-tag-route-witness",
        "in-dialog",
        "a made-up To tag and a Route to the witness",
        lambda e: Shape(request_uri=e.at_server(), to_tag=True, routes=(e.witness_route,)),
    ),
    Trick(
        "to-tag-route-both",
        "in-dialog",
        "a made-up To tag and a Route: the server, then the witness",
        lambda e: Shape(request_uri=e.at_server(), to_tag=True, routes=(e.server_route, e.witness_route)),
    ),
    Trick("from-witness", "plain", "From names the witness", lambda e: Shape(from_uri=user_at(e.witness))),
    Trick("from-anonymous", "plain", "an anonymous From", lambda e: Shape(from_uri="sip:anonymous@anonymous.invalid")),
    Trick(
        "asserted",
        "from",
        "P-Asserted-Identity of the server's domain",
        lambda e: Shape(headers=(asserted(e.domain),)),
    ),
    Trick("number-at-witness", "plain", "digits at the witness", lambda e: Shape(request_uri=e.at_witness(e.number))),
    Trick(
        "user-phone",
        "plain",
        "a global number at the witness, user=phone",
        lambda e: Shape(request_uri=e.at_witness("+" + e.number, ";user=phone")),
    ),
    Trick("tel", "plain", "a tel: URI", lambda e: Shape(request_uri=f"tel:+{e.number}", to=f"tel:+{e.number}")),
    Trick("maddr", "plain", "maddr names the witness", lambda e: own(e, params=f";maddr={host_port(e.witness)}")),
    Trick("received", "plain", "received names the witness", lambda e: own(e, params=f";received={e.witness}")),
    Trick(
        "to-tag-alias",
        "in-dialog",
        "a made-up To tag; alias names the witness",
        lambda e: own(e, params=alias(e), to_tag=True),
    ),
    Trick(
        "user-host",
        "plain",
        "the witness in the user part, as user%40host",
        lambda e: own(e, f"{e.token}%40{host_port(e.witness, e.witness_port)}"),
    ),
    Trick(
        "percent", "plain", "the witness in the user part, as user%25host", lambda e: own(e, f"{e.token}%25{e.witness}")
    ),
    Trick("transport-tcp", "plain", "the witness by TCP", by_transport("tcp")),
    Trick("transport-udp", "plain", "the witness by UDP", by_transport("udp")),
    Trick("transport-tls", "plain", "the witness by TLS", by_transport("tls")),
    Trick("transport-ws", "plain", "the witness by WebSocket", by_transport("ws")),
    Trick("sips", "plain", "a sips: URI at the witness", lambda e: Shape(request_uri="sips" + e.at_witness()[3:])),
    Trick("other-version", "plain", "the witness at its address of the other IP version", lambda e: Shape()),
    Trick(
        "no-user",
        "plain",
        "no user part",
        lambda e: Shape(
            request_uri=f"sip:{host_port(e.witness, e.witness_port)}", to=f"sip:{e.token}@{host_port(e.witness)}"
        ),
    ),
    Trick("no-max-forwards", "plain", "no Max-Forwards", lambda e: Shape(max_forwards=-1)),
    Trick("max-forwards-1", "plain", "Max-Forwards 1", lambda e: Shape(max_forwards=1)),
    Trick(
        "proxy-require",
        "plain",
        "Proxy-Require of something unknown",
        lambda e: Shape(headers=("Proxy-Require: relaytrap-unknown",)),
    ),
    Trick(
        "via-maddr", "plain", "our Via's maddr names the witness", lambda e: own(e, via_params=f";maddr={e.witness}")
    ),
    Trick(
        "via-received",
        "plain",
        "our Via's received names the witness",
        lambda e: own(e, via_params=f";received={e.witness}"),
    ),
    Trick(
        "number",
        "number",
        "a number at the server, as a stranger's call to the telephone network",
        lambda e: Shape(
            request_uri=f"sip:{e.number}@{host_port(e.server, e.server_port)}",
            to=f"sip:{e.number}@{host_port(e.server)}",
        ),
        "asked",
    ),
    Trick(
        "register",
        "registrar",
        "register a random user whose contact is the witness",
        lambda e: Shape(
            request_uri=f"sip:{host_port(e.domain)}",
            to=f"sip:{e.number}@{host_port(e.domain)}",
            from_uri=f"sip:{e.number}@{host_port(e.domain)}",
            contact=e.at_witness(e.number),
        ),
        "asked",
    ),
    Trick(
        "registered",
        "registrar",
        "call the user just registered",
        lambda e: Shape(request_uri=f"sip:{e.number}@{host_port(e.domain)}"),
        "asked",
    ),
)
TRICKS: Final[Mapping[str, Trick]] = {trick.name: trick for trick in _TRICKS}
STANDARD: Final = tuple(name for name, trick in TRICKS.items() if trick.group == "standard")
