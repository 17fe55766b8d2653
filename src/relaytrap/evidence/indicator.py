"""Indicators: what findings say of one address, in the form in which others can use it.

A finding becomes an indicator only with a reason that a reader can check. What weighs most for a source is whether
the address is its own: whoever sends UDP writes any address above it, so that a list made of what was merely received
can be filled with the addresses of a carrier or a customer by anybody. See EVIDENCE for what counts.

An indicator is made to be handed on, so it tells nothing of the sensors: not which they are, no text that senders wrote
into their messages (scanners repeat there whom they ask), and of times the hour. A sender who knows when each of its
packets went out would else learn from a published list which of them met a honeypot.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final, Literal

from relaytrap.evidence.campaign import GOALS
from relaytrap.evidence.product import KINDS
from relaytrap.wording import counted

__all__ = [
    "EVIDENCE",
    "PERSISTENT_HOURS",
    "PERSISTENT_REQUESTS",
    "PROOFS",
    "ROLES",
    "Indicator",
    "Role",
    "merged",
    "of_origin",
    "of_relay",
    "of_source",
]

Role = Literal["source", "origin", "relay"]
Row = Mapping[str, Any]

# Role → what it means of an address.
ROLES: Final[dict[Role, str]] = {
    "source": "attacker",
    "origin": "attacker behind open relays",
    "relay": "victim: an open relay that is abused",
}
PERSISTENT_REQUESTS: Final = 50
PERSISTENT_HOURS: Final = 6
# What a source has to show → what that is, the strictest first; each takes what those before it take.
EVIDENCE: Final = {
    "proven": "that the address is its own: it held a connection, or returned a value that we had sent there",
    "persistent": f"that, or at least {PERSISTENT_REQUESTS} requests in at least {PERSISTENT_HOURS} different hours",
    "any": "nothing, though UDP has whatever address its sender wrote",
}
VALID: Final = timedelta(days=30)
CONFIDENCE: Final = {"proven": 95, "persistent": 60, "any": 30}
# Way in which an address was proven → how it reads.
PROOFS: Final = {
    "connection": "held a connection with us",
    "challenge": "answered a challenge of ours",
    "tag": "returned a tag that we had sent to it",
}


@dataclass(frozen=True, slots=True)
class Indicator:
    """One address to act on.

    address: canonical text. roles: what it was seen as. confidence: 0 to 100, that it did what is said here.
    first_seen, last_seen: the hours, RFC 3339. reasons: why it stands here, a clause each. goals: what it was after,
    keys of GOALS. relays: through how many its traffic came. as_name and tools are the text of others, as hostile as
    ever.
    """

    address: str
    roles: tuple[Role, ...]
    confidence: int
    first_seen: str
    last_seen: str
    requests: int
    reasons: tuple[str, ...]
    country: str = ""
    asn: int = 0
    as_name: str = ""
    goals: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    relays: int = 0
    campaigns: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if str(ip_address(self.address)) != self.address or "%" in self.address:
            raise ValueError(f"{self.address!r} is no canonical address")

    @property
    def is_victim(self) -> bool:
        """Whether it is a relay: to be warned, not to be fought."""
        return "relay" in self.roles

    @property
    def expires(self) -> str:
        """When it should no longer be acted on unless it is seen again: addresses change hands."""
        return f"{datetime.fromisoformat(self.last_seen) + VALID:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def why(self) -> str:
        """All of its roles and reasons in one line."""
        return "; ".join((*(ROLES[role] for role in self.roles), *self.reasons))


def of_source(row: Row) -> Indicator:
    """The indicator of a row of `direct_sources`."""
    proofs = [PROOFS[each] for each in row["proof"]] or ["UDP only, so the address may be made up"]
    return Indicator(
        address=row["address"],
        roles=("source",),
        confidence=CONFIDENCE[row["shown"]],
        requests=row["requests"],
        reasons=(
            f"{counted(row['requests'], 'request')} at {counted(row['sensors'], 'honeypot')}",
            *_named(row["goals"]),
            *proofs,
        ),
        goals=tuple(row["goals"]),
        tools=tuple(row["tools"]),
        **_common(row),
    )


def of_origin(row: Row) -> Indicator:
    """The indicator of a row of `origins`."""
    return Indicator(
        address=row["address"],
        roles=("origin",),
        confidence=row["confidence"],
        requests=row["messages"],
        reasons=(
            counted(row["messages"], "request"),
            f"{counted(row['relays'], 'relay')} in {counted(row['networks'], 'network')} vouch for it",
            *([f"{counted(row['contradictions'], 'relay')} against it"] if row["contradictions"] else []),
        ),
        relays=row["relays"],
        campaigns=(row["campaign"],),
        **_common(row),
    )


def of_relay(row: Row) -> Indicator:
    """The indicator of a row of `relays`."""
    return Indicator(
        address=row["address"],
        roles=("relay",),
        confidence=row["confidence"],
        requests=row["messages"],
        reasons=(
            f"forwarded {counted(row['messages'], 'request')} of {counted(row['origins'], 'origin')}",
            KINDS[row["kind"]],
        ),
        tools=(row["product"],) if row["product"] else (),
        **_common(row),
    )


def merged(indicators: Iterable[Indicator]) -> list[Indicator]:
    """One indicator for each address, in the order of the addresses, IPv4 first."""
    by_address: dict[str, list[Indicator]] = {}
    for each in indicators:
        by_address.setdefault(each.address, []).append(each)
    joined = (_joined(same) for same in by_address.values())
    return sorted(joined, key=lambda each: (ip_address(each.address).version, int(ip_address(each.address))))


def _joined(same: Sequence[Indicator]) -> Indicator:
    if len(same) == 1:
        return same[0]
    best = max(same, key=lambda each: each.confidence)

    def every(name: str) -> Any:
        return tuple(dict.fromkeys(value for each in same for value in getattr(each, name)))

    return Indicator(
        address=best.address,
        roles=every("roles"),
        confidence=best.confidence,
        first_seen=min(each.first_seen for each in same),
        last_seen=max(each.last_seen for each in same),
        requests=sum(each.requests for each in same),
        reasons=every("reasons"),
        country=best.country,
        asn=best.asn,
        as_name=best.as_name,
        goals=every("goals"),
        tools=every("tools"),
        relays=max(each.relays for each in same),
        campaigns=every("campaigns"),
    )


def _common(row: Row) -> dict[str, Any]:
    hours = {name: f"{row[name][:13]}:00:00Z" for name in ("first_seen", "last_seen")}
    return hours | {name: row[name] for name in ("country", "asn", "as_name")}


def _named(goals: Sequence[str]) -> list[str]:
    return [", ".join(GOALS[goal] for goal in goals if goal in GOALS)] if goals else []
