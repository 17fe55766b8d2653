"""What a message's reasons look like in the store: JSON lists whose text is safe UTF-8.

Bytes become display text here; the raw message and an offset give them back exactly.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.identifiers import Decoded
from relaytrap.evidence.path import Hop
from relaytrap.sip.text import display

__all__ = ["decoded_json", "evidence_json", "hops_json"]

ENCODE: Final = msgspec.json.Encoder().encode
QUOTE_MAX: Final = 512


def evidence_json(evidence: Iterable[Evidence]) -> bytes:
    """rule, version, weight, quote, offset, length (bytes of the whole quote), text of each reason."""
    told = [
        {
            "rule": each.rule,
            "version": each.version,
            "weight": each.weight,
            "quote": _quoted(each.quote),
            "offset": each.offset,
            "length": len(each.quote),
            "text": each.text,
        }
        for each in evidence
    ]
    return ENCODE(told) if told else b""


def hops_json(hops: tuple[Hop, ...]) -> bytes:
    """address, port, sent_by, transport, standing, by, software, over_connection of each hop, nearest first."""
    return ENCODE(hops) if hops else b""


def decoded_json(decoded: tuple[Decoded, ...]) -> bytes:
    """field, encoding, kind, value, quote, offset, length, note, is_source, is_local of each identifier."""
    told = [
        {
            "field": each.field,
            "encoding": each.encoding,
            "kind": each.kind,
            "value": each.value,
            "quote": _quoted(each.quote),
            "offset": each.offset,
            "length": len(each.quote),
            "note": each.note,
            "is_source": each.is_source,
            "is_local": each.is_local,
        }
        for each in decoded
    ]
    return ENCODE(told) if told else b""


def _quoted(value: bytes) -> str:
    return display(value[:QUOTE_MAX])
