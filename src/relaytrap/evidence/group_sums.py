"""What the guests of a group show over all windows: whose requests they are, and how sure that is.

One GroupFit comes from each window; its numbers add up.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from relaytrap.evidence.visits import GroupFit, GroupKey

__all__ = [
    "CERTAIN_ODDS",
    "FITTING_MIN",
    "FITTING_SHARE",
    "INSIDE_SHARE",
    "fits_well",
    "is_certain",
    "main_host",
    "sum_fits",
    "sum_groups",
]

# A group is its host's for certain when it fits this well: one chance in 60,000, six requests, hardly a misfit, most of
# them inside the sweep and between the host's own requests.
GROUP_ODDS: Final = 11.0
FITTING_MIN: Final = 6
FITTING_SHARE: Final = 0.9
INSIDE_SHARE: Final = 0.5
BETWEEN_SHARE: Final = 0.4
BETWEEN_SHARE_CERTAIN: Final = 0.2
# Odds that leave no doubt: less of everything else is asked then.
CERTAIN_ODDS: Final = 25.0


def sum_groups(groups: Iterable[GroupFit]) -> dict[GroupKey, GroupFit]:
    """One GroupFit a group over all windows; its host is the one with most visits."""
    by_key: dict[GroupKey, list[GroupFit]] = defaultdict(list)
    for group in groups:
        by_key[group.key].append(group)
    return {key: sum_fits(fits) for key, fits in by_key.items()}


def sum_fits(fits: Sequence[GroupFit]) -> GroupFit:
    """Several sums as one, under the key of the first; its host is the one with most visits."""
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


def is_certain(fit: GroupFit) -> bool:
    """Whether a group by itself shows that its requests are its host's."""
    return fit.log_odds >= GROUP_ODDS and fit.fitting >= FITTING_MIN and fits_well(fit)


def fits_well(fit: GroupFit) -> bool:
    """Whether a group is like a part of its host's; one that has no place is nobody's."""
    return (
        bool(fit.host)
        and fit.fitting >= FITTING_SHARE * fit.inside
        and fit.inside >= INSIDE_SHARE * fit.visits
        and _is_between(fit)
    )


def _is_between(fit: GroupFit) -> bool:
    """Whether the host was at work between the guests: between fewer of them where the fit leaves no doubt."""
    certain = fit.log_odds >= CERTAIN_ODDS and fit.between >= FITTING_MIN
    return fit.between >= (BETWEEN_SHARE_CERTAIN if certain else BETWEEN_SHARE) * fit.pairs


def main_host(fits: Iterable[GroupFit]) -> str:
    """The host where most of the guests of some groups were placed; "" for nowhere."""
    hosts: dict[str, int] = defaultdict(int)
    for fit in fits:
        if fit.host:
            hosts[fit.host] += fit.visits
    return min(hosts, key=lambda origin: (-hosts[origin], origin), default="")
