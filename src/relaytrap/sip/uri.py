"""SIP, SIPS and tel URIs, and as much of any other as can be told (RFC 3261 section 19.1, RFC 3966)."""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple

from relaytrap.kept import Kept
from relaytrap.sip.anomaly import Defect, SipSyntaxError
from relaytrap.sip.grammar import ESCAPE, HEADER_CHARS, HOST, PARAM_CHARS, PASSWORD, PLAIN_URI, SCHEME, TEL_NUMBER, USER
from relaytrap.sip.params import MAX_PARAMS, Params, find_param, plain_params

__all__ = ["Uri", "host_port", "is_ipv6", "parse_uri", "read_host_port", "read_uri", "unescape"]


class Uri(NamedTuple):
    """A URI taken apart; every part as written, escapes included.

    scheme: lower case; empty when there was none ("100@192.0.2.1" in a From of a broken tool).
    user, password: None when absent. Of a tel URI, `user` is the number. Of an unknown scheme nothing is told apart.
    host: without the brackets of an IPv6 reference; empty when there is none.
    params: ((b"transport", b"udp"), (b"lr", None), ...) in order.
    headers: the part behind "?", ((b"Route", b"%3Csip:..."), ...).
    """

    scheme: bytes
    user: bytes | None
    password: bytes | None
    host: bytes
    port: int | None
    params: Params
    headers: tuple[tuple[bytes, bytes], ...]
    raw: bytes

    @property
    def user_text(self) -> bytes | None:
        """The user part with its escapes resolved, once (RFC 4475 section 3.1.1.3: never recursively)."""
        return self.user if self.user is None or b"%" not in self.user else unescape(self.user)

    def param(self, name: bytes) -> bytes | None:
        """Value of the first URI parameter of that lower-case name."""
        return find_param(self.params, name)


def parse_uri(value: bytes) -> Uri:
    """A URI by the letter of the grammar; raises SipSyntaxError at the first octet that breaks it."""
    uri, defects = read_uri(value)
    if uri is None or defects:
        name, offset = min(defects, key=lambda defect: defect[1]) if defects else ("uri", 0)
        raise SipSyntaxError(name, offset)
    return uri


def unescape(value: bytes) -> bytes:
    """Each %HH as its octet; a percent sign without two hex digits stays."""
    return ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), value)


def _read(value: bytes) -> tuple[Uri | None, tuple[Defect, ...]]:
    match = PLAIN_URI.fullmatch(value)
    if match is None:
        return _read_odd(value)
    scheme, user, host, digits, params = match.groups()
    port = int(digits) if digits else None
    if port is not None and port > 65535:
        return _read_odd(value)
    pairs = plain_params(params) if params else ()
    return _new(Uri, (scheme, user, None, host, port, pairs, (), value)), ()


read_uri: Final = Kept(_read, longest=128).__getitem__
"""What can be told of a URI, with what is wrong about it; never raises.

A request mostly names one URI twice or three times, and a scanner the same ones in every request.
"""
# What Uri(...) does, without a call of Python code: every message has some.
_new: Final = tuple.__new__


def _read_odd(value: bytes) -> tuple[Uri | None, tuple[Defect, ...]]:
    defects: list[Defect] = []
    text = value.strip(b" \t")
    if text != value:
        defects.append(("uri-blanks", 0 if value[:1] in b" \t" else len(text)))
    offset = len(value) - len(value.lstrip(b" \t"))
    match = SCHEME.match(text)
    scheme = match[1].lower() if match else b""
    rest = match.end() if match else 0
    if scheme in (b"sip", b"sips") or (not scheme and b"@" in text):
        if not scheme:
            defects.append(("uri", offset))
        uri = _read_sip(scheme, text, rest, offset, defects)
    elif scheme == b"tel":
        uri = _read_tel(text, rest, offset, defects)
    elif scheme:
        uri = Uri(scheme, None, None, b"", None, (), (), value)
        if blank := re.search(rb"[\x00-\x20\x7f<>\"]", text):
            defects.append(("uri", offset + blank.start()))
    else:
        return None, (*defects, ("uri", offset))
    return uri._replace(raw=value), tuple(defects)


def _read_sip(scheme: bytes, text: bytes, start: int, offset: int, defects: list[Defect]) -> Uri:
    """sip:[user[:password]@]host[:port];params?headers, from `start` in text; `offset` is added to what is noted."""
    if blank := _BLANK.search(text):
        defects.append(("uri-blanks", offset + blank.start()))
    user = password = None
    host_start = _behind_userinfo(text, start)
    if host_start > start:
        user, password = _read_userinfo(text, start, host_start - 1, offset, defects)
    host_end = _first_of(b";?", text, host_start)
    host, port = read_host_port(text[host_start:host_end], offset + host_start, defects)
    params_end = text.find(b"?", host_end)
    if params_end < 0:
        params_end = len(text)
    params = _read_uri_params(text[host_end:params_end], offset + host_end, defects)
    headers = _read_uri_headers(text[params_end:], offset + params_end + 1, defects)
    return Uri(scheme, user, password, host, port, params, headers, text)


_BLANK: Final = re.compile(rb"[ \t]")


def _behind_userinfo(text: bytes, start: int) -> int:
    """Offset behind the "@" that ends the user part; `start` when there is none.

    A second "@" before parameters begin belongs to a user part that should have escaped the first.
    """
    at = text.find(b"@", start)
    if at < 0:
        return start
    last = text.rfind(b"@", at, _first_of(b";?", text, at))
    return last + 1


