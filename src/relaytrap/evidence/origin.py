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
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from relaytrap.evidence.host import FEW_RELAYS, OUTNUMBERED
from relaytrap.evidence.path import share_network
from relaytrap.evidence.visits import GroupFit, GroupKey

__all__ = ["Origin", "Settled", "Standing", "Testimony", "Vouch", "confidence", "settle"]


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
        if origin in self.lies or origin in self.doubts:
            return ""
        if inner:
            return self.chained.get((inner, origin), origin)
        if deeper:
            return self.behind.get((origin, deeper), origin)
        return origin


# A group that looks direct must fit this well before its source is called a relay: one chance in 60,000, six requests,
# hardly a misfit, most of them inside the sweep and between the host's own requests.
HIDING_ODDS: Final = 11.0
HIDING_FITTING: Final = 6
HIDING_SHARE: Final = 0.9
HIDING_INSIDE: Final = 0.5
HIDING_BETWEEN: Final = 0.4
HIDING_BETWEEN_CERTAIN: Final = 0.2
HIDING_NAMED: Final = 60
# The same for several sources with one stack and shape.
POOL_SOURCES: Final = 3
POOL_ODDS: Final = 16.0
POOL_FITTING: Final = 2
# A relay's lone word against many others': weaker when it agrees with nobody, stronger when it is otherwise reliable.
LYING_ODDS: Final = 8.0
LYING_ODDS_TRUSTED: Final = 14.0
LYING_SHARE: Final = 0.8
DOUBT_ODDS: Final = 3.0
LYING_CLAIMS: Final = 3
# So many must speak for a campaign before what fits into it contradicts somebody; fewer where the fit leaves no doubt.
MANY_RELAYS: Final = 3
SOME_RELAYS: Final = 2
CERTAIN_ODDS: Final = 25.0
# So many addresses that nobody else names are looked at together.
SEVERAL_STORIES: Final = 2


def settle(testimony: Testimony, groups: Iterable[GroupFit]) -> Settled:
    """Conclusions from all testimony and all sums of groups, in any order."""
    settled = Settled()
    sums = sum_groups(groups)
    settled.hiding = _hiding(testimony, sums)
    told = _told(testimony, sums)
    settled.lying, settled.doubted = _lying(testimony, told)
    settled.lies, settled.doubts = (set().union(*named.values()) for named in (settled.lying, settled.doubted))
    settled.fronting = _fronting(settled, testimony, told)
    settled.inner.update(*settled.fronting.values())
    settled.lies.update(*settled.fronting.values())
    settled.hosts = {source for source, _ in settled.hiding}
    _settle_chains(settled, testimony, testimony.sources | settled.hosts)
    _weigh_origins(settled, testimony, sums)
    settled.unseen = {origin for _, origin in settled.chained} - settled.origins.keys()
    return settled


def sum_groups(groups: Iterable[GroupFit]) -> dict[GroupKey, GroupFit]:
    """One GroupFit a group over all windows; its host is the one with most visits."""
    by_key: dict[GroupKey, list[GroupFit]] = defaultdict(list)
    for group in groups:
        by_key[group.key].append(group)
    return {key: _sum(fits) for key, fits in by_key.items()}


def _sum(fits: list[GroupFit]) -> GroupFit:
    hosts: dict[str, int] = defaultdict(int)
    for fit in fits:
        hosts[fit.host] += fit.visits
    return GroupFit(
        fits[0].key,
        min(fit.verdict for fit in fits),
        min(hosts, key=lambda origin: (-hosts[origin], origin)),
        sum(fit.visits for fit in fits),
        sum(fit.inside for fit in fits),
        sum(fit.fitting for fit in fits),
        sum(fit.pairs for fit in fits),
        sum(fit.between for fit in fits),
        math.fsum(fit.log_odds for fit in fits),
        sum(fit.claims for fit in fits),
    )


