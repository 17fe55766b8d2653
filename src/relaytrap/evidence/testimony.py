"""What relays say of their upstream: single vouches, and all of them together as far as conclusions need them."""

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Standing", "Testimony", "Vouch"]


class Vouch(NamedTuple):
    """What one relay says: it took requests from `origin`.

    hops: those through which it says so, nearest first, when it did not see the origin itself; () for its own
        testimony.
    deeper: an address that the origin in turn names as its upstream; "" for none. confidence: that of one message.
    network: what counts as one operator (an autonomous system, else a /16 or /32); country: of the relay.
    """

    relay: str
    origin: str
    hops: tuple[str, ...] = ()
    deeper: str = ""
    confidence: int = 50
    network: str = ""
    country: str = ""


class Standing(NamedTuple):
    """How many saw an origin themselves: relays, their networks and countries; the best confidence of one message.

    only: the relay when there is just one, else "".
    """

    relays: int
    networks: int
    countries: int
    best: int
    only: str


@dataclass(slots=True)
class Testimony:
    """Everything that relays say, as far as conclusions need it.

    standing: of each origin that relays saw themselves. shared: relay → origins that it and another relay saw. pairs:
    (relay, origin) that relays saw themselves, at least those that groups of guests ask for. chained: vouches through
    an inner hop. deeper: vouches for addresses that name somebody further back. sources: relays seen as such, at least
    those that chained or deeper name.
    """

    standing: dict[str, Standing] = field(default_factory=dict)
    shared: dict[str, set[str]] = field(default_factory=dict)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    chained: list[Vouch] = field(default_factory=list)
    deeper: list[Vouch] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, vouches: Iterable[Vouch], handing_on: Iterable[str] = ()) -> "Testimony":
        """From single vouches; handing_on: sources that hide for whom they forward."""
        said = list(vouches)
        direct: dict[str, list[Vouch]] = defaultdict(list)
        for vouch in said:
            if not vouch.hops:
                direct[vouch.origin].append(vouch)
        standing = {origin: _standing(those) for origin, those in direct.items()}
        return cls(
            standing,
            _shared(vouch for origin, those in direct.items() if standing[origin].relays > 1 for vouch in those),
            {(vouch.relay, vouch.origin) for those in direct.values() for vouch in those},
            [vouch for vouch in said if vouch.hops],
            [vouch for vouch in said if vouch.deeper and not vouch.hops],
            {vouch.relay for vouch in said} | set(handing_on),
        )

    def is_trusted(self, relay: str, besides: Set[str] = frozenset()) -> bool:
        """Whether a relay shares an origin with another relay; besides: origins that do not count."""
        return bool(self.shared.get(relay, frozenset()) - besides)

    def is_vouched(self, origin: str, besides: str) -> bool:
        """Whether a relay other than one saw an origin itself."""
        standing = self.standing.get(origin)
        return standing is not None and standing.only != besides


def _shared(vouches: Iterable[Vouch]) -> dict[str, set[str]]:
    shared: dict[str, set[str]] = defaultdict(set)
    for vouch in vouches:
        shared[vouch.relay].add(vouch.origin)
    return dict(shared)


def _standing(those: list[Vouch]) -> Standing:
    relays = {vouch.relay for vouch in those}
    return Standing(
        len(relays),
        len({vouch.network or vouch.relay for vouch in those}),
        len({vouch.country for vouch in those if vouch.country}),
        max(vouch.confidence for vouch in those),
        next(iter(relays)) if len(relays) == 1 else "",
    )
