"""Sources that look direct and are relays: they name nobody, and what they bring belongs to another's campaign."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from relaytrap.evidence.group_sums import FITTING_MIN, FITTING_SHARE, INSIDE_SHARE, fits_well, is_certain
from relaytrap.evidence.host import MANY_RELAYS
from relaytrap.evidence.testimony import Testimony
from relaytrap.evidence.visits import GroupFit, GroupKey

__all__ = ["hiding_sources"]

NAMED_CONFIDENCE: Final = 60
# Several sources with one stack and shape, judged together.
POOL_SOURCES: Final = 3
POOL_ODDS: Final = 16.0
POOL_FITTING: Final = 2


def hiding_sources(testimony: Testimony, sums: Mapping[GroupKey, GroupFit]) -> dict[tuple[str, int], int]:
    """(source, stack) of what looks direct and is a relay's, with how sure.

    A group is judged by itself, and together with all others of the same stack and shape: many relays of one product,
    each with a handful of requests, fit as one or not at all. One whose requests all name the host themselves (a B2BUA
    keeps a Call-ID or a session description) needs no more than a host that many relays vouch for.
    """
    groups = [fit for key, fit in sums.items() if fit.verdict == "direct" and not key.origin]
    found: dict[tuple[str, int], int] = {}
    for fit, score in chain(_alone(testimony, groups), _pooled(groups)):
        pair = fit.key.source, fit.key.stack
        found[pair] = max(found.get(pair, 0), score)
    return found


def _alone(testimony: Testimony, groups: Iterable[GroupFit]) -> Iterator[tuple[GroupFit, int]]:
    for fit in groups:
        if is_certain(fit):
            yield fit, min(60 + int(fit.log_odds), 90)
        elif _names_host(testimony, fit):
            yield fit, NAMED_CONFIDENCE


def _pooled(groups: Iterable[GroupFit]) -> Iterator[tuple[GroupFit, int]]:
    pools: dict[tuple[int, int], list[GroupFit]] = defaultdict(list)
    for fit in groups:
        pools[fit.key.stack, fit.key.shape].append(fit)
    for pool in pools.values():
        inside, fitting = sum(fit.inside for fit in pool), sum(fit.fitting for fit in pool)
        odds = math.fsum(fit.log_odds for fit in pool)
        if len(pool) >= POOL_SOURCES and odds >= POOL_ODDS and fitting >= max(FITTING_MIN, FITTING_SHARE * inside):
            for fit in pool:
                if fit.fitting >= POOL_FITTING and fits_well(fit):
                    yield fit, min(55 + int(odds), 80)


def _names_host(testimony: Testimony, fit: GroupFit) -> bool:
    standing = testimony.standing.get(fit.host)
    many = standing is not None and standing.relays >= MANY_RELAYS
    fits = fit.fitting >= FITTING_SHARE * fit.inside and fit.inside >= INSIDE_SHARE * fit.visits
    return many and fits and fit.claims >= FITTING_MIN and fit.claims >= FITTING_SHARE * fit.visits
