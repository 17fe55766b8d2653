"""A probe as bytes, and the ACK, CANCEL and BYE that go the way its INVITE went.

Written line by line, not by the strict builder: a probe names foreign hosts and half-made dialogs on purpose. Its
values are still ours alone; no text of the server's is copied into a request but what RFC 3261 demands of ACK and BYE
(To; Contact and Record-Route of a 2xx), and that is checked for line ends first.
"""

import re
from dataclasses import dataclass, replace

from relaytrap import __version__
from relaytrap.probe.tricks import TRICKS, Ends, Shape
from relaytrap.sip import Response
from relaytrap.sip.uri import host_port

__all__ = ["METHODS", "TOKEN_CHARS", "UNDO_CSEQ", "Probe", "build_follow_up", "build_probe", "find_token"]

METHODS = ("OPTIONS", "INVITE", "REGISTER")
# The CSeq of the REGISTER that takes another back.
UNDO_CSEQ = 2
# A trick can make a server send to itself until the hops run out (seen: until its memory did).
MAX_FORWARDS = 8
TOKEN_CHARS = 12
# A registration that could not be taken back ends by itself after this.
REGISTERED_S = 60
TOKEN = re.compile(rb"(?<![a-z0-9])[a-z][a-z0-9]{11}(?![a-z0-9])")
LINE_BREAKING = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
URI = re.compile(rb"sips?:[!-;=?-~]+")
# Not one of the names that default configurations drop silently, which would read as "unanswered".
USER_AGENT = f"Relaytrap/{__version__} (open-relay self-test)"
TRANSPORT_NAMES = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "ws": "WS", "wss": "WSS"}


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to send: what, how, and between which ends."""

    method: str
    transport: str
    trick: str
    ends: Ends

    @property
    def branch(self) -> str:
        """The branch of our Via: the probe's token behind RFC 3261's cookie."""
        return "z9hG4bK" + self.ends.token

    @property
    def call_id(self) -> str:
        """The Call-ID; answers are matched by it."""
        return f"{self.ends.token}@relaytrap.invalid"

    @property
    def shape(self) -> Shape:
        """The trick's changes, with the plain probe's values where it changes nothing."""
        shape = TRICKS[self.trick].shape(self.ends)
        request_uri = shape.request_uri or self.ends.at_witness()
        return replace(
            shape,
            request_uri=request_uri,
            to=shape.to or request_uri,
            from_uri=shape.from_uri or "sip:probe@relaytrap.invalid",
        )


def build_probe(probe: Probe, *, undo: bool = False) -> bytes:
    """The request as it goes on the wire; undo: the REGISTER that takes a registration back."""
    shape = probe.shape
    ends = probe.ends
    body = _sdp(ends.tester) if probe.method == "INVITE" else ""
    contact = shape.contact or f"sip:probe@{host_port(ends.tester, ends.tester_port)}{_transport_param(probe)}"
    expires = f";expires={0 if undo else REGISTERED_S}" if probe.method == "REGISTER" else ""
    lines = [
        f"{probe.method} {shape.request_uri} SIP/2.0",
        _via(probe, probe.branch + ("undo" if undo else "")),
        *_hops(shape),
        *(f"Route: {route}" for route in shape.routes),
        f"From: <{shape.from_uri}>;tag={ends.token}",
        f"To: <{shape.to}>{';tag=' + ends.token[::-1] if shape.to_tag else ''}",
        f"Call-ID: {probe.call_id}",
        f"CSeq: {UNDO_CSEQ if undo else 1} {probe.method}",
        f"Contact: <{contact}>{expires}",
        *shape.headers,
        f"User-Agent: {USER_AGENT}",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def build_follow_up(probe: Probe, method: str, to: bytes, *, accepted: Response | None = None) -> bytes:
    """ACK, CANCEL or BYE for a probe's INVITE (RFC 3261 sections 17.1.1.3, 13.2.2.4, 9.1, 15.1.1).

    to: the To value of the answer being acknowledged; our own for a CANCEL.
    accepted: the 2xx that took the call; ACK and BYE are then transactions of their own, to its Contact by its
    Record-Route, or a proxy in between would not find who took it. They still go to the server alone.
    """
    shape = probe.shape
    own_branch = probe.branch + (method.lower() if accepted else "")
    request_uri, routes = shape.request_uri, shape.routes
    if accepted:
        request_uri, routes = _dialog_way(accepted, request_uri, routes)
    if not to or LINE_BREAKING.search(to):
        to = f"<{shape.to}>".encode()
    lines = [
        f"{method} {request_uri} SIP/2.0",
        _via(probe, own_branch),
        *_hops(shape),
        *(f"Route: {route}" for route in routes),
        f"From: <{shape.from_uri}>;tag={probe.ends.token}",
        f"To: {to.decode('latin-1')}",
        f"Call-ID: {probe.call_id}",
        f"CSeq: {2 if method == 'BYE' else 1} {method}",
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _dialog_way(accepted: Response, request_uri: str, routes: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Remote target and route set that a 2xx gives (RFC 3261 section 12.1.2); ours where it has none to use."""
    recorded = [address.raw for address in reversed(accepted.record_route)]
    if recorded and not any(LINE_BREAKING.search(route) for route in recorded):
        routes = tuple(route.decode("latin-1") for route in recorded)
    contact = accepted.contacts[0].uri.raw if accepted.contacts else b""
    return (contact.decode("latin-1") if URI.fullmatch(contact) else request_uri), routes


def find_token(request_uri: bytes, from_tag: bytes, call_id: bytes, branch: bytes, to_user: bytes) -> list[bytes]:
    """Candidates for a probe's token in a request that arrived, most trusted place first.

    The Request-URI's user survived every kind of relay in the measurements; a B2BUA makes new tags, Call-IDs and
    branches; strict routing replaces the Request-URI, and then the To user still has it.
    """
    found: list[bytes] = []
    for place in (request_uri, from_tag, call_id, branch.removeprefix(b"z9hG4bK"), to_user):
        found += [token for token in TOKEN.findall(place) if token not in found]
    return found


def _via(probe: Probe, branch: str) -> str:
    ends = probe.ends
    sent_by = f"{ends.token}.invalid" if probe.transport in ("ws", "wss") else host_port(ends.tester, ends.tester_port)
    return f"Via: SIP/2.0/{TRANSPORT_NAMES[probe.transport]} {sent_by};branch={branch}{probe.shape.via_params}"


def _hops(shape: Shape) -> list[str]:
    if shape.max_forwards == -1:
        return []
    return [f"Max-Forwards: {MAX_FORWARDS if shape.max_forwards is None else shape.max_forwards}"]


def _transport_param(probe: Probe) -> str:
    return "" if probe.transport == "udp" else f";transport={probe.transport}"


def _sdp(address: str) -> str:
    family = "IP6" if ":" in address else "IP4"
    # Port 0 and inactive: nobody is to send media anywhere for a probe (RFC 3264 sections 5.1 and 6).
    return (
        f"v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n"
        "m=audio 0 RTP/AVP 0 8\r\na=inactive\r\n"
    )
