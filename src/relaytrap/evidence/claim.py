"""What a message merely claims about where it comes from: Contact, session description, Call-ID.

Claims never make an origin. They help only where an address is already vouched for by others: a request that lost its
Vias and still names that address in its Contact belongs with the rest.
"""

import re
from collections.abc import Iterable
from typing import Final

from relaytrap.evidence.path import address_text, is_public
from relaytrap.observation import Observation
from relaytrap.sip import Request

__all__ = ["Claim", "claimed_address", "claims", "foreign_address"]

HOST: Final = re.compile(
    rb"(?:sips?:)?(?:[^@<>]*+@)?"
    rb"\[?([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|[0-9A-Fa-f]*+:[0-9A-Fa-f:.]*)\]?(?:[:;>?, ]|$)"
)
SDP: Final = re.compile(rb"(?m)^[oc]=[^\r\n]*IN IP[46] ([0-9A-Fa-f:.]+)")
SDP_SCANNED: Final = 4096


Claim = tuple[str, str, bytes]
"""(address, where, quote): an address (canonical text), where it is named, and the bytes that name it."""


def claimed_address(message: Request, observation: Observation) -> str | None:
    """The public address other than source and sensor that the claims name, Contact before the rest; None for none."""
    return foreign_address(claims(message), observation)


def foreign_address(named: Iterable[Claim], observation: Observation) -> str | None:
    """The first of the claimed addresses that is public and neither source nor sensor; None for none."""
    source = observation.source
    for address, _, _ in named:
        if address != source and address != observation.local and is_public(address):
            return address
    return None


def claims(message: Request) -> list[Claim]:
    """What Contact, SDP and Call-ID name, in that order; only what is an address."""
    found: list[Claim] = []
    first = message.headers.first
    contact = first.get(b"contact")
    if contact:
        match = HOST.match((contact.partition(b"<")[2] or contact).strip(b" \t"))
        if match is not None and (address := address_text(match[1])):
            found.append((address, "Contact", match[1]))
    body = message.body
    if body and (b" IP4 " in body or b" IP6 " in body):
        found += [
            (address, "the session description", match[0])
            for match in SDP.finditer(body, 0, SDP_SCANNED)
            if (address := address_text(match[1]))
        ]
    call_id = first.get(b"call-id")
    if call_id and b"@" in call_id and (address := address_text(call_id.rpartition(b"@")[2].strip(b"[]"))):
        found.append((address, "Call-ID", call_id))
    return found