def _hiding(testimony: Testimony, sums: Mapping[GroupKey, GroupFit]) -> dict[tuple[str, int], int]:
    """(source, stack) of what looks direct and is a relay's, with how sure.

    A group is judged by itself, and together with all others of the same stack and shape: many relays of one product,
    each with a handful of requests, fit as one or not at all. One whose requests all name the host themselves (a B2BUA
    keeps a Call-ID or a session description) needs no more than a host that many relays vouch for.
    """
    found: dict[tuple[str, int], int] = {}
    pools: dict[tuple[int, int], list[GroupFit]] = defaultdict(list)
    for key, fit in sums.items():
        if fit.verdict != "direct" or key.origin:
            continue
        pools[key.stack, key.shape].append(fit)
        if _is_certain(fit):
            pair = key.source, key.stack
            found[pair] = max(found.get(pair, 0), min(60 + int(fit.log_odds), 90))
        elif _names_host(testimony, fit):
            pair = key.source, key.stack
            found[pair] = max(found.get(pair, 0), HIDING_NAMED)
    for pool in pools.values():
        inside, fitting = sum(fit.inside for fit in pool), sum(fit.fitting for fit in pool)
        odds = math.fsum(fit.log_odds for fit in pool)
        if len(pool) < POOL_SOURCES or odds < POOL_ODDS or fitting < max(HIDING_FITTING, HIDING_SHARE * inside):
            continue
        for fit in pool:
            if fit.fitting >= POOL_FITTING and _fits_well(fit):
                pair = fit.key.source, fit.key.stack
                found[pair] = max(found.get(pair, 0), min(55 + int(odds), 80))
    return found


def _names_host(testimony: Testimony, fit: GroupFit) -> bool:
    standing = testimony.standing.get(fit.host)
    many = standing is not None and standing.relays >= MANY_RELAYS
    fits = fit.fitting >= HIDING_SHARE * fit.inside and fit.inside >= HIDING_INSIDE * fit.visits
    return many and fits and fit.claims >= HIDING_FITTING and fit.claims >= HIDING_SHARE * fit.visits


def _is_certain(fit: GroupFit) -> bool:
    """Whether a group by itself shows that its requests are its host's."""
    return fit.log_odds >= HIDING_ODDS and fit.fitting >= HIDING_FITTING and _fits_well(fit)


def _fits_well(fit: GroupFit) -> bool:
    """Whether a group is like a part of its host's; one that has no place is nobody's."""
    return (
        bool(fit.host)
        and fit.fitting >= HIDING_SHARE * fit.inside
        and fit.inside >= HIDING_INSIDE * fit.visits
        and _is_between(fit)
    )


def _is_between(fit: GroupFit) -> bool:
    """Whether the host was at work between the guests: between fewer of them where the fit leaves no doubt."""
    certain = fit.log_odds >= CERTAIN_ODDS and fit.between >= HIDING_FITTING
    return fit.between >= (HIDING_BETWEEN_CERTAIN if certain else HIDING_BETWEEN) * fit.pairs


Named = dict[str, set[str]]


def _told(testimony: Testimony, sums: Mapping[GroupKey, GroupFit]) -> dict[str, list[GroupFit]]:
    """Address that few relays name → the groups of guests that they name it for."""
    told: dict[str, list[GroupFit]] = defaultdict(list)
    for key, fit in sums.items():
        standing = testimony.standing.get(key.origin)
        if standing is not None and standing.relays <= FEW_RELAYS:
            told[key.origin].append(fit)
    return told


def _fronting(settled: Settled, testimony: Testimony, told: Mapping[str, list[GroupFit]]) -> Named:
    """Relays that rightly name whom they took requests from, and the addresses that hide for whom they forward.

    What an address brings shows that as it does of a source that looks direct: it makes requests anew behind a proxy.
    One that names its own upstream, for which others vouch, hides nobody.
    """
    fronting: Named = defaultdict(set)
    open_ones = {
        vouch.origin for vouch in testimony.deeper if _is_vouched(testimony, settled, vouch.deeper, vouch.origin)
    }
    for origin, fits in told.items():
        if origin in open_ones or origin in settled.lies:
            continue
        fit, relays = _sum(fits), {fit.key.source for fit in fits}
        standing = testimony.standing.get(fit.host)
        if standing is not None and standing.relays >= max(MANY_RELAYS, OUTNUMBERED * len(relays)) and _is_certain(fit):
            for relay in relays:
                fronting[relay].add(origin)
    return dict(fronting)