def _first_of(octets: bytes, text: bytes, start: int) -> int:
    """Offset of the first of some octets at or behind start; the length of text when there is none."""
    return min((found for octet in octets if (found := text.find(octet, start)) >= 0), default=len(text))


def _read_userinfo(text: bytes, start: int, end: int, offset: int, defects: list[Defect]) -> tuple[bytes, bytes | None]:
    user, colon, password = text[start:end].partition(b":")
    _check(USER, user, "uri-user", offset + start, defects)
    if colon:
        _check(PASSWORD, password, "uri-user", offset + start + len(user) + 1, defects)
    return user, password if colon else None


def _check(rule: re.Pattern[bytes], value: bytes, name: str, offset: int, defects: list[Defect]) -> None:
    """Notes the first octet of a value that a rule does not take."""
    match = rule.match(value)
    end = match.end() if match else 0
    if end < len(value) or match is None:
        defects.append(("uri-escape" if value[end : end + 1] == b"%" else name, offset + end))


def _read_uri_params(text: bytes, offset: int, defects: list[Defect]) -> Params:
    if not text:
        return ()
    pieces: list[tuple[bytes, bytes | None]] = []
    position = offset + 1
    for piece in _split(text[1:], b";", position, defects):
        name, equals, value = piece.partition(b"=")
        _check(PARAM_CHARS, name, "uri-param", position, defects)
        if equals:
            _check(PARAM_CHARS, value, "uri-param", position + len(name) + 1, defects)
        pieces.append((name, value if equals else None))
        position += len(piece) + 1
    return tuple(pieces)


def _read_uri_headers(text: bytes, offset: int, defects: list[Defect]) -> tuple[tuple[bytes, bytes], ...]:
    if not text:
        return ()
    pieces = []
    for piece in _split(text[1:], b"&", offset, defects):
        name, equals, value = piece.partition(b"=")
        if not (name and equals):
            defects.append(("uri-headers", offset))
        _check(HEADER_CHARS, name, "uri-headers", offset, defects)
        _check(HEADER_CHARS, value, "uri-headers", offset + len(name) + 1, defects)
        if piece:
            pieces.append((name, value))
        offset += len(piece) + 1
    return tuple(pieces)


def _split(text: bytes, mark: bytes, offset: int, defects: list[Defect]) -> list[bytes]:
    """The pieces that are read of a URI's parameters or headers; that there are more is noted."""
    pieces = text.split(mark, MAX_PARAMS)
    if len(pieces) > MAX_PARAMS:
        defects.append(("too-many-values", offset + len(text) - len(pieces.pop())))
    return pieces


def _read_tel(text: bytes, start: int, offset: int, defects: list[Defect]) -> Uri:
    """tel:number;params (RFC 3966 section 3)."""
    end = _first_of(b";", text, start)
    number = text[start:end]
    if not TEL_NUMBER.fullmatch(number):
        defects.append(("uri", offset + start))
    params = _read_uri_params(text[end:], offset + end, defects)
    return Uri(b"tel", number, None, b"", None, params, (), text)


def read_host_port(text: bytes, offset: int, defects: list[Defect]) -> tuple[bytes, int | None]:
    """hostport = host [ ":" port ], blanks around the colon allowed; host without IPv6 brackets."""
    text, before = text.rstrip(b" \t"), len(text) - len(text.lstrip(b" \t"))
    text, offset = text[before:], offset + before
    if text[:1] == b"[":
        return _read_ipv6_reference(text, offset, defects)
    host, colon, port = text.partition(b":")
    if b":" in port and (is_ipv6(text) or not HOST.fullmatch(host.rstrip(b" \t"))):
        defects.append(("ipv6-bare" if is_ipv6(text.removesuffix(b"]")) else "host", offset))
        return text, None
    host = host.rstrip(b" \t")
    if not host:
        defects.append(("no-host", offset))
    elif not HOST.fullmatch(host):
        defects.append(("host", offset))
    return host, _read_port(port, offset + len(host) + 1, defects) if colon else None


def _read_ipv6_reference(text: bytes, offset: int, defects: list[Defect]) -> tuple[bytes, int | None]:
    host, bracket, rest = text[1:].partition(b"]")
    rest = rest.lstrip(b" \t")
    if not bracket:
        defects.append(("ipv6-bare" if is_ipv6(host) else "host", offset))
    elif not is_ipv6(host):
        three = b":::" in host and is_ipv6(host.replace(b":::", b"::"))
        defects.append(("ipv6-three-colons" if three else "host", offset))
    if rest and rest[:1] != b":":
        defects.append(("host", offset + len(text) - len(rest)))
        return host, None
    return host, _read_port(rest[1:], offset + len(text) - len(rest) + 1, defects) if rest else None


def _read_port(text: bytes, offset: int, defects: list[Defect]) -> int | None:
    digits = text.strip(b" \t")
    if digits.isdigit() and len(digits) <= 10 and (port := int(digits)) <= 65535:
        return port
    defects.append(("port", offset))
    return None


def _is_ipv6(text: bytes) -> bool:
    if len(text) > 45 or b"%" in text:
        return False
    try:
        IPv6Address(text.decode("ascii"))
    except (AddressValueError, UnicodeDecodeError):
        return False
    return True


is_ipv6: Final = Kept(_is_ipv6, most=1024, longest=45).__getitem__
"""Whether text is an IPv6 address without brackets and zone."""


def host_port(host: str, port: int | None = None) -> str:
    """A host and its port as text, as a URI has them: IPv6 in brackets (RFC 3261 section 25.1)."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"
