"""What a message's reasons look like in the store: JSON lists of lists whose text is safe UTF-8.

Bytes become display text here; the raw message and an offset give them back exactly.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import msgspec

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.identifiers import Decoded
from relaytrap.evidence.path import Hop
from relaytrap.sip.text import display
from relaytrap.store.schema import JSON_LISTS

__all__ = ["decoded_json", "evidence_json", "hops_json"]

ENCODE: Final = msgspec.json.Encoder().encode
QUOTE_MAX: Final = 512


def evidence_json(evidence: Sequence[Evidence]) -> bytes:
    """Each reason as JSON_LISTS["evidence"] names its places; length is that of the whole quote in bytes."""
    if not evidence:
        return b""
    return ENCODE([(e.rule, e.version, e.weight, _quoted(e.quote), e.offset, len(e.quote), e.text) for e in evidence])


def hops_json(hops: Sequence[Hop]) -> bytes:
    """Each hop as JSON_LISTS["hops"] names its places, nearest first."""
    if not hops:
        return b""
    return ENCODE(list(map(HOP, hops)))


def decoded_json(decoded: Sequence[Decoded]) -> bytes:
    """Each identifier as JSON_LISTS["decoded"] names its places; length is that of the quote in bytes."""
    if not decoded:
        return b""
    return ENCODE(
        [
            (
                d.field,
                d.encoding,
                d.kind,
                d.value,
                _quoted(d.quote),
                d.offset,
                len(d.quote),
                d.note,
                d.is_source,
                d.is_local,
            )
            for d in decoded
        ]
    )


HOP: Final = attrgetter(*JSON_LISTS["hops"])


def _quoted(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace") if len(value) <= QUOTE_MAX else display(value[:QUOTE_MAX])
