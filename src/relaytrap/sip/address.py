"""From, To, Contact, Route: name-addr and addr-spec with header parameters (RFC 3261 sections 20.10, 20.20, 20.39)."""

from typing import Final, NamedTuple

from relaytrap.sip.anomaly import Defect, SipSyntaxError
from relaytrap.sip.grammar import DISPLAY_NAME, PLAIN_ADDRESS, QUOTED_STRING
from relaytrap.sip.params import MAX_VALUES, Params, find_param, read_params, split_list, unquote
from relaytrap.sip.uri import Uri, read_uri

__all__ = ["Address", "parse_address", "read_address", "read_addresses"]


class Address(NamedTuple):
    """A name-addr or addr-spec and what follows it.

    display_name: text without quotes and backslashes; None when there is none.
    params: of the header, (name, value) as written. Without angle brackets every parameter belongs to the header.
    raw: the value as in the unfolded header, without neighbours.
    """

    display_name: bytes | None
    uri: Uri
    params: Params
    raw: bytes

    @property
    def tag(self) -> bytes | None:
        """The tag of a From or To."""
        params = self.params
        if not params:
            return None
        if params[0][0] == b"tag":  # where nearly everybody puts it
            return params[0][1]
        return find_param(params, b"tag")

    def param(self, name: bytes) -> bytes | None:
        """Value of the first header parameter of that lower-case name."""
        return find_param(self.params, name)


def parse_address(value: bytes) -> Address:
    """One address by the letter of the grammar; raises SipSyntaxError at the first octet that breaks it."""
    defects: list[Defect] = []
    address = read_address(value, 0, defects)
    if address is None or defects:
        raise SipSyntaxError(*min(defects, key=lambda defect: defect[1]))
    return address


def read_address(value: bytes, offset: int, defects: list[Defect]) -> Address | None:
    """An address as far as it can be told, with what is wrong noted; `offset` is that of value in its field."""
    match = PLAIN_ADDRESS.fullmatch(value)
    if match is None:
        return _read_odd(value, offset, defects)
    quoted, plain, uri_text, tag = match.groups()
    uri, wrong = read_uri(uri_text)
    if wrong:
        start = offset + match.start(3)
        defects += [(name, start + where) for name, where in wrong]
    if uri is None:
        return None
    name = plain if quoted is None else quoted
    return _new(Address, (name, uri, ((b"tag", tag),) if tag else (), value))


# What Address(...) does, without a call of Python code: every message has some.
_new: Final = tuple.__new__


def read_addresses(value: bytes, defects: list[Defect]) -> tuple[Address, ...]:
    """The addresses of one field value that may list several."""
    if b"," not in value:
        address = read_address(value, 0, defects)
        return (address,) if address else ()
    addresses = []
    elements = split_list(value)
    if len(elements) > MAX_VALUES:
        defects.append(("too-many-values", elements.pop()[0]))
    for offset, element in elements:
        if not element:
            defects.append(("list-gap", offset))
        elif address := read_address(element, offset, defects):
            addresses.append(address)
    return tuple(addresses)


def _read_odd(value: bytes, offset: int, defects: list[Defect]) -> Address | None:
    name, bracket = _read_display_name(value, offset, defects)
    if bracket < 0:
        return _read_addr_spec(name, value, offset, defects)
    end = value.find(b">", bracket)
    if end < 0:
        defects.append(("bracket-open", offset + bracket))
        end = len(value)
    uri = _read_inner(value[bracket + 1 : end], offset + bracket + 1, defects)
    rest = end + 1
    while rest < len(value) and value[rest] in b" \t":
        rest += 1
    if rest < len(value) and value[rest] != 0x3B:
        defects.append(("address", offset + rest))
        rest = value.find(b";", rest)
        rest = len(value) if rest < 0 else rest
    params = read_params(value[rest:], offset + rest, defects)
    return Address(name, uri, params, value) if uri else None


def _read_display_name(value: bytes, offset: int, defects: list[Defect]) -> tuple[bytes | None, int]:
    """The display name and the offset of the "<" behind it; -1 when no angle bracket belongs to the address."""
    if value[:1] == b'"':
        match = QUOTED_STRING.match(value)
        if match is None:
            defects.append(("quote-open", offset))
            return None, value.find(b"<")
        bracket = value.find(b"<", match.end())
        if bracket < 0 or value[match.end() : bracket].strip(b" \t"):
            defects.append(("address", offset + match.end()))
        return unquote(match[0]), bracket
    bracket = value.find(b"<")
    semicolon = value.find(b";")
    if bracket < 0 or (0 <= semicolon < bracket and value[:4].lower() in (b"sip:", b"sips")):
        return None, -1
    name = value[:bracket].rstrip(b" \t")
    match = DISPLAY_NAME.match(name)
    if match and match.end() < len(name):
        defects.append(("display-name-comma" if b"," in name else "display-name", offset + match.end()))
    return name or None, bracket


def _read_addr_spec(name: bytes | None, value: bytes, offset: int, defects: list[Defect]) -> Address | None:
    """addr-spec without angle brackets: it ends where the header's parameters begin (section 20).

    A quoted name before it does not belong there, and was noted.
    """
    match = QUOTED_STRING.match(value) if name is not None else None
    start = match.end() if match else 0
    start += len(value) - start - len(value[start:].lstrip(b" \t"))
    end = value.find(b";", start)
    if end < 0:
        end = len(value)
    text = value[start:end].rstrip(b" \t")
    defects += [("uri-needs-brackets", offset + start + text.index(octet)) for octet in b"?," if octet in text]
    uri = _read_inner(text, offset + start, defects)
    params = read_params(value[end:], offset + end, defects)
    return Address(name, uri, params, value) if uri else None


def _read_inner(text: bytes, offset: int, defects: list[Defect]) -> Uri | None:
    uri, wrong = read_uri(text)
    defects += [(name, offset + where) for name, where in wrong]
    return uri
