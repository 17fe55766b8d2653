"""`stix`: a STIX 2.1 bundle, by OASIS's own library (`relaytrap[stix]`).

An attacker is an `indicator` with a pattern that others can match on. A relay is a victim: it is told as an address
that was seen (`observed-data`), and no pattern asks anybody to block it. Identifiers follow from the address, so that
the bundle of tomorrow updates the objects of today instead of adding to them.
"""

import uuid
from typing import Any, Final

from relaytrap.errors import MissingExtra
from relaytrap.evidence.indicator import Indicator, Role
from relaytrap.feeds.feed import Feed
from relaytrap.sip.text import visible

__all__ = ["write"]

# Ours, for identifiers that follow from what they name (RFC 9562 5.5).
NAMESPACE: Final = uuid.UUID("6d0c5d1e-0f53-5c3b-9d0e-5b7f0d6f0a51")
LABELS: Final[dict[Role, str]] = {
    "source": "sip-attacker",
    "origin": "behind-open-relays",
    "relay": "open-relay-victim",
}
LONG_AGO: Final = "2020-01-01T00:00:00Z"


def write(feed: Feed) -> bytes:
    """A bundle as JSON, ASCII only. Raises MissingExtra without the library."""
    try:
        from stix2 import v21
    except ModuleNotFoundError:
        raise MissingExtra("STIX needs the package stix2; install relaytrap[stix]") from None
    author = v21.Identity(
        id=_id("identity", "relaytrap"), created=LONG_AGO, modified=LONG_AGO, name="Relaytrap", identity_class="system"
    )
    objects: list[Any] = [author]
    for each in feed.indicators:
        objects += _victim(v21, each, author.id) if each.is_victim else [_indicator(v21, each, author.id)]
    bundle = v21.Bundle(objects, id=_id("bundle", f"{feed.name} {feed.newest} {len(objects)}"))
    return str(bundle.serialize(ensure_ascii=True, indent=1)).encode() + b"\n"


def _indicator(v21: Any, each: Indicator, author: str) -> Any:
    kind = "ipv6-addr" if ":" in each.address else "ipv4-addr"
    return v21.Indicator(
        id=_id("indicator", each.address),
        created_by_ref=author,
        created=each.first_seen,
        modified=each.last_seen,
        name=f"SIP attacks from {each.address}",
        description=_description(each),
        indicator_types=["malicious-activity"],
        labels=[LABELS[role] for role in each.roles],
        confidence=each.confidence,
        pattern=f"[{kind}:value = '{each.address}']",
        pattern_type="stix",
        valid_from=each.first_seen,
        valid_until=each.expires,
    )


def _victim(v21: Any, each: Indicator, author: str) -> list[Any]:
    address = (v21.IPv6Address if ":" in each.address else v21.IPv4Address)(value=each.address)
    seen = v21.ObservedData(
        id=_id("observed-data", each.address),
        created_by_ref=author,
        created=each.first_seen,
        modified=each.last_seen,
        first_observed=each.first_seen,
        last_observed=each.last_seen,
        number_observed=max(1, min(each.requests, 999_999_999)),
        object_refs=[address.id],
        labels=[LABELS[role] for role in each.roles],
        confidence=each.confidence,
    )
    note = v21.Note(
        id=_id("note", each.address),
        created_by_ref=author,
        created=each.first_seen,
        modified=each.last_seen,
        content=_description(each),
        object_refs=[seen.id],
    )
    return [address, seen, note]


def _description(each: Indicator) -> str:
    place = ", ".join(filter(None, (each.country, f"AS{each.asn}" if each.asn else "", each.as_name)))
    tools = f"tools: {', '.join(each.tools)}" if each.tools else ""
    return visible("; ".join(filter(None, (each.why, place, tools))))


def _id(kind: str, what: str) -> str:
    return f"{kind}--{uuid.uuid5(NAMESPACE, f'{kind} {what}')}"
