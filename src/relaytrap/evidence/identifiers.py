"""What identifiers give away: addresses, numbers, extensions and passwords written into Call-IDs, branches and tags.

A scanner that sends a million requests must recognise a million answers, so it writes what it needs into the fields
that an answer repeats. Decoding them tells whom the scanner aimed at, which need not be us, and where it thinks it is.

Random characters hold anything if one looks long enough. So an address counts only when a grammar says that one stands
there (SIPVicious), when it is written with its dots, or when it is an address we know already: the source, our own, or
one that the headers name. Everything else is at most a "possible address".
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import Final, NamedTuple

from relaytrap.evidence.address_forms import find_address_forms, plain_forms
from relaytrap.observation import Observation
from relaytrap.sip import Message, Request
from relaytrap.sip.text import display

__all__ = ["Decoded", "decode_identifiers"]

FIELD_MAX: Final = 512
"""Octets of one field that are looked at; identifiers are short, and hostile ones shall not cost more."""

NUMBER_MIN: Final = 7
VIAS_MAX: Final = 4
HOST_MAX: Final = 45  # an IPv6 address with an IPv4 one at its end
HOST_MIN: Final = 6
"""Shorter IPv6 addresses ("::1") stand anywhere by accident; IPv4 with its dots has seven octets at least."""


class Decoded(NamedTuple):
    """Something found in an identifier.

    field: "Call-ID", "branch" (of the lowest Via), "From tag", "To tag", "From user", "Contact user".
    encoding: how it was written ("undotted", "hex", "SIPVicious", "base64" …).
    kind: "target address" (whom a scanner aimed at), "target" (the extension it tried), "credentials" (user:password),
        "address", "possible address", "number" (the dialled one), "hash", "text", "constant" (decoded, and no address).
    value: as text. quote: the bytes it was read from; offset: where they start in the raw message, -1 when folding or
        decoding hides the place. is_source, is_local: the address is the packet's source, or our own.
    """

    field: str
    encoding: str
    kind: str
    value: str
    quote: bytes
    offset: int
    note: str
    is_source: bool
    is_local: bool


Field = tuple[str, bytes]
"""A field's name as shown, and its value."""


def decode_identifiers(message: Message, observation: Observation) -> tuple[Decoded, ...]:
    """Everything found in a request's identifiers, each place once; () when they hold nothing that can be read."""
    if not isinstance(message, Request):
        return ()
    fields = _fields(message)
    if not fields:
        return ()
    found: list[Decoded] = []
    decoder = _Decoder(message, observation, fields, found)
    decoder.decode_sipvicious()
    decoder.decode_addresses()
    decoder.decode_number()
    decoder.decode_call_id()
    if not found:
        decoder.guess_from_user()
    return tuple(found)


def _fields(message: Request) -> list[Field]:
    vias, sender, contacts = message.vias, message.from_address, message.contacts
    fields: list[Field] = []
    if value := message.call_id:
        fields.append(("Call-ID", value[:FIELD_MAX]))
    if vias and (value := vias[-1].branch):
        fields.append(("branch", value[:FIELD_MAX]))
    if value := message.from_tag:
        fields.append(("From tag", value[:FIELD_MAX]))
    if sender and (value := sender.uri.user):
        fields.append(("From user", value[:FIELD_MAX]))
    if value := message.to_tag:
        fields.append(("To tag", value[:FIELD_MAX]))
    if contacts and (value := contacts[0].uri.user):
        fields.append(("Contact user", value[:FIELD_MAX]))
    return fields


# Twelve characters of an address and a port in hex, or anything else; 0x01; a random decimal number. All of it in hex.
SIPVICIOUS: Final = re.compile(rb"((?:[2-7][0-9a-f])+?)01((?:3[0-9]){1,10})\Z")
SVMAP_TARGET: Final = re.compile(rb"([0-9a-f]{8})([0-9a-f]{4})\Z")
SVCRACK_FIRST: Final = b"3206210844"

DOTTED: Final = re.compile(rb"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")
BASE64: Final = re.compile(rb"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])([A-Za-z0-9+/_-]{15,172})[=.]{0,2}\Z")
EIGHT_DIGITS: Final = re.compile(rb"[0-9]{8}")
HEX_OF: Final = {b"%d" % octet: b"%02x" % octet for octet in range(256)}
PADDED_OF: Final = {b"%d" % octet: b"%03d" % octet for octet in range(256)}
MD5_TEXT: Final = re.compile(rb"[0-9a-fA-F]{32}\Z")


HEADER_OF: Final = {
    "Call-ID": b"call-id",
    "branch": b"via",
    "From tag": b"from",
    "To tag": b"to",
    "From user": b"from",
    "Contact user": b"contact",
}