def _lying(testimony: Testimony, told: Mapping[str, list[GroupFit]]) -> tuple[Named, Named]:
    """Relays that stand against many, and the addresses that they alone name: those that lie, those to be doubted."""
    suspects = {origin for origin, fits in told.items() if _contradicts(testimony, fits)}
    lying: Named = defaultdict(set)
    doubted: Named = defaultdict(set)
    for origin in suspects:
        relays = {fit.key.source for fit in told[origin]}
        trusted = any(testimony.is_trusted(relay, besides=suspects) for relay in relays)
        if _fits_others(told[origin], LYING_ODDS_TRUSTED if trusted else LYING_ODDS, trusted):
            for relay in relays:
                lying[relay].add(origin)
        elif not trusted and _fits_others(told[origin], DOUBT_ODDS, trusted):
            for relay in relays:
                doubted[relay].add(origin)
    _lying_in_sum(testimony, told, lying, doubted)
    for origin, standing in testimony.standing.items():
        only = standing.only
        if only in lying and not testimony.is_trusted(only, besides=suspects):  # nobody shares anything it says
            lying[only].add(origin)
    return dict(lying), dict(doubted)


def _lying_in_sum(testimony: Testimony, told: Mapping[str, list[GroupFit]], lying: Named, doubted: Named) -> None:
    """Relays that name somebody else every time: too little is told of each address, and enough of all together."""
    by_relay: dict[str, list[GroupFit]] = defaultdict(list)
    for origin, fits in told.items():
        if only := testimony.standing[origin].only:
            by_relay[only] += fits
    for relay, fits in by_relay.items():
        origins = {fit.key.origin for fit in fits}
        if len(origins) < SEVERAL_STORIES or testimony.is_trusted(relay) or not _contradicts(testimony, fits):
            continue
        if _fits_others(fits, LYING_ODDS, trusted=False):
            lying[relay] |= origins
        elif _fits_others(fits, DOUBT_ODDS, trusted=False):
            doubted[relay] |= origins


def _contradicts(testimony: Testimony, fits: Sequence[GroupFit]) -> bool:
    """Whether what is told of an address stands against a campaign for which many other relays speak."""
    host = _main_host(fits)
    standing = testimony.standing.get(host)
    relays = {fit.key.source for fit in fits}
    wanted = SOME_RELAYS if math.fsum(fit.log_odds for fit in fits) >= CERTAIN_ODDS else MANY_RELAYS
    if standing is None or standing.relays < max(wanted, OUTNUMBERED * len(relays) if len(relays) > 1 else 0):
        return False
    # A relay that names this address and, for others, the very host where what it brings fits, contradicts nobody.
    return not any((fit.key.source, fit.host) in testimony.pairs for fit in fits)


def _fits_others(fits: Sequence[GroupFit], wanted: float, trusted: bool) -> bool:
    """Whether what is told fits into others' campaigns with these odds, or claims to belong there."""
    inside, fitting = sum(fit.inside for fit in fits), sum(fit.fitting for fit in fits)
    odds = math.fsum(fit.log_odds for fit in fits)
    claims, visits = sum(fit.claims for fit in fits), sum(fit.visits for fit in fits)
    if odds >= wanted and fitting >= LYING_SHARE * max(inside, 1):
        return True
    return odds > 0 and claims >= LYING_CLAIMS and claims * 2 >= visits and not trusted


def _main_host(fits: Sequence[GroupFit]) -> str:
    hosts: dict[str, int] = defaultdict(int)
    for fit in fits:
        if fit.host:
            hosts[fit.host] += fit.visits
    return min(hosts, key=lambda origin: (-hosts[origin], origin), default="")


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
    standing = testimony.standing.get(origin)
    if standing is None or standing.only == besides:
        return False
    return origin not in settled.lies and origin not in settled.doubts


def _weigh_origins(settled: Settled, testimony: Testimony, sums: Mapping[GroupKey, GroupFit]) -> None:
    """Origins that remain, with confidence from their independent witnesses."""
    against: dict[str, set[str]] = defaultdict(set)
    for key, fit in sums.items():
        if key.origin in settled.lying.get(key.source, ()):
            against[fit.host].add(key.source)
    for address, standing in testimony.standing.items():
        if address in settled.lies or address in settled.doubts:
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
