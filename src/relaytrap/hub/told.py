"""What a message's reasons look like in the store: JSON lists of lists whose text is safe UTF-8.

Bytes become display text here; the raw message and an offset give them back exactly.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import astuple

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.identifiers import Decoded
from relaytrap.evidence.path import Hop
from relaytrap.sip.text import display

__all__ = ["decoded_json", "evidence_json", "hops_json"]

ENCODE: Final = msgspec.json.Encoder().encode
QUOTE_MAX: Final = 512


def evidence_json(evidence: Sequence[Evidence]) -> bytes:
    """Each reason as JSON_LISTS["evidence"] names its places; length is that of the whole quote in bytes."""
    if not evidence:
        return b""
    return ENCODE(
        [
            (rule, version, weight, _quoted(quote), offset, len(quote), text)
            for rule, version, weight, quote, offset, text in map(astuple, evidence)
        ]
    )


def hops_json(hops: Sequence[Hop]) -> bytes:
    """Each hop as JSON_LISTS["hops"] names its places, which are its fields, nearest first."""
    if not hops:
        return b""
    return ENCODE(list(map(astuple, hops)))


def decoded_json(decoded: Sequence[Decoded]) -> bytes:
    """Each identifier as JSON_LISTS["decoded"] names its places; length is that of the quote in bytes."""
    if not decoded:
        return b""
    return ENCODE(
        [
            (field, encoding, kind, value, _quoted(quote), offset, len(quote), note, is_source, is_local)
            for field, encoding, kind, value, quote, offset, note, is_source, is_local in decoded
        ]
    )


def _quoted(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace") if len(value) <= QUOTE_MAX else display(value[:QUOTE_MAX])
