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
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from relaytrap.evidence.address_forms import find_address_forms, plain_forms
from relaytrap.kept import Kept
from relaytrap.observation import Observation
from relaytrap.sip import Message, Request
from relaytrap.sip.text import display
from relaytrap.sip.via import COOKIE

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

FIELDS: Final = ("Call-ID", "branch", "From tag", "From user", "To tag", "Contact user")


def decode_identifiers(message: Message, observation: Observation) -> tuple[Decoded, ...]:
    """Everything found in a request's identifiers, each place once; () when they hold nothing that can be read."""
    if not isinstance(message, Request):
        return ()
    decoder = _Decoder(message, observation)
    decoder.decode_sipvicious()
    decoder.decode_addresses()
    decoder.decode_number()
    decoder.decode_call_id()
    if not decoder.found:
        decoder.guess_from_user()
    return tuple(decoder.found)


def _values(message: Request) -> tuple[bytes, ...]:
    """What stands in each of FIELDS; b"" for what is absent."""
    vias, sender, contacts = message.vias, message.from_address, message.contacts
    return (
        message.call_id or b"",
        vias[-1].branch or b"" if vias else b"",
        message.from_tag or b"",
        sender.uri.user or b"" if sender else b"",
        message.to_tag or b"",
        contacts[0].uri.user or b"" if contacts else b"",
    )


# Twelve characters of an address and a port in hex, or anything else; 0x01; a random decimal number. All of it in hex.
SIPVICIOUS: Final = re.compile(rb"((?:[2-7][0-9a-f])+?)01((?:3[0-9]){1,10})\Z")
SVMAP_TARGET: Final = re.compile(rb"([0-9a-f]{8})([0-9a-f]{4})\Z")
SVCRACK_FIRST: Final = b"3206210844"

DOTTED: Final = re.compile(rb"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")
BASE64: Final = re.compile(rb"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])([A-Za-z0-9+/_-]{15,172})[=.]{0,2}\Z")
EIGHT_DIGITS: Final = b"0" * 8
MD5_TEXT: Final = re.compile(rb"[0-9a-fA-F]{32}\Z")


BARE_RPORT: Final = ((b"rport", None),)
"""Behind its branch, nearly every sender's own Via has this and nothing else."""

HEADER_OF: Final = {
    "Call-ID": b"call-id",
    "branch": b"via",
    "From tag": b"from",
    "To tag": b"to",
    "From user": b"from",
    "Contact user": b"contact",
}


Host = tuple[str, str, str]
"""A host at its cheapest: (address, forward, backward), what stands in a text before any plain form but digits does.

address: as text; "" for a name, which is not looked for. forward, backward: the first two octets of an IPv4 address in
hex and the same turned round, one of which is part of either hex form; both "" where only plain_forms can tell, for
"" is in every text.
"""


def _host_of(host: bytes) -> Host:
    # A cheap look that keeps names, and hosts of any length that somebody makes up, away from the costlier ones.
    if len(host) > HOST_MAX or not (host[:1].isdigit() or b":" in host) or not host.isascii():
        return NAME
    address = host.decode("ascii")
    parts = address.split(".")
    if len(parts) == 4 and (a := HEX_OF.get(parts[0])) and (b := HEX_OF.get(parts[1])):
        return address, a + b, b + a
    return address, "", ""


NAME: Final = ("", "", "")
HEX_OF: Final = {str(octet): f"{octet:02x}" for octet in range(256)}


def _digits_of(host: bytes) -> tuple[str, ...]:
    """The plain forms that are digits only, eight at least; the dotted one, too, when the host is written otherwise."""
    return tuple([form for encoding, form in plain_forms(host) if "hex" not in encoding and form.encode() != host])


AS_DIGITS: Final = bytes(0x30 if chr(octet) in "0123456789" else 0x20 for octet in range(256))


KEPT_MAX: Final = 1 << 12
HOSTS: Final = Kept(_host_of, most=KEPT_MAX, longest=HOST_MAX)
DIGITS: Final = Kept(_digits_of, most=KEPT_MAX, longest=HOST_MAX)