class _Decoder:
    """One message at work; what is found goes into `found`."""

    def __init__(self, message: Request, observation: Observation, fields: list[Field], found: list[Decoded]) -> None:
        self.message = message
        self.source = observation.source
        self.local = observation.local
        self.fields = fields
        self.found = found
        # One search over all fields tells whether a form occurs at all; nearly always it does not.
        self.text = b"\n".join([value for _, value in fields])

    def add(self, field: Field, encoding: str, kind: str, value: str, quote: bytes, note: str = "") -> None:
        """Notes one finding, unless the same bytes, or bytes around them, already told the same."""
        for one in self.found:
            if (
                one.field == field[0]
                and quote in one.quote
                and (one.value == value or one.value.startswith(f"{value}:"))
            ):
                return
        address = value.partition(":")[0] if kind == "target address" else value
        is_address = kind.endswith("address")
        is_source, is_local = is_address and address == self.source, is_address and address == self.local
        offset = self._offset(field, quote)
        # What Decoded(...) does, without a call of Python code: nearly every message has one.
        made = (field[0], encoding, kind, value, quote, offset, note, is_source, is_local)
        self.found.append(tuple.__new__(Decoded, made))

    def _offset(self, field: Field, quote: bytes) -> int:
        raw = self.message.raw
        start = raw.find(field[1])
        if start >= 0 and raw.find(field[1], start + 1) >= 0:
            line = self.message.headers.line(HEADER_OF[field[0]], 0)
            start = raw.find(field[1], line.offset) if line is not None else -1
        return raw.find(quote, start) if start >= 0 else -1

    # --- SIPVicious ------------------------------------------------------------------------------------------------

    def decode_sipvicious(self) -> None:
        """svmap's target, svwar's extension, svcrack's user and password in the From tag."""
        for field in self.fields:
            if field[0] != "From tag":
                continue
            if field[1] == SVCRACK_FIRST:
                note = "svcrack sends this tag in every first request: no address"
                self.add(field, "SIPVicious", "constant", "svcrack", field[1], note)
            elif b"013" in field[1] and (match := SIPVICIOUS.match(field[1])) is not None:
                self._add_sipvicious(field, bytes.fromhex(match[1].decode("ascii")))

    def _add_sipvicious(self, field: Field, text: bytes) -> None:
        if target := SVMAP_TARGET.match(text):
            address = ".".join(map(str, bytes.fromhex(target[1].decode("ascii"))))
            value = f"{address}:{int(target[2], 16)}"
            note = (
                "whom svmap aimed at" if address == self.local else "whom svmap aimed at, and not this sensor's address"
            )
            self.add(field, "SIPVicious", "target address", value, field[1], note)
        elif b":" in text:
            self.add(field, "SIPVicious", "credentials", display(text), field[1], "user and password svcrack tries")
        else:
            self.add(field, "SIPVicious", "target", display(text), field[1], "the extension svwar tries")

    # --- addresses ---------------------------------------------------------------------------------------------------

    def decode_addresses(self) -> None:
        """Known addresses in any form, and any address with its dots."""
        text = self.text
        dots = text.count(b".")
        known = self._known()
        has_digits = EIGHT_DIGITS.search(text) is not None
        elaborate = self._is_elaborate()
        for host in known:
            if b":" in host:
                elaborate = True
            if host in text and len(host) >= HOST_MIN:
                self._add_form("text" if b":" in host else "dotted", host, host)
                dots -= host.count(b".")
            if _may_stand_in(text, host, has_digits):
                for encoding, form in plain_forms(host):
                    if form in text:
                        self._add_form(encoding, form, host)
        if dots >= 3 or elaborate:
            for host in known:
                for each in find_address_forms(host.decode("ascii")):
                    if each.sure and each.text in text:
                        self._add_form(each.encoding, each.text, host)
        if dots >= 3:
            self._add_dotted(known)

    def _known(self) -> list[bytes]:
        """Addresses that the packet or the headers name, the packet's first."""
        message = self.message
        hosts = {self.source.encode("ascii", "replace"): None, self.local.encode("ascii", "replace"): None}
        for via in message.vias[:VIAS_MAX]:
            hosts[via.sent_by_host] = None
            if len(via.params) > 1 and (received := via.received):
                hosts[received] = None
        if contacts := message.contacts:
            hosts[contacts[0].uri.host] = None
        if uri := message.uri:
            hosts[uri.host] = None
        # A cheap look that keeps names, and hosts of any length that somebody makes up, away from the caches.
        return [
            host for host in hosts if len(host) <= HOST_MAX and (host[:1].isdigit() or b":" in host) and host.isascii()
        ]

    def _is_elaborate(self) -> bool:
        """Whether capitals, hyphens, escapes or hex of text make the rarer forms worth looking for."""
        text = self.text.replace(b"z9hG4bK", b"")
        return text != text.lower() or b"%" in text or b"2e3" in text or text.count(b"-") > 2 or text.count(b"_") > 2

    def _add_form(self, encoding: str, text: bytes, host: bytes) -> None:
        address = host.decode("ascii")
        note = self._whose(address)
        for field in self.fields:
            if text in field[1]:
                self.add(field, encoding, "address", address, text, note)

    def _add_dotted(self, known: list[bytes]) -> None:
        for match in DOTTED.finditer(self.text):
            if match[0] not in known and all(int(part) < 256 for part in match[0].split(b".")):
                for field in self.fields:
                    if match[0] in field[1]:
                        self.add(field, "dotted", "address", match[0].decode("ascii"), match[0], "named nowhere else")

    def _whose(self, address: str) -> str:
        if address == self.source:
            return "the packet's source"
        return "this sensor's own" if address == self.local else "also named in the headers"

    # --- the rest ----------------------------------------------------------------------------------------------------

    def decode_number(self) -> None:
        """The dialled number inside Call-ID, branch or tags."""
        uri = self.message.uri
        number = uri.user if uri is not None else None
        if number is None or len(number) < NUMBER_MIN or not number[:3].isdigit() or number not in self.text:
            return
        for field in self.fields:
            if field[0] in ("Call-ID", "branch", "From tag") and number in field[1]:
                self.add(field, "plain", "number", display(number), number, "the dialled number")

    def decode_call_id(self) -> None:
        """What a Call-ID decodes to when it is no address: the point is to have looked, and to say so."""
        field = self.fields[0]
        if field[0] != "Call-ID":
            return
        if field[1] == b"50000":
            self.add(field, "plain", "constant", "nmap", field[1], "nmap sends 50000 to everybody: no address")
            return
        token = field[1].partition(b"@")[0]
        if not token.islower() and (match := BASE64.match(token)) is not None:
            self._add_base64(field, token, match[1])

    def _add_base64(self, field: Field, token: bytes, text: bytes) -> None:
        try:
            decoded = b64decode(text + b"=" * (-len(text) % 4), b"-_" if b"-" in text or b"_" in text else None)
        except NotBase64:
            return
        if MD5_TEXT.match(decoded):
            note = "decodes to an MD5 as text: no address"
            self.add(field, "base64", "hash", decoded.decode("ascii"), token, note)
        elif len(decoded) == 16 and token.endswith(b".."):
            self.add(field, "base64", "hash", decoded.hex(), token, "decodes to 16 bytes, an MD5: no address")
        elif len(decoded) >= 10 and decoded.isascii() and decoded.decode("ascii").isprintable():
            self._add_text(field, token, decoded)

    def _add_text(self, field: Field, token: bytes, decoded: bytes) -> None:
        for match in DOTTED.finditer(decoded):
            address = match[0].decode("ascii")
            if all(int(part) < 256 for part in address.split(".")):
                self.add(field, "base64 of text", "address", address, token, self._whose(address))
                return
        self.add(field, "base64", "text", decoded.decode("ascii"), token, "decodes to text without an address")

    def guess_from_user(self) -> None:
        """An address without dots behind the prefix that the dialled number carries as well, if it can be only one.

        The three-integer tool dials 14500+number and calls itself 14500+target. In a published message the target's
        address is masked in the headers and stands in clear here.
        """
        uri = self.message.uri
        dialled = uri.user if uri is not None else None
        field = next((field for field in self.fields if field[0] == "From user"), None)
        if field is None or not dialled or not field[1].isdigit() or not dialled.isdigit() or field[1] == dialled:
            return
        shared = _shared_prefix(field[1], dialled)
        if shared < 3:
            return
        readings = {address for start in range(3, shared + 1) for address in _splits(field[1][start:])}
        if len(readings) == 1:
            address = readings.pop()
            note = "digits behind the prefix of the dialled number, read as an address: unconfirmed"
            self.add(field, "undotted", "possible address", address, field[1], note)


