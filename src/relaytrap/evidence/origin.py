"""Whose word counts: from everything that relays vouch for to origins, with how sure, and relays, with how reliable.

The argument. What one relay says of its upstream is testimony of one witness. Relays of different operators that name
the same address are independent witnesses: a hundred of them do not all lie, one may. So an origin's confidence grows
with the number of relays and of networks that vouch for it. A relay is trusted alone when it agrees with others about
somebody else. A relay whose word nobody shares, while what it hands on fills exactly the holes in a campaign that many
others attribute to another address, contradicts them: it is named unreliable and its word makes no origin.

Further down a chain each hop vouches for the next only as far as it is itself known to hand on: because it is seen as
a source elsewhere, or because others vouch for the same address independently. An address that appears only in claims,
or only in the word of a relay that contradicts the others, never becomes an origin: nobody innocent is framed.

Pure, over aggregates: one Vouch for each relay and address, one GroupFit for each group of guests.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from relaytrap.evidence.contradiction import contradicting, fronting, told_by_few
from relaytrap.evidence.group_sums import sum_groups
from relaytrap.evidence.hiding import hiding_sources
from relaytrap.evidence.host import SOME_RELAYS
from relaytrap.evidence.path import share_network
from relaytrap.evidence.testimony import Standing, Testimony, Vouch
from relaytrap.evidence.visits import GroupFit, GroupKey

__all__ = ["Origin", "Settled", "confidence", "settle"]


class Origin(NamedTuple):
    """An address that is vouched for: how sure, by how many, and how many relays say otherwise."""

    address: str
    confidence: int
    relays: int
    networks: int
    countries: int
    contradictions: int = 0


@dataclass(slots=True)
class Settled:
    """Conclusions over everything.

    origins: address → Origin. lying: relay → the addresses that it alone names, against others. hiding: (source, stack)
    of what looks direct and is a relay's, with how sure. inner: relays seen only behind other relays. chained: (inner,
    origin) → whom to believe instead of the origin to which the nearest inner hop leads, "" for nobody. behind:
    (address, deeper) → whom to believe when the address is a relay and names deeper. doubted: like lying, but too
    little to say more than that. fronting: relay → addresses that it names and that hide for whom they forward. unseen:
    addresses that only hops behind relays name, none of them believed. lies: all addresses in lying and in fronting,
    which are no origins. doubts, hosts: all addresses in doubted, all sources in hiding.
    """

    origins: dict[str, Origin] = field(default_factory=dict)
    lying: dict[str, set[str]] = field(default_factory=dict)
    doubted: dict[str, set[str]] = field(default_factory=dict)
    hiding: dict[tuple[str, int], int] = field(default_factory=dict)
    inner: set[str] = field(default_factory=set)
    chained: dict[tuple[str, str], str] = field(default_factory=dict)
    behind: dict[tuple[str, str], str] = field(default_factory=dict)
    fronting: dict[str, set[str]] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    lies: set[str] = field(default_factory=set)
    doubts: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)

    def believed(self, origin: str, inner: str = "", deeper: str = "") -> str:
        """The origin to believe when relays name one, whichever they are: itself, another, or "" for nobody."""
        if self.refuses(origin):
            return ""
        if inner:
            return self.chained.get((inner, origin), origin)
        if deeper:
            return self.behind.get((origin, deeper), origin)
        return origin

    def refuses(self, origin: str) -> bool:
        """Whether what names this address is a lie, or is doubted."""
        return origin in self.lies or origin in self.doubts


def settle(testimony: Testimony, groups: Iterable[GroupFit]) -> Settled:
    """Conclusions from all testimony and all sums of groups, in any order."""
    settled = Settled()
    sums = sum_groups(groups)
    settled.hiding = hiding_sources(testimony, sums)
    told = told_by_few(testimony, sums)
    settled.lying, settled.doubted = contradicting(testimony, told)
    settled.lies, settled.doubts = (set().union(*named.values()) for named in (settled.lying, settled.doubted))
    settled.fronting = fronting(testimony, told, settled.lies, settled.doubts)
    settled.inner.update(*settled.fronting.values())
    settled.lies.update(*settled.fronting.values())
    settled.hosts = {source for source, _ in settled.hiding}
    _settle_chains(settled, testimony, testimony.sources | settled.hosts)
    _weigh_origins(settled, testimony, sums)
    settled.unseen = {origin for _, origin in settled.chained} - settled.origins.keys()
    return settled


def _settle_chains(settled: Settled, testimony: Testimony, sources: set[str]) -> None:
    """Which hops behind the first are believed, and to whom requests belong when they are not."""
    said: dict[tuple[str, str], list[Vouch]] = defaultdict(list)
    takers: dict[str, set[str]] = defaultdict(set)
    for vouch in testimony.chained:
        nearest = vouch.hops[0]
        said[nearest, vouch.origin].append(vouch)
        takers[nearest].add(vouch.relay)
    senders = {hop for hop, relays in takers.items() if len(relays) > 1 and not _is_one_operators(hop, relays)}
    known = sources | _corroborated(settled, testimony) - senders
    for (nearest, origin), vouches in said.items():
        believed = [
            vouch.hops
            for vouch in vouches
            if _is_vouched(testimony, settled, origin, vouch.hops[-1]) or known.issuperset(vouch.hops)
        ]
        settled.inner.update(*believed)
        if not believed:
            # Relays of several operators took requests from it, and nobody else knows whom it leads to: the sender is
            # there, or behind it and uses it alone.
            settled.chained[nearest, origin] = nearest if nearest in senders else ""
    for vouch in testimony.deeper:
        standing = testimony.standing.get(vouch.origin)
        if vouch.origin in sources or (standing is not None and standing.only):
            # A relay of its own, or for all that one relay's word tells: a sender that invents a hop and a relay that
            # hands on look the same. Whom it names in turn counts only when others vouch for that one.
            is_known = _is_vouched(testimony, settled, vouch.deeper, vouch.origin)
            settled.behind[vouch.origin, vouch.deeper] = vouch.deeper if is_known else ""


def _is_one_operators(hop: str, relays: Iterable[str]) -> bool:
    """Whether a hop and those that took requests from it stand in one network: an inner proxy and its edges."""
    return all(share_network(hop, relay, 16, 32) for relay in relays)


def _corroborated(settled: Settled, testimony: Testimony) -> set[str]:
    """Hops that handed on requests of an address for which several relays vouch, and send none of their own."""
    return {
        hop
        for vouch in testimony.chained
        if _is_vouched(testimony, settled, vouch.origin, vouch.hops[-1])
        and testimony.standing[vouch.origin].relays >= SOME_RELAYS
        for hop in vouch.hops
        if hop not in testimony.standing
    }


def _is_vouched(testimony: Testimony, settled: Settled, origin: str, besides: str) -> bool:
    """Whether an honest relay other than one saw the origin itself."""
    return testimony.is_vouched(origin, besides) and not settled.refuses(origin)


def _weigh_origins(settled: Settled, testimony: Testimony, sums: Mapping[GroupKey, GroupFit]) -> None:
    """Origins that remain, with confidence from their independent witnesses."""
    against: dict[str, set[str]] = defaultdict(set)
    for key, fit in sums.items():
        if key.origin in settled.lying.get(key.source, ()):
            against[fit.host].add(key.source)
    for address, standing in testimony.standing.items():
        if settled.refuses(address):
            continue
        score = confidence(standing, testimony.is_trusted(standing.only))
        settled.origins[address] = Origin(
            address, score, standing.relays, standing.networks, standing.countries, len(against[address])
        )
    best: dict[str, int] = defaultdict(int)
    for vouch in testimony.chained:
        believed = settled.believed(vouch.origin, vouch.hops[0])
        if believed and believed not in settled.origins:
            best[believed] = max(best[believed], min(vouch.confidence, 50), 1)
    for address, score in best.items():
        settled.origins[address] = Origin(address, score, 1, 1, 1)


def confidence(standing: Standing, trusted: bool = False) -> int:
    """0 to 99: what one message is worth, more with every doubling of witnesses and of their networks.

    trusted: the only witness agrees with others about somebody else.
    """
    score = standing.best + 9 * math.log2(max(standing.relays, 1)) + 6 * math.log2(max(standing.networks, 1))
    return max(min(round(score) + (5 if trusted and standing.relays == 1 else 0), 99), 1)
