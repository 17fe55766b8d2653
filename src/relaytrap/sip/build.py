"""Values to bytes, strictly: what RFC 3261 forbids raises ValueError.

Nothing here invents tags, branches or Call-IDs: chance comes in as arguments. A persona gives its own header order.
Fields of a request that go back in its response are copied as they came, since a peer compares them octet by octet.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from relaytrap.sip.grammar import TOKEN
from relaytrap.sip.message import Request
from relaytrap.sip.params import split_list, split_params
from relaytrap.sip.uri import is_ipv6
from relaytrap.sip.via import read_vias

__all__ = ["DEFAULT_ORDER", "build_message", "build_response"]

Field = tuple[bytes, bytes]

DEFAULT_ORDER: Final = (b"Via", b"Record-Route", b"From", b"To", b"Call-ID", b"CSeq")

# Line ends anywhere; other control characters unless a quoted-pair holds them.
_FORBIDDEN: Final = re.compile(rb"[\r\n]|(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def build_message(first_line: bytes, fields: Iterable[Field], body: bytes = b"") -> bytes:
    """A first line, header fields in the order given, and a body. Content-Length is added last when it is missing.

    Raises ValueError for a name that is no token, a line end or control character in a value, a Content-Length that is
    not the body's.
    """
    lines = [_checked_line(first_line)]
    has_length = False
    for name, value in fields:
        if not TOKEN.fullmatch(name):
            raise ValueError(f"header name {name!r} is no token")
        if name.lower() in (b"content-length", b"l"):
            has_length = True
            if value != b"%d" % len(body):
                raise ValueError(f"Content-Length {value!r} for a body of {len(body)} octets")
        lines.append(name + b": " + _checked_line(value))
    if not has_length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _checked_line(value: bytes) -> bytes:
    if match := _FORBIDDEN.search(value):
        raise ValueError(f"control character {match[0]!r} at octet {match.start()} of {value[:80]!r}")
    return value


def build_response(
    request: Request,
    status: int,
    reason: bytes,
    *,
    headers: Sequence[Field] = (),
    body: bytes = b"",
    to_tag: bytes | None = None,
    received: bytes | None = None,
    rport: int | None = None,
    order: Sequence[bytes] = DEFAULT_ORDER,
) -> bytes:
    """The response to a request: every Via in order, From, To, Call-ID and CSeq copied (section 8.2.6.2).

    headers: what else it carries; all fields are then sorted by `order` (names compared without case; those that it
        does not name follow in the order given), Content-Length last unless it is named.
    to_tag: put on a To that has none; not needed for 100.
    received, rport: the source that our socket saw, for the topmost Via (section 18.2.1, RFC 3581 section 4): received
        is written when it is given; rport only where the request asks for it. What the sender brought along is
        overwritten.
    Record-Route is copied for statuses 101 to 299 (section 12.1.1).
    """
    if not 100 <= status <= 699:
        raise ValueError(f"status {status} is none of SIP's")
    fields = _copied_fields(request, status, to_tag, received, rport)
    fields += headers
    if not any(name.lower() in (b"content-length", b"l") for name, _ in fields):
        fields.append((b"Content-Length", b"%d" % len(body)))
    rank = {name.lower(): place for place, name in enumerate(order)}
    fields.sort(key=lambda field: rank.get(field[0].lower(), len(rank)))
    return build_message(b"SIP/2.0 %d " % status + reason, fields, body)


def _copied_fields(
    request: Request, status: int, to_tag: bytes | None, received: bytes | None, rport: int | None
) -> list[Field]:
    values = [_tame(value) for value in request.headers.get_all(b"via")]
    if received is not None or rport is not None:
        _stamp_top_via(values, received, rport)
    fields = [(b"Via", value) for value in values]
    if 100 < status < 300:
        fields += [(b"Record-Route", _tame(value)) for value in request.headers.get_all(b"record-route")]
    for name in (b"From", b"To", b"Call-ID", b"CSeq"):
        value = request.headers.get(name.lower())
        if value is not None:
            fields.append((name, _tame(value) + _missing_tag(request, name, to_tag)))
    return fields


def _missing_tag(request: Request, name: bytes, to_tag: bytes | None) -> bytes:
    if name != b"To" or to_tag is None or request.to_tag is not None:
        return b""
    if not TOKEN.fullmatch(to_tag):
        raise ValueError(f"tag {to_tag!r} is no token")
    return b";tag=" + to_tag


def _tame(value: bytes) -> bytes:
    """A copied value without control characters: the sender's, who must not write our lines for us."""
    return _FORBIDDEN.sub(b" ", value)


def _stamp_top_via(values: list[bytes], received: bytes | None, rport: int | None) -> None:
    """Let the first hop in Via field values, which is the topmost that can be read, say where the request came from."""
    for place, value in enumerate(values):
        for offset, element in split_list(value):
            if read_vias(element, []):
                stamped = _stamp_hop(element, received, rport)
                values[place] = value[:offset] + stamped + value[offset + len(element) :]
                return


def _stamp_hop(hop: bytes, received: bytes | None, rport: int | None) -> bytes:
    params_at = hop.find(b";") if b";" in hop else len(hop)
    pieces = split_params(hop[params_at:])
    if received is not None:
        pieces = _set_param(pieces, b"received", _checked_address(received))
    if rport is not None and any(name.lower() == b"rport" for name, _ in pieces):
        pieces = _set_param(pieces, b"rport", b"%d" % rport)
    return hop[:params_at] + b"".join([piece for _, piece in pieces])


def _checked_address(address: bytes) -> bytes:
    if not (is_ipv6(address) or re.fullmatch(rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", address)):
        raise ValueError(f"received {address!r} is no address")
    return address


def _set_param(pieces: list[tuple[bytes, bytes]], wanted: bytes, text: bytes) -> list[tuple[bytes, bytes]]:
    """Parameters with one of that name: where the first stood, or behind all others; no other is kept."""
    out, is_set = [], False
    for name, piece in pieces:
        if name.lower() != wanted:
            out.append((name, piece))
        elif not is_set:
            out.append((name, b";" + name + b"=" + text))
            is_set = True
    return out if is_set else [*out, (wanted, b";" + wanted + b"=" + text)]
