"""Requests that name nobody, put where they belong: into the holes of the campaigns whose origin is vouched for.

One window of time at a time, so that the cost of a new batch is that of its window. Hosts are the campaigns that relays
vouch for. Guests are requests of which the path tells too little: hidden behind a masking or stripping relay, relayed
without a usable word about the sender, vouched for by one relay alone, or apparently direct (a B2BUA looks like that).

Each guest is weighed against each host it could belong to, by natural logarithms of odds that add up: how it fits into
the sweep (evidence.sequence), whether its claims name the host's origin, whether it has the host's form and goal. It is
placed where one host stands out; otherwise it stays where it is. Whole groups of guests (one source, one stack of
identifiers) get a sum that says how unlikely it is that a stranger would have fitted so well; `evidence.origin` decides
from the sums of all windows whether an apparently direct source is a relay, and whether a lone relay lies.

Pure: results depend on the set of requests, not on their order.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from relaytrap.evidence.fitting import fit_group
from relaytrap.evidence.host import Candidates, Host, find_hosts
from relaytrap.evidence.sequence import Fit
from relaytrap.evidence.topology_hiding import Masked, fits, sender_key, solve
from relaytrap.evidence.visits import GroupKey, Placement, TrackInfo, Visit, WindowFindings

__all__ = ["associate"]

# Weights, as natural logarithms of odds; judgement, settled on recorded scenes with known truth.
CLAIM_NAMES_HOST: Final = 4.0
CLAIM_NAMES_OTHER: Final = -4.0
SAME_SHAPE: Final = 1.5
OTHER_GOAL: Final = -1.0
OTHER_SENSOR: Final = -0.2
# Campaigns do change their method, but of two that run side by side a guest belongs to the one that uses its own.
OTHER_METHOD: Final = -1.2
# A host whose relays each get the next stretch of a range may have gone on with another relay.
NEXT_STRETCH: Final = 1.0
MASK_FITS: Final = 6.0
NO_TARGET: Final = Fit(0.0, False, False, False, 0.0, 0.0)
PLACED_AHEAD: Final = 1.0
NOBODY: Final = 0.0
# What shape, next stretch and beat together cannot lift to PLACED_AHEAD.
HOPELESS: Final = -3.0
UNMATCHED_MIN: Final = 4
# So many senders behind masking relays are looked for in one window, those with most requests first: whoever makes up
# masks by the thousand shall not hold up the rest.
MASKED_MAX: Final = 128


class Best(NamedTuple):
    """The host that beats the others so far."""

    odds: float
    origin: str
    host: Host | None
    fit: Fit
    beat: float


NOWHERE: Final = Best(-math.inf, "", None, NO_TARGET, 0.0)


def associate(tracks: Mapping[int, TrackInfo], visits: Iterable[Visit]) -> WindowFindings:
    """Place the guests of one window. tracks: what every track among the visits is."""
    ordered = sorted(visits, key=attrgetter("at", "id"))
    first_of: dict[int, Visit] = {}
    for visit in ordered:
        first_of.setdefault(visit.transaction, visit)
    kept = [visit for visit in ordered if first_of[visit.transaction] is visit]
    hosts = find_hosts(tracks, kept)
    groups = _guests(tracks, kept, hosts)
    candidates = Candidates(hosts)
    placed = _place_masked(tracks, groups, candidates)
    placed |= _place(tracks, groups, hosts, candidates, placed, certain=True)
    certain = frozenset(placed)
    _fill(hosts, placed.values())
    placed |= _place(tracks, groups, hosts, candidates, placed, certain=False)
    placed = _worth_keeping(tracks, groups, placed)
    fits_of = [
        each
        for key, guests in groups.items()
        if (each := fit_group(tracks, key, guests, placed, hosts, candidates, certain))
    ]
    repeats = (
        placed[first.id]._replace(visit=visit)
        for visit in ordered
        if (first := first_of[visit.transaction]) is not visit and first.id in placed
    )
    return WindowFindings([*placed.values(), *repeats], fits_of)


def _guests(
    tracks: Mapping[int, TrackInfo], visits: Sequence[Visit], hosts: Mapping[str, Host]
) -> dict[GroupKey, list[Visit]]:
    groups: dict[GroupKey, list[Visit]] = defaultdict(list)
    several = any(not host.lone for host in hosts.values())
    for visit in visits:
        info = tracks[visit.track]
        named = info.origin if info.verdict == "relayed" and info.origin else ""
        lone = bool(named) and hosts[named].lone
        silent = info.verdict == "hidden" or (info.verdict == "relayed" and not named)
        if silent or (several and (lone or info.verdict == "direct")):
            groups[GroupKey(visit.source, info.stack, info.shape, named)].append(visit)
    return groups


# ---- masked hops -------------------------------------------------------------------------------------------------


def _place_masked(
    tracks: Mapping[int, TrackInfo], groups: Mapping[GroupKey, list[Visit]], candidates: Candidates
) -> dict[int, Placement]:
    """Guests whose hops are masked with a secret key: by the sender that fits them all, if there is just one."""
    samples: dict[tuple[str, bytes], list[Masked]] = defaultdict(list)
    members: dict[tuple[str, bytes], list[Visit]] = defaultdict(list)
    for guests in groups.values():
        for visit in guests:
            if masks := tracks[visit.track].masks:
                key = (visit.source, sender_key(masks[0].via))
                members[key].append(visit)
    for key, guests in members.items():
        for track in dict.fromkeys(visit.track for visit in guests):
            samples[key] += tracks[track].masks
    named: dict[tuple[str, bytes], Named] = {}
    for key in sorted(members, key=lambda key: (-len(members[key]), key))[:MASKED_MAX]:
        if found := _unmasked(sorted(samples[key], key=lambda masked: (masked.via, masked.contact)), candidates.every):
            named[key] = found
    # One relay has one key, under which one sender's hops begin alike: two that begin differently are not both its.
    alike = Counter((relay, sender.address, sender.port) for (relay, _), sender in named.items())
    placed: dict[int, Placement] = {}
    for key, sender in named.items():
        if sender.is_only or alike[key[0], sender.address, sender.port] == 1:
            number, among = len(members[key]), "" if sender.is_only else " of all that are known"
            why = f"Under one alphabet for all {number} masked messages of this relay only the sender {sender.address}"
            placed |= {
                visit.id: Placement(visit, sender.address, MASK_FITS, f"{why}{among} fits.", number)
                for visit in members[key]
            }
    return placed


class Named(NamedTuple):
    """Whom masked messages name. is_only: no other address at all would fit, rather than none of the known ones."""

    address: str
    port: int
    is_only: bool


def _unmasked(samples: list[Masked], hosts: Sequence[Host]) -> Named | None:
    if solution := solve(samples):
        return Named(solution.sender.address, solution.sender.port, is_only=True)
    fitting = [host for host in hosts if all(fits(each, host.origin, host.port) for each in samples)]
    return Named(fitting[0].origin, fitting[0].port, is_only=False) if len(fitting) == 1 else None


# ---- weighing ----------------------------------------------------------------------------------------------------


def _place(
    tracks: Mapping[int, TrackInfo],
    groups: Mapping[GroupKey, list[Visit]],
    hosts: Mapping[str, Host],
    candidates: Candidates,
    placed: Mapping[int, Placement],
    certain: bool,
) -> dict[int, Placement]:
    """Places for guests that have none yet. certain: only those whose claims name the host; else every one gets one,
    if only the empty place."""
    found: dict[int, Placement] = {}
    for key, guests in groups.items():
        for visit in guests:
            if visit.id in placed and placed[visit.id].origin:
                continue
            info, named = tracks[visit.track], _named(visit.claim, hosts)
            if certain and named is None:
                continue
            apparent = info.verdict == "direct" or bool(key.origin)
            likely = candidates.of_shape(key.shape, lone=not apparent)
            if not candidates.of_shape(key.shape) and not (info.verdict == "direct" and len(guests) < UNMATCHED_MIN):
                likely = [host for host in candidates.every if not (apparent and host.lone)]
            place = _best(visit, info, key, likely, named)
            if place.origin or not certain:
                found[visit.id] = place
    return found


def _best(visit: Visit, info: TrackInfo, key: GroupKey, candidates: Sequence[Host], named: Host | None) -> Placement:
    """The place of one guest. candidates: hosts that it may belong to. named: the one its claims name.

    This is the inner loop of the analysis: what cannot win is left as soon as that is known.
    """
    at, target, goal, sensor = visit.at, visit.target, visit.goal, visit.sensor
    best, second = NOWHERE, NOBODY
    for host in candidates:
        if not host.begin <= at <= host.end:
            continue
        fit = host.filled[host.index_at(at)].fit(target) if target else NO_TARGET
        odds = fit.rank + host.weight
        if named is not None:
            odds += CLAIM_NAMES_HOST if named is host else CLAIM_NAMES_OTHER
        if odds < HOPELESS or host.origin == key.origin or host.origin == visit.source:
            continue
        if fit.near and host.stretches:
            odds += NEXT_STRETCH
        if info.shape in host.shapes:
            odds += SAME_SHAPE
        if goal not in host.goals:
            odds += OTHER_GOAL
        if sensor not in host.sensors:
            odds += OTHER_SENSOR
        if visit.method not in host.methods:
            odds += OTHER_METHOD
        beat = host.rhythm.fit(at)
        odds += beat
        if odds > best.odds or (odds == best.odds and host.origin < best.origin):
            second = max(second, best.odds)
            best = Best(odds, host.origin, host, fit, beat)
        else:
            second = max(second, odds)
    if best.host is None or best.odds - second < PLACED_AHEAD:
        return Placement(visit, "", 0.0, "")
    return Placement(visit, best.origin, best.odds - second, _why(info, best, named))


def _why(info: TrackInfo, best: Best, named: Host | None) -> str:
    """The reasons for a place, for people."""
    fit, host, reasons = best.fit, best.host, []
    if host is None:
        return ""
    if fit.inside and not fit.taken:
        density = f"of which {fit.density:.0%} is vouched for" if fit.density else "at its end"
        reasons.append(f"fills a hole in a sweep {density}")
    elif fit.taken and fit.log_odds > 0:
        reasons.append("tries what this campaign tries over and over")
    elif fit.near and host.stretches:
        reasons.append("goes on where a relay before it left off")
    if named is host:
        reasons.append("its claims name the origin that others vouch for")
    if info.shape in host.shapes:
        reasons.append("it is written in the same form")
    if best.beat > 0:
        reasons.append("comes where this campaign's even beat misses one")
    return "; ".join(reasons)


def _named(claim: str, hosts: Mapping[str, Host]) -> Host | None:
    """The host that a claim names, unless it is one that few relays alone may have put there."""
    host = hosts.get(claim) if claim else None
    return None if host is None or host.lone else host


def _worth_keeping(
    tracks: Mapping[int, TrackInfo], groups: Mapping[GroupKey, list[Visit]], placed: Mapping[int, Placement]
) -> dict[int, Placement]:
    """Placements without those of groups that name somebody or look direct, and of which nobody found a place."""
    kept: dict[int, Placement] = {}
    for key, guests in groups.items():
        those = {visit.id: placed[visit.id] for visit in guests if visit.id in placed}
        silent = not key.origin and tracks[guests[0].track].verdict != "direct"
        if silent or any(place.origin for place in those.values()):
            kept |= those
    return kept


def _fill(hosts: Mapping[str, Host], placed: Iterable[Placement]) -> None:
    """Take what was placed for certain into the sweeps, so that a hole is not filled twice."""
    added: dict[tuple[str, int], set[int]] = defaultdict(set)
    for placement in placed:
        host = hosts.get(placement.origin)
        if host is not None and placement.visit.target and (index := host.index_at(placement.visit.at)) >= 0:
            added[host.origin, index].add(placement.visit.target)
    for (origin, index), targets in added.items():
        host = hosts[origin]
        host.filled[index] = host.vouched[index].with_targets(targets)
