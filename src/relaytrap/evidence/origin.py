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
from typing import Final, NamedTuple

from relaytrap.evidence.association import GroupFit, GroupKey

__all__ = ["Origin", "Settled", "Vouch", "settle"]


class Vouch(NamedTuple):
    """What one relay says: it took `messages` requests from `origin`.

    inner: the hop through which it says so, when it did not see the origin itself; "" for its own testimony.
    deeper: an address that the origin in turn names as its upstream; "" for none. confidence: that of one message.
    network: what counts as one operator (an autonomous system, else a /16 or /32); country: of the relay.
    """

    relay: str
    origin: str
    inner: str = ""
    deeper: str = ""
    messages: int = 1
    confidence: int = 50
    network: str = ""
    country: str = ""


@dataclass(slots=True)
class Origin:
    """An address that is vouched for. relays: independent witnesses; doubted: relays whose word was set aside."""

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
    origin) → whom to believe instead of the origin that inner names, "" for nobody. behind: (address, deeper) → whom to
    believe when the address is a relay and names deeper. trusted: relays that agree with another about some origin.
    """

    origins: dict[str, Origin] = field(default_factory=dict)
    lying: dict[str, set[str]] = field(default_factory=dict)
    hiding: dict[tuple[str, int], int] = field(default_factory=dict)
    inner: set[str] = field(default_factory=set)
    chained: dict[tuple[str, str], str] = field(default_factory=dict)
    behind: dict[tuple[str, str], str] = field(default_factory=dict)
    trusted: set[str] = field(default_factory=set)

    def believed(self, relay: str, origin: str, inner: str = "", deeper: str = "") -> str:
        """The origin to believe when a relay names one: itself, another, or "" for nobody."""
        if origin in self.lying.get(relay, ()):
            return ""
        if inner:
            return self.chained.get((inner, origin), origin)
        if deeper:
            return self.behind.get((origin, deeper), origin)
        return origin


# A group that looks direct must fit this well before its source is called a relay: one chance in 60,000, six
# requests, hardly a misfit, most of them inside the sweep and between the host's own requests.
HIDING_ODDS: Final = 11.0
HIDING_FITTING: Final = 6
HIDING_SHARE: Final = 0.9
HIDING_INSIDE: Final = 0.5
HIDING_BETWEEN: Final = 0.4
# A relay's lone word against many others': weaker when it agrees with nobody, stronger when it is otherwise reliable.
LYING_ODDS: Final = 8.0
LYING_ODDS_TRUSTED: Final = 14.0
LYING_SHARE: Final = 0.8
LYING_CLAIMS: Final = 3
MANY_RELAYS: Final = 3


def settle(vouches: Iterable[Vouch], groups: Iterable[GroupFit], handing_on: Iterable[str] = ()) -> Settled:
    """Conclusions from all vouches and all sums of groups, in any order.

    handing_on: addresses seen as sources that hide for whom they forward; relays by other evidence than their word.
    """
    said = list(vouches)
    settled = Settled()
    witnesses = _witnesses(said)
    sums = _summed(groups)
    sources = {vouch.relay for vouch in said} | set(handing_on)
    for key, fit in sums.items():
        if _is_hiding(fit):
            pair = key.source, key.stack
            settled.hiding[pair] = max(settled.hiding.get(pair, 0), _hiding_confidence(fit))
    sources |= {source for source, _ in settled.hiding}
    settled.trusted = {relay for relays in witnesses.values() if len(relays) > 1 for relay in relays}
    settled.lying = _lying(witnesses, sums, settled.trusted)
    _settle_chains(settled, said, witnesses, sources)
    _weigh_origins(settled, said)
    return settled


def _witnesses(said: Iterable[Vouch]) -> dict[str, set[str]]:
    """Origin → relays that saw it themselves."""
    witnesses: dict[str, set[str]] = defaultdict(set)
    for vouch in said:
        if not vouch.inner:
            witnesses[vouch.origin].add(vouch.relay)
    return witnesses


def _summed(groups: Iterable[GroupFit]) -> dict[GroupKey, GroupFit]:
    """One GroupFit a group over all windows; its host is the one with most visits."""
    by_key: dict[GroupKey, list[GroupFit]] = defaultdict(list)
    for group in groups:
        by_key[group.key].append(group)
    return {key: _sum(fits) for key, fits in by_key.items()}


def _sum(fits: list[GroupFit]) -> GroupFit:
    hosts: dict[str, int] = defaultdict(int)
    for fit in fits:
        hosts[fit.host] += fit.visits
    host = min(hosts, key=lambda origin: (-hosts[origin], origin))
    return GroupFit(
        fits[0].key,
        min(fit.verdict for fit in fits),
        host,
        sum(fit.visits for fit in fits),
        sum(fit.inside for fit in fits),
        sum(fit.fitting for fit in fits),
        sum(fit.pairs for fit in fits),
        sum(fit.between for fit in fits),
        math.fsum(fit.log_odds for fit in fits),
        sum(fit.claims for fit in fits),
    )


def _is_hiding(fit: GroupFit) -> bool:
    return (
        fit.verdict == "direct"
        and fit.log_odds >= HIDING_ODDS
        and fit.fitting >= max(HIDING_FITTING, HIDING_SHARE * fit.inside)
        and fit.inside >= HIDING_INSIDE * fit.visits
        and fit.between >= HIDING_BETWEEN * fit.pairs
    )


def _hiding_confidence(fit: GroupFit) -> int:
    return min(60 + int(fit.log_odds), 90)


def _lying(
    witnesses: Mapping[str, set[str]], sums: Mapping[GroupKey, GroupFit], trusted: set[str]
) -> dict[str, set[str]]:
    """Relays that stand alone against many, and the addresses they name."""
    lying: dict[str, set[str]] = defaultdict(set)
    for key, fit in sums.items():
        if not key.origin or len(witnesses.get(key.origin, ())) > 1:
            continue
        others = witnesses.get(fit.host, set())
        if len(others) < MANY_RELAYS or key.source in others:
            continue
        wanted = LYING_ODDS_TRUSTED if key.source in trusted else LYING_ODDS
        fitting = fit.log_odds >= wanted and fit.fitting >= LYING_SHARE * max(fit.inside, 1)
        claimed = fit.claims >= LYING_CLAIMS and fit.claims * 2 >= fit.visits and key.source not in trusted
        if fitting or claimed:
            lying[key.source].add(key.origin)
    for relay in lying:
        if relay not in trusted:  # nothing it says is shared by anybody
            lying[relay] |= {origin for origin, relays in witnesses.items() if relays == {relay}}
    return dict(lying)


def _settle_chains(
    settled: Settled, said: Iterable[Vouch], witnesses: Mapping[str, set[str]], sources: set[str]
) -> None:
    """Which hops behind the first are believed, and to whom requests belong when they are not."""
    outer: dict[str, set[str]] = defaultdict(set)
    for vouch in said:
        if vouch.inner:
            outer[vouch.inner].add(vouch.relay)
    for vouch in said:
        if vouch.inner:
            independent = witnesses.get(vouch.origin, set()) - {vouch.inner}
            if independent or vouch.inner in sources:
                settled.inner.add(vouch.inner)
            elif len(outer[vouch.inner]) > 1:
                # Many relays took requests from it, and nobody else knows whom it names: it is the sender itself.
                settled.chained[vouch.inner, vouch.origin] = vouch.inner
            else:
                settled.chained[vouch.inner, vouch.origin] = ""
        elif vouch.deeper and vouch.origin in sources:
            # The address is a relay of its own; whom it names in turn counts only when others vouch for that one.
            independent = witnesses.get(vouch.deeper, set()) - {vouch.origin}
            settled.behind[vouch.origin, vouch.deeper] = vouch.deeper if independent else ""


def _weigh_origins(settled: Settled, said: Iterable[Vouch]) -> None:
    """Origins that remain, with confidence from their independent witnesses."""
    kept: dict[str, list[Vouch]] = defaultdict(list)
    doubts: dict[str, int] = defaultdict(int)
    for vouch in said:
        believed = settled.believed(vouch.relay, vouch.origin, vouch.inner, vouch.deeper)
        if believed == vouch.origin or (believed and vouch.inner == believed):
            kept[believed].append(vouch)
        elif not believed:
            doubts[vouch.origin] += 1
    for address, those in kept.items():
        relays = {vouch.relay: vouch for vouch in those}
        networks = {vouch.network or vouch.relay for vouch in those}
        countries = {vouch.country for vouch in those if vouch.country}
        best = max(vouch.confidence for vouch in those)
        agreed = bool(settled.trusted & relays.keys())
        settled.origins[address] = Origin(
            address,
            confidence(best, len(relays), len(networks), agreed, doubts[address]),
            len(relays),
            len(networks),
            len(countries),
            doubts[address],
        )


def confidence(best: int, relays: int, networks: int, agreed: bool, contradictions: int) -> int:
    """0 to 99: what one message is worth, more with every doubling of witnesses and of their networks."""
    score = best + 9 * math.log2(relays) + 6 * math.log2(networks) + (5 if agreed and relays == 1 else 0)
    return max(min(round(score) - 10 * contradictions, 99), 1)
