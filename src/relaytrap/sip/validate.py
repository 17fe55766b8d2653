"""What a peer is owed for a request that parses but must be refused (RFC 3261 sections 8.2, 16.3, 21).

Only requests are answered: a broken response is dropped without a word (section 18.1.2), so nothing is owed for one.
What depends on who we are (authentication, loops, Max-Forwards at a proxy) is decided above.
"""

import re
from typing import Final, NamedTuple

from relaytrap.sip.anomaly import ANOMALIES
from relaytrap.sip.message import METHODS, Message, Request

__all__ = ["REASONS", "Abilities", "Rejection", "validate"]

REASONS: Final[dict[int, bytes]] = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    415: b"Unsupported Media Type",
    416: b"Unsupported URI Scheme",
    420: b"Bad Extension",
    501: b"Not Implemented",
    505: b"Version Not Supported",
    513: b"Message Too Large",
}


class Rejection(NamedTuple):
    """The answer that is owed.

    reason: the RFC's phrase; a persona may say it differently. why: name of the anomaly or of what is not supported.
    headers: fields that the answer carries (Unsupported with 420, Allow with 405 and 501, Accept with 415).
    """

    status: int
    reason: bytes
    why: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Abilities(NamedTuple):
    """What the answering element can do; what is left empty is not checked.

    schemes: of Request-URIs. extensions: option tags. methods, content_types: None takes any.
    """

    schemes: frozenset[bytes] = frozenset((b"sip", b"sips", b"tel"))
    extensions: frozenset[bytes] = frozenset()
    methods: tuple[bytes, ...] | None = None
    content_types: tuple[bytes, ...] | None = None


_DEFAULT: Final = Abilities()
# handling-param  =  "handling" EQUAL ( "optional" / "required" / other-handling )
_OPTIONAL: Final = re.compile(rb";[ \t]*+handling[ \t]*+=[ \t]*+optional[ \t]*+(?:;|\Z)", re.IGNORECASE)


def validate(message: Message, abilities: Abilities = _DEFAULT) -> Rejection | None:
    """What is owed to the sender, None when the request may be processed.

    In the order of section 8.2: malformed, method, Request-URI, extensions, content. ACK and CANCEL are judged too;
    it is for the transaction layer not to answer an ACK.
    """
    if not isinstance(message, Request):
        return None
    return _judge_form(message) or _judge_header(message, abilities) or _judge_content(message, abilities)


def _reject(status: int, why: str, *headers: tuple[bytes, bytes]) -> Rejection:
    return Rejection(status, REASONS[status], why, headers)


def _judge_form(message: Request) -> Rejection | None:
    """505 first, since another version may have another form; then the first thing that earns a status."""
    owed = [(ANOMALIES[noted.name].status, noted.name) for noted in message.anomalies if ANOMALIES[noted.name].status]
    if not owed:
        return None
    return _reject(*next((each for each in owed if each[0] == 505), owed[0]))


def _judge_header(message: Request, abilities: Abilities) -> Rejection | None:
    if abilities.methods is not None and message.method not in abilities.methods:
        # Section 8.2.1: 405 for a method that is recognised and not supported; 21.5.2: 501 for one nobody has heard of.
        status, why = (405, "method-not-allowed") if message.method in METHODS else (501, "method-unknown")
        return _reject(status, why, (b"Allow", b", ".join(abilities.methods)))
    if message.uri is None or message.uri.scheme not in abilities.schemes:
        return _reject(416, "scheme-unsupported")
    # Section 8.2.2.3: Require is ignored in CANCEL and in ACK to a non-2xx.
    if message.method in (b"CANCEL", b"ACK"):
        return None
    unknown = [tag for tag in _option_tags(message) if tag.lower() not in abilities.extensions]
    return _reject(420, "extension-unsupported", (b"Unsupported", b", ".join(unknown))) if unknown else None


def _option_tags(message: Request) -> list[bytes]:
    """Tags of every Require; form was checked before."""
    values = message.headers.get_all(b"require")
    return [tag.strip(b" \t") for value in values for tag in value.split(b",")]


def _judge_content(message: Request, abilities: Abilities) -> Rejection | None:
    """415 for a body that cannot be read, unless its Content-Disposition says that reading it is optional (8.2.3)."""
    if not message.body or _OPTIONAL.search(message.headers.get(b"content-disposition") or b""):
        return None
    accept = (b"Accept", b", ".join(abilities.content_types or (b"application/sdp",)))
    encoding = message.headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        return _reject(415, "encoding-unsupported", (b"Accept-Encoding", b"identity"))
    if abilities.content_types is None:
        return None
    kind = (message.content_type or b"").partition(b";")[0].strip(b" \t").lower()
    return None if kind in abilities.content_types else _reject(415, "content-type-unsupported", accept)
