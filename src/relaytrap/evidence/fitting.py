"""How well the guests of one group fitted, as a sum that says how unlikely it is for a stranger."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from relaytrap.evidence.host import Candidates, Host
from relaytrap.evidence.sequence import Fit
from relaytrap.evidence.visits import GroupFit, GroupKey, Placement, TrackInfo, Visit

__all__ = ["fit_group"]


def fit_group(
    tracks: Mapping[int, TrackInfo],
    key: GroupKey,
    guests: Sequence[Visit],
    placed: Mapping[int, Placement],
    hosts: Mapping[str, Host],
    candidates: Candidates,
    certain: Set[int],
) -> GroupFit | None:
    """The sums of a group; None when no host could have had any of its guests.

    certain: guests that were placed by more than their fit, and fill holes that others cannot have. Guests that try
    what everybody tries first, and name nobody, are left out: they show neither a relay nor a lie.
    """
    members: dict[str, list[Visit]] = defaultdict(list)
    for visit in guests:
        if (place := placed.get(visit.id)) and place.origin:
            members[place.origin].append(visit)
    best = min(members, key=lambda origin: (-len(members[origin]), origin), default="")
    likely = [host for origin in members if (host := hosts.get(origin))]
    if not members:
        # What an origin sends itself is no guest of its own campaign, however well it fits there.
        own = (key.source, key.origin)
        likely = [host for host in candidates.of_shape(key.shape, lone=False) if host.origin not in own]
    inside = fitting = 0
    log_odds = 0.0
    of_shape: dict[int, list[Host]] = {}
    passed_over: set[int] = set()
    filled: set[Hole] = set()
    for visit in guests:
        shape = tracks[visit.track].shape
        if shape not in of_shape:
            is_known = bool(candidates.of_shape(shape))
            of_shape[shape] = [host for host in likely if not is_known or shape in host.shapes]
        said = _against_chance(visit, of_shape[shape], filled, anew=visit.id not in certain)
        if said is REPEATED or (said is not None and said.common and not (best and visit.claim == best)):
            passed_over.add(visit.id)
        elif said is not None:
            inside += 1
            fitting += said.fitting
            log_odds += said.log_odds
    if not members and not inside:
        return None
    pairs = between = 0
    for origin, placed_there in members.items():
        those = [visit for visit in placed_there if visit.id not in passed_over]
        if those and (host := hosts.get(origin)):
            pairs += len(those) - 1
            between += sum(host.is_between(one, other) for one, other in pairwise(those))
    claims = sum(bool(best) and visit.claim == best for visit in guests)
    verdict = tracks[guests[0].track].verdict
    visits = len(guests) - len(passed_over)
    return GroupFit(key, verdict, best, visits, inside, fitting, pairs, between, log_odds, claims)


class Said(NamedTuple):
    """One guest against a stranger that tries something in the same ranges."""

    fitting: bool
    log_odds: float
    common: bool


Hole = tuple[str, int, int]
"""What is missing in a sweep: its host's origin, the sweep's index, the target."""


def _against_chance(visit: Visit, hosts: Sequence[Host], filled: set[Hole], *, anew: bool) -> Said | None:
    """None outside of what any host tried. With several hosts a stranger has as many chances to fit one.

    filled: holes that guests of the group have filled, to which this one's is added: who tries one thing over and over
    fits once. anew: against what is certain to be the host's, not only what is vouched for.
    """
    found: list[tuple[Fit, Hole]] = []
    for host in hosts:
        index = host.index_at(visit.at)
        if (
            index >= 0
            and visit.target
            and (fit := (host.filled if anew else host.vouched)[index].fit(visit.target)).inside
        ):
            found.append((fit, (host.origin, index, visit.target)))
    if not found:
        return None
    best = max([fit for fit, _ in found], key=BY_ODDS)
    if best.log_odds > 0 and not best.taken:
        hole = next((hole for fit, hole in found if fit.log_odds > 0 and not fit.taken and hole not in filled), None)
        if hole is None:
            return REPEATED
        filled.add(hole)
    return Said(best.log_odds > 0, best.log_odds - math.log(len(found)), best.common)


BY_ODDS: Final = attrgetter("log_odds")
REPEATED: Final = Said(False, 0.0, False)
"""A guest that tries again what another of its group filled a hole with: one that was asked for a password, or one who
tries the same thing over and over."""
