"""Addresses that few relays name against a campaign for which many others speak.

Either such a relay lies, or the address hides for whom it forwards. The groups of guests that it is named for tell:
they fill exactly the holes in the others' campaign.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Final

from relaytrap.evidence.group_sums import CERTAIN_ODDS, is_certain, main_host, sum_fits
from relaytrap.evidence.host import FEW_RELAYS, MANY_RELAYS, OUTNUMBERED, SOME_RELAYS
from relaytrap.evidence.testimony import Testimony
from relaytrap.evidence.visits import GroupFit, GroupKey

__all__ = ["Named", "contradicting", "fronting", "told_by_few"]

Named = dict[str, set[str]]
"""Relay → addresses that it names."""

# A relay's lone word against many others': weaker when it agrees with nobody, stronger when it is otherwise reliable.
LYING_ODDS: Final = 8.0
LYING_ODDS_TRUSTED: Final = 14.0
LYING_SHARE: Final = 0.8
DOUBT_ODDS: Final = 3.0
LYING_CLAIMS: Final = 3
# So many addresses that nobody else names are looked at together.
SEVERAL_STORIES: Final = 2


def told_by_few(testimony: Testimony, sums: Mapping[GroupKey, GroupFit]) -> dict[str, list[GroupFit]]:
    """Address that few relays name → the groups of guests that they name it for."""
    told: dict[str, list[GroupFit]] = defaultdict(list)
    for key, fit in sums.items():
        standing = testimony.standing.get(key.origin)
        if standing is not None and standing.relays <= FEW_RELAYS:
            told[key.origin].append(fit)
    return told


def contradicting(testimony: Testimony, told: Mapping[str, list[GroupFit]]) -> tuple[Named, Named]:
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
    host = main_host(fits)
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


def fronting(testimony: Testimony, told: Mapping[str, list[GroupFit]], lies: Set[str], doubts: Set[str]) -> Named:
    """Relays that rightly name whom they took requests from, and the addresses that hide for whom they forward.

    What an address brings shows that as it does of a source that looks direct: it makes requests anew behind a proxy.
    One that names its own upstream, for which others vouch, hides nobody.
    """
    found: Named = defaultdict(set)
    refused = lies | doubts
    open_ones = {
        vouch.origin
        for vouch in testimony.deeper
        if testimony.is_vouched(vouch.deeper, vouch.origin) and vouch.deeper not in refused
    }
    for origin, fits in told.items():
        if origin in open_ones or origin in lies:
            continue
        fit, relays = sum_fits(fits), {fit.key.source for fit in fits}
        standing = testimony.standing.get(fit.host)
        if standing is not None and standing.relays >= max(MANY_RELAYS, OUTNUMBERED * len(relays)) and is_certain(fit):
            for relay in relays:
                found[relay].add(origin)
    return dict(found)