class _Decoder:
    """One message at work; what is found goes into `found`."""

    __slots__ = ("found", "joined", "local", "message", "source", "text", "values")

    def __init__(self, message: Request, observation: Observation) -> None:
        self.message = message
        self.source = observation.source
        self.local = observation.local
        self.found: list[Decoded] = []
        self.values = _values(message)
        # One search over all fields tells whether a form occurs at all; nearly always it does not.
        self.joined = b"\n".join(self.values)
        if len(self.joined) > FIELD_MAX:
            self.values = tuple([value[:FIELD_MAX] for value in self.values])
            self.joined = b"\n".join(self.values)
        # As str, in which a search takes a third of the time; each octet is one character.
        self.text = self.joined.decode("latin-1")

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
        tag = self.values[2]
        if tag == SVCRACK_FIRST:
            note = "svcrack sends this tag in every first request: no address"
            self.add(("From tag", tag), "SIPVicious", "constant", "svcrack", tag, note)
        elif b"013" in tag and (match := SIPVICIOUS.match(tag)) is not None:
            self._add_sipvicious(("From tag", tag), bytes.fromhex(match[1].decode("ascii")))

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
        dots = text.count(".")
        has_dots = dots >= 3
        has_digits = EIGHT_DIGITS in self.joined.translate(AS_DIGITS)
        elaborate = self._is_elaborate()
        known = []
        for host in self._hosts():
            address, forward, backward = HOSTS[host]
            if not address:
                continue
            known.append(address)
            if (has_dots or not forward) and address in text and len(address) >= HOST_MIN:
                self._add_form("text" if ":" in address else "dotted", host, address)
                dots -= address.count(".")
            if forward in text or backward in text or (has_digits and any(map(text.__contains__, DIGITS[host]))):
                elaborate |= ":" in address
                for encoding, form in plain_forms(host):
                    if form in text:
                        self._add_form(encoding, form.encode("ascii"), address)
        if dots >= 3 or elaborate:
            self._add_rare_forms(known)
        if dots >= 3:
            self._add_dotted(known)

    def _hosts(self) -> Iterable[bytes]:
        """Hosts that the packet or the headers name, the packet's first."""
        message = self.message
        hosts = {self.source.encode("ascii", "replace"): None, self.local.encode("ascii", "replace"): None}
        for via in message.vias[:VIAS_MAX]:
            hosts[via.sent_by_host] = None
            if len(via.params) > 1 and via.params[1:] != BARE_RPORT and (received := via.received):
                hosts[received] = None
        if contacts := message.contacts:
            hosts[contacts[0].uri.host] = None
        if uri := message.uri:
            hosts[uri.host] = None
        return hosts

    def _is_elaborate(self) -> bool:
        """Whether capitals, hyphens, escapes or hex of text make the rarer forms worth looking for."""
        text, plain = self.text, self.joined.replace(COOKIE, b"")
        return plain != plain.lower() or "%" in text or "2e3" in text or text.count("-") > 2 or text.count("_") > 2

    def _add_rare_forms(self, known: list[str]) -> None:
        for address in known:
            for each in find_address_forms(address):
                if each.sure and each.text in self.joined:
                    self._add_form(each.encoding, each.text, address)

    def _add_form(self, encoding: str, text: bytes, address: str) -> None:
        note = self._whose(address)
        size = len(text)
        for index, value in enumerate(self.values):
            if len(value) >= size and text in value:
                self.add((FIELDS[index], value), encoding, "address", address, text, note)

    def _add_dotted(self, known: list[str]) -> None:
        for match in DOTTED.finditer(self.joined):
            address = match[0].decode("ascii")
            if address not in known and all(int(part) < 256 for part in match[0].split(b".")):
                for field in zip(FIELDS, self.values, strict=True):
                    if match[0] in field[1]:
                        self.add(field, "dotted", "address", address, match[0], "named nowhere else")

    def _whose(self, address: str) -> str:
        if address == self.source:
            return "the packet's source"
        return "this sensor's own" if address == self.local else "also named in the headers"

    # --- the rest ----------------------------------------------------------------------------------------------------

    def decode_number(self) -> None:
        """The dialled number inside Call-ID, branch or tags."""
        uri = self.message.uri
        number = uri.user if uri is not None else None
        if number is None or len(number) < NUMBER_MIN or not number[:3].isdigit() or number not in self.joined:
            return
        for field in zip(FIELDS[:3], self.values[:3], strict=True):
            if number in field[1]:
                self.add(field, "plain", "number", display(number), number, "the dialled number")

    def decode_call_id(self) -> None:
        """What a Call-ID decodes to when it is no address: the point is to have looked, and to say so."""
        call_id = self.values[0]
        field = "Call-ID", call_id
        if call_id == b"50000":
            self.add(field, "plain", "constant", "nmap", call_id, "nmap sends 50000 to everybody: no address")
            return
        token = call_id.partition(b"@")[0]
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
        user = self.values[3]
        if not dialled or not user.isdigit() or not dialled.isdigit() or user == dialled:
            return
        shared = _shared_prefix(user, dialled)
        if shared < 3:
            return
        readings = {address for start in range(3, shared + 1) for address in _splits(user[start:])}
        if len(readings) == 1:
            address = readings.pop()
            note = "digits behind the prefix of the dialled number, read as an address: unconfirmed"
            self.add(("From user", user), "undotted", "possible address", address, user, note)


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
