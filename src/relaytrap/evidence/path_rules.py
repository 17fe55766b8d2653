"""The rules that judge a path, by name and version, and the constants they share (docs/reference/evidence-rules.md)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from relaytrap.evidence.base import Evidence
from relaytrap.sip import Request

if TYPE_CHECKING:
    from relaytrap.evidence.identifiers import Decoded

__all__ = [
    "COUNTED",
    "HOP_BY_HOP",
    "LEAST_COUNTED",
    "OPENING",
    "RULES",
    "START",
    "decoded_targets",
    "hop_count_reason",
    "reason",
]

# RFC 3261 section 8.1.1.6: a sender SHOULD start with 70. Up to this many below it are believed to be counted down.
START: Final = 70
COUNTED: Final = 10
LEAST_COUNTED: Final = START - COUNTED

# Methods that a hop sends of its own in the name of a transaction (RFC 3261 sections 9.1 and 17.1.1.3).
HOP_BY_HOP: Final = frozenset({b"ACK", b"CANCEL"})
# Methods whose first request needs no dialog: a To tag in one was never issued by us.
OPENING: Final = frozenset({b"INVITE", b"REGISTER", b"OPTIONS", b"SUBSCRIBE", b"MESSAGE", b"PUBLISH"})

# Rule → version; raised when the rule says something else about the same bytes.
RULES: Final = {
    "path.one-via": 1,
    "path.no-via": 1,
    "path.received": 1,
    "path.sent-by": 1,
    "path.max-forwards": 2,
    "path.made-up-via": 2,
    "path.kamailio-hash": 4,
    "path.software": 3,
    "path.record-route": 1,
    "path.request-uri": 1,
    "path.contact": 1,
    "path.claims": 1,
    "path.to-tag": 1,
    "path.route": 1,
    "path.decoded-target": 1,
    "path.received-on-top": 1,
    "path.received-twice": 1,
    "path.sent-by-differs": 1,
    "path.connection": 2,
    "path.masked": 2,
    "path.unmasked": 3,
    "path.same-host": 1,
    "path.known-proxy": 1,
    "path.serves": 1,
    "path.own-network": 2,
    "path.own-address": 3,
    "path.behind": 1,
    "path.hop-by-hop": 1,
}


def reason(rule: str, weight: int, quote: bytes, raw: bytes, text: str) -> Evidence:
    """Evidence under the rule's current version, its quote found in the message."""
    return Evidence(rule, RULES[rule], weight, quote, raw.find(quote) if quote else -1, text)


def hop_count_reason(rule: str, weight: int, message: Request, text: str) -> Evidence:
    """The same, resting on Max-Forwards: its few digits stand elsewhere in most messages, so its line is looked up."""
    headers, raw = message.headers, message.raw
    value = headers.first.get(b"max-forwards", b"")
    # Nearly every message writes the name so, once: found in 0.6 us, where its lines take 23.
    start = -1 if b"max-forwards" in headers.repeated else raw.find(b"\nMax-Forwards:", 0, message.body_start)
    if start < 0:
        line = headers.line(b"max-forwards", 0)
        start = line.offset if line else len(raw)
    return Evidence(rule, RULES[rule], weight, value, raw.find(value, start, message.body_start) if value else -1, text)


def decoded_targets(decoded: "Sequence[Decoded]") -> tuple[Evidence, ...]:
    """Targets that a scanner wrote into its tag and that are not us: it aimed at somebody else."""
    return tuple(
        [
            Evidence(
                "path.decoded-target",
                RULES["path.decoded-target"],
                15,
                each.quote,
                each.offset,
                f"The scanner wrote {each.value} into its {each.field} as the target, which is not this sensor: it was "
                "redirected or relayed, or the sensor stands behind address translation.",
            )
            for each in decoded
            if each.kind == "target address" and not each.is_local
        ]
    )
