"""What a message merely claims about where it comes from: Contact, session description, Call-ID.

Claims never make an origin. They help only where an address is already vouched for by others: a request that lost its
Vias and still names that address in its Contact belongs with the rest.
"""

import re
from typing import Final

from relaytrap.evidence.path import address_text, is_public
from relaytrap.observation import Observation
from relaytrap.sip import Request

__all__ = ["claimed_address", "claims"]

HOST: Final = re.compile(
    rb"(?:sips?:)?(?:[^@<>]*@)?\[?([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)\]?(?:[:;>?, ]|$)"
)
SDP: Final = re.compile(rb"(?m)^[oc]=[^\r\n]*IN IP[46] ([0-9A-Fa-f:.]+)")


def claimed_address(message: Request, observation: Observation) -> str | None:
    """The public address other than source and sensor that the claims name, Contact before the rest; None for none."""
    for address, _, _ in claims(message):
        if address not in (observation.source, observation.local) and is_public(address):
            return address
    return None


def claims(message: Request) -> list[tuple[str, str, bytes]]:
    """(address, where, quote) of Contact, SDP and Call-ID, in that order; only what is an address."""
    found = []
    contact = message.headers.get(b"contact")
    if contact:
        found += _address_in(contact.partition(b"<")[2] or contact, "Contact")
    if b" IP4 " in message.body or b" IP6 " in message.body:
        for match in SDP.finditer(message.body, 0, SDP_SCANNED):
            if address := address_text(match[1]):
                found.append((address, "the session description", match[0]))
    call_id = message.headers.get(b"call-id")
    if call_id and b"@" in call_id and (address := address_text(call_id.rpartition(b"@")[2].strip(b"[]"))):
        found.append((address, "Call-ID", call_id))
    return found


SDP_SCANNED: Final = 4096


def _address_in(value: bytes, where: str) -> list[tuple[str, str, bytes]]:
    match = HOST.match(value.strip(b" \t"), 0)
    if match is None or (address := address_text(match[1])) is None:
        return []
    return [(address, where, match[1])]
