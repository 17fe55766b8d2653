"""Via: the path a request took, one value a hop, topmost nearest (RFC 3261 section 20.42, RFC 3581)."""

from typing import Final, Literal, NamedTuple

from relaytrap.kept import Kept
from relaytrap.sip.anomaly import Defect, SipSyntaxError
from relaytrap.sip.grammar import PLAIN_VIA, SENT_PROTOCOL
from relaytrap.sip.params import MAX_VALUES, Params, find_param, plain_params, read_params, split_list
from relaytrap.sip.uri import read_host_port

__all__ = ["COOKIE", "Via", "parse_via", "read_vias"]

COOKIE: Final = b"z9hG4bK"


class Via(NamedTuple):
    """One hop, as its own writer described it.

    protocol: b"SIP/2.0", blanks around the slash removed; transport as written.
    sent_by_host: without the brackets of an IPv6 reference; b"" when it was missing.
    params: (name, value) as written; a quoted value keeps its quotes.
    raw: the value as in the unfolded header, without neighbours.
    """

    protocol: bytes
    transport: bytes
    sent_by_host: bytes
    sent_by_port: int | None
    params: Params
    raw: bytes

    @property
    def branch(self) -> bytes | None:
        """The branch parameter; its part behind the cookie is the transaction's name (section 17.2.3)."""
        params = self.params
        if params and params[0][0] == b"branch":  # where nearly everybody puts it
            return params[0][1]
        return find_param(params, b"branch")

    @property
    def received(self) -> bytes | None:
        """The address that the next hop saw, without the brackets that some put around IPv6 (RFC 5118 section 4.5)."""
        value = find_param(self.params, b"received")
        return value[1:-1] if value and value[:1] == b"[" and value[-1:] == b"]" else value

    @property
    def rport(self) -> int | Literal[True] | None:
        """True: asked for (bare `rport`); a number: the port that the next hop saw; None: absent or no port."""
        for name, value in self.params:
            if name == b"rport" or name.lower() == b"rport":
                if value is None:
                    return True
                return int(value) if value.isdigit() and len(value) <= 5 and int(value) <= 65535 else None
        return None

    def param(self, name: bytes) -> bytes | None:
        """Value of the first parameter of that lower-case name."""
        return find_param(self.params, name)


def parse_via(value: bytes) -> tuple[Via, ...]:
    """Hops of one Via field value, topmost first (RFC 3261 section 20.42).

    value: unfolded, without the trailing CRLF; may hold several comma-separated hops.
    Raises SipSyntaxError with the byte offset of the first octet that fits no rule.
    """
    defects: list[Defect] = []
    vias = read_vias(value, defects)
    if defects:
        raise SipSyntaxError(*min(defects, key=lambda defect: defect[1]))
    return vias


def read_vias(value: bytes, defects: list[Defect]) -> tuple[Via, ...]:
    """Hops of one Via field value as far as they can be told, with what is wrong noted; never raises."""
    if b"," not in value:
        via = _read_hop(value, 0, defects)
        return (via,) if via else ()
    vias = []
    elements = split_list(value)
    if len(elements) > MAX_VALUES:
        defects.append(("too-many-values", elements.pop()[0]))
    for offset, element in elements:
        if not element:
            defects.append(("list-gap", offset))
        elif via := _read_hop(element, offset, defects):
            vias.append(via)
    return tuple(vias)


def _read_hop(value: bytes, offset: int, defects: list[Defect]) -> Via | None:
    match = PLAIN_VIA.fullmatch(value)
    if match is None:
        return _read_odd_hop(value, offset, defects)
    transport, host, digits, branch, tail = match.groups()
    port = int(digits) if digits else None
    if port is not None and port > 65535:
        return _read_odd_hop(value, offset, defects)
    params, names = _read_tail(tail)
    if len(names) != len(params) or (branch and b"branch" in names):
        return _read_odd_hop(value, offset, defects)
    if branch:
        params = ((b"branch", branch), *params)
    # What Via(...) does, without a call of Python code: every message has one.
    return tuple.__new__(Via, (b"SIP/2.0", transport, host, port, params, value))


def _names_of(tail: bytes) -> tuple[Params, frozenset[bytes]]:
    params = plain_params(tail)
    return params, frozenset(name.lower() for name, _ in params)


_read_tail: Final = Kept(_names_of).__getitem__
"""Plain parameters with their names in lower case, fewer than there are parameters when one stands twice."""


def _read_odd_hop(value: bytes, offset: int, defects: list[Defect]) -> Via | None:
    match = SENT_PROTOCOL.match(value)
    if match is None:
        defects.append(("via", offset))
        return None
    protocol = match[1] + b"/" + match[2]
    if protocol.upper() != b"SIP/2.0":
        defects.append(("via-version", offset))
    end = value.find(b";", match.end())
    if end < 0:
        end = len(value)
    wrong: list[Defect] = []
    host, port = read_host_port(value[match.end() : end], offset + match.end(), wrong)
    defects += [("via-sent-by" if name == "no-host" else name, where) for name, where in wrong]
    params = read_params(value[end:], offset + end, defects)
    return Via(protocol, match[3], host, port, params, value)