def _may_stand_in(text: bytes, host: bytes, has_digits: bool) -> bool:
    """Whether one of plain_forms(host) may stand in text; making and keeping the forms themselves costs ten times more.

    has_digits: eight of them stand side by side in text.
    """
    try:
        first, second, third, fourth = host.split(b".")
        a, b = HEX_OF[first], HEX_OF[second]
    except ValueError:  # no four parts
        return False
    except KeyError:  # zeros in front, or no address: plain_forms tells
        return True
    # Either hex form holds the first two octets side by side.
    if a + b in text or b + a in text:
        return True
    if not has_digits:
        return False
    if host.replace(b".", b"") in text or PADDED_OF[first] + PADDED_OF[second] in text:
        return True
    try:
        c, d = HEX_OF[third], HEX_OF[fourth]
    except KeyError:
        return True
    return b"%d" % int(a + b + c + d, 16) in text or b"%d" % int(d + c + b + a, 16) in text


def _shared_prefix(one: bytes, other: bytes) -> int:
    length = 0
    while length < min(len(one), len(other), 8) and one[length] == other[length]:
        length += 1
    return length


def _splits(digits: bytes) -> Iterator[str]:
    """Every public unicast IPv4 address that these digits are without dots, if they are enough to mean anything."""
    if not 9 <= len(digits) <= 12:
        return
    for a in (1, 2, 3):
        for b in (1, 2, 3):
            for c in (1, 2, 3):
                parts = digits[:a], digits[a : a + b], digits[a + b : a + b + c], digits[a + b + c :]
                if all(part == b"%d" % int(part) and int(part) < 256 for part in parts if part) and parts[3]:
                    first = int(parts[0])
                    if 0 < first < 224 and first not in (10, 127) and len(parts[3]) <= 3:
                        yield ".".join(part.decode("ascii") for part in parts)
