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

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from relaytrap.evidence.sequence import Fit, Rhythm, Sweep, Trial, find_clusters, split_sweeps
from relaytrap.evidence.topology_hiding import Masked, fits, sender_key, solve

__all__ = ["HOST_RELAYS", "GroupFit", "GroupKey", "Placement", "TrackInfo", "Visit", "WindowFindings", "associate"]


class TrackInfo(NamedTuple):
    """What the messages of one track have in common (columns of `messages` of the same names).

    source: where its requests came from; for a vouched track any of its relays, of which there are `relays`. masks:
    some of the masked hops.
    """

    verdict: str
    source: str
    origin: str | None
    origin_port: int
    shape: int
    stack: int
    masks: tuple[Masked, ...] = ()
    relays: int = 1


class Visit(NamedTuple):
    """One request: identity, time (ns), track, who handed it to us, what it tried, where, and which transaction.

    claim: the address that its claims name; "" for none. goal: see evidence.track.goal_of.
    """

    id: int
    at: int
    track: int
    source: str
    target: int
    sensor: str
    transaction: int
    claim: str
    goal: str
    method: str = ""


class Placement(NamedTuple):
    """A guest's place: the origin of the host it belongs to ("" for nowhere), with the reason for people.

    odds: natural logarithm by which that host beats the next best explanation. inferred: the number of masked messages
    that the origin was worked out from; 0 for other reasons.
    """

    visit: Visit
    origin: str
    odds: float
    why: str
    inferred: int = 0


class GroupKey(NamedTuple):
    """Guests that stand or fall together: one source, stack and shape; `origin` is whom it named, "" for nobody."""

    source: str
    stack: int
    shape: int
    origin: str


class GroupFit(NamedTuple):
    """How the guests of one group fitted into the hosts of one window; the numbers of several windows add up.

    host: where most of them were placed, "" for nowhere. visits: all. inside: within ranges that hosts tried. fitting:
    of those, on something not tried yet (or tried over and over by a host that repeats). between, pairs: how many pairs
    of guests of one host have requests of the host between them, in time and in value. log_odds: of belonging against
    chance. claims: guests whose claims name the host's origin.
    """

    key: GroupKey
    verdict: str
    host: str
    visits: int
    inside: int
    fitting: int
    pairs: int
    between: int
    log_odds: float
    claims: int


class WindowFindings(NamedTuple):
    """What one window gives: placements of guests ("" as origin for no place), and the groups' sums."""

    placements: list[Placement]
    groups: list[GroupFit]


# Weights, as natural logarithms of odds; judgement, settled on recorded scenes with known truth.
CLAIM_NAMES_HOST: Final = 4.0
CLAIM_NAMES_OTHER: Final = -4.0
SAME_SHAPE: Final = 1.5
OTHER_GOAL: Final = -1.0
OTHER_SENSOR: Final = -0.2
# A host whose relays each get the next stretch of a range may have gone on with another relay.
NEXT_STRETCH: Final = 1.0
LONE_HOST: Final = -2.0
MASK_FITS: Final = 6.0
NO_TARGET: Final = Fit(0.0, False, False, False, 0.0, 0.0)
PLACED_AHEAD: Final = 1.0
NOBODY: Final = 0.0
# What shape, next stretch and beat together cannot lift to PLACED_AHEAD.
HOPELESS: Final = -3.0
# How far outside a host's own time a guest may lie, as a part of that time and at least (ns).
SLACK: Final = 0.5
SLACK_NS: Final = 60 * 10**9
HOST_RELAYS: Final = 2
STRETCH_MIN: Final = 5
UNMATCHED_MIN: Final = 4


@dataclass(slots=True)
class Host:
    """A campaign that relays vouch for, as far as this window shows it."""

    origin: str
    port: int
    trials: list[Trial] = field(default_factory=list)
    relays: set[str] = field(default_factory=set)
    tried: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    stretches: bool = False
    begin: int = 1
    end: int = 0
    lone: bool = False
    weight: float = 0.0
    shapes: set[int] = field(default_factory=set)
    goals: set[str] = field(default_factory=set)
    sensors: set[str] = field(default_factory=set)
    vouched: list[Sweep] = field(default_factory=list)
    filled: list[Sweep] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    rhythm: Rhythm = field(default_factory=lambda: Rhythm(()))

    def close(self) -> None:
        """Order the trials and split them into sweeps."""
        self.trials.sort()
        self.vouched = split_sweeps(self.trials)
        self.filled = list(self.vouched)
        self.firsts = [sweep.first for sweep in self.vouched]
        if self.vouched:
            first, last = self.vouched[0].first, self.vouched[-1].last
            slack = max(SLACK_NS, int((last - first) * SLACK))
            self.begin, self.end = first - slack, last + slack
        self.times = [trial.at for trial in self.trials]
        self.values = sorted({trial.target for trial in self.trials})
        self.stretches = self._has_stretches()
        self.lone = len(self.relays) < HOST_RELAYS
        self.weight = LONE_HOST if self.lone else 0.0
        self.rhythm = Rhythm(self.times)

    def _has_stretches(self) -> bool:
        """Whether every relay got a stretch of its own: ranges that do not overlap."""
        ranges = []
        for targets in self.tried.values():
            ranges += [(c.low, c.high) for c in find_clusters(targets) if c.count >= STRETCH_MIN]
        ranges.sort()
        return len(ranges) > 1 and all(high < low for (_, high), (low, _) in itertools.pairwise(ranges))

    def index_at(self, at: int) -> int:
        """Index of the sweep that was running, or of the nearest while the host was about; -1 when it was not."""
        if not self.begin <= at <= self.end:
            return -1
        return max(bisect_right(self.firsts, at) - 1, 0) if len(self.firsts) > 1 else 0

    def is_between(self, one: Visit, next_one: Visit) -> bool:
        """Whether the host was at work between two guests, in time and in value."""
        low, high = sorted((one.target, next_one.target))
        between_times = bisect_left(self.times, next_one.at) > bisect_right(self.times, one.at)
        return between_times and bisect_left(self.values, high) > bisect_right(self.values, low)


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
    ordered = sorted(visits, key=lambda visit: (visit.at, visit.id))
    first_of: dict[int, Visit] = {}
    for visit in ordered:
        first_of.setdefault(visit.transaction, visit)
    kept = [visit for visit in ordered if first_of[visit.transaction] is visit]
    hosts = _hosts(tracks, kept)
    groups = _guests(tracks, kept, hosts)
    placed = _place_masked(tracks, groups, hosts)
    placed |= _place(tracks, groups, hosts, placed, certain=True)
    certain = frozenset(placed)
    _fill(hosts, placed.values())
    placed |= _place(tracks, groups, hosts, placed, certain=False)
    placed = _worth_keeping(tracks, groups, placed)
    fits_of = [
        each for key, guests in groups.items() if (each := _group_fit(tracks, key, guests, placed, hosts, certain))
    ]
    repeats = (
        placed[first.id]._replace(visit=visit)
        for visit in ordered
        if (first := first_of[visit.transaction]) is not visit and first.id in placed
    )
    return WindowFindings([*placed.values(), *repeats], fits_of)


def _hosts(tracks: Mapping[int, TrackInfo], visits: Sequence[Visit]) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    for visit in visits:
        info = tracks[visit.track]
        if info.verdict != "relayed" or not info.origin:
            continue
        host = hosts.get(info.origin)
        if host is None:
            host = hosts[info.origin] = Host(info.origin, info.origin_port)
        if visit.target:
            host.trials.append(Trial(visit.at, visit.target))
            host.tried[visit.source].add(visit.target)
        host.relays.add(visit.source)
        host.shapes.add(info.shape)
        host.goals.add(visit.goal)
        host.sensors.add(visit.sensor)
    for host in hosts.values():
        host.close()
    return hosts


def _guests(
    tracks: Mapping[int, TrackInfo], visits: Sequence[Visit], hosts: Mapping[str, Host]
) -> dict[GroupKey, list[Visit]]:
    groups: dict[GroupKey, list[Visit]] = defaultdict(list)
    several = any(len(host.relays) >= HOST_RELAYS for host in hosts.values())
    for visit in visits:
        info = tracks[visit.track]
        named = info.origin if info.verdict == "relayed" and info.origin else ""
        lone = bool(named) and len(hosts[named].relays) < HOST_RELAYS
        silent = info.verdict == "hidden" or (info.verdict == "relayed" and not named)
        if silent or (several and (lone or info.verdict == "direct")):
            groups[GroupKey(visit.source, info.stack, info.shape, named)].append(visit)
    return groups


# ---- masked hops -------------------------------------------------------------------------------------------------


def _place_masked(
    tracks: Mapping[int, TrackInfo], groups: Mapping[GroupKey, list[Visit]], hosts: Mapping[str, Host]
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
    placed: dict[int, Placement] = {}
    for key, guests in members.items():
        found = _unmasked(sorted(samples[key], key=lambda masked: (masked.via, masked.contact)), hosts)
        if found is None:
            continue
        origin, odds = found
        why = f"Under one alphabet for all {len(guests)} masked messages of this relay only the sender {origin} fits."
        placed |= {visit.id: Placement(visit, origin, odds, why, len(guests)) for visit in guests}
    return placed


def _unmasked(samples: list[Masked], hosts: Mapping[str, Host]) -> tuple[str, float] | None:
    if solution := solve(samples):
        return solution.sender.address, MASK_FITS
    fitting = [host.origin for host in hosts.values() if all(fits(each, host.origin, host.port) for each in samples)]
    return (fitting[0], MASK_FITS) if len(fitting) == 1 else None


# ---- weighing ----------------------------------------------------------------------------------------------------


def _place(
    tracks: Mapping[int, TrackInfo],
    groups: Mapping[GroupKey, list[Visit]],
    hosts: Mapping[str, Host],
    placed: Mapping[int, Placement],
    certain: bool,
) -> dict[int, Placement]:
    """Places for guests that have none yet. certain: only those whose claims name the host; else every one gets one,
    if only the empty place."""
    by_shape: dict[int, list[Host]] = defaultdict(list)
    for host in hosts.values():
        for shape in host.shapes:
            by_shape[shape].append(host)
    every = list(hosts.values())
    found: dict[int, Placement] = {}
    for key, guests in groups.items():
        candidates = by_shape.get(key.shape)
        for visit in guests:
            if visit.id in placed and placed[visit.id].origin:
                continue
            info, named = tracks[visit.track], _named(visit.claim, hosts)
            if certain and named is None:
                continue
            unmatched = [] if info.verdict == "direct" and len(guests) < UNMATCHED_MIN else every
            place = _best(visit, info, key, candidates or unmatched, named)
            if place.origin or not certain:
                found[visit.id] = place
    return found


def _best(visit: Visit, info: TrackInfo, key: GroupKey, candidates: Sequence[Host], named: Host | None) -> Placement:
    """The place of one guest. candidates: hosts of its shape, or all when none has it. named: the one claims name.

    This is the inner loop of the analysis: what cannot win is left as soon as that is known.
    """
    at, target, goal, sensor = visit.at, visit.target, visit.goal, visit.sensor
    apparent = info.verdict == "direct" or bool(key.origin)
    best, second = NOWHERE, NOBODY
    for host in candidates:
        if not host.begin <= at <= host.end or (apparent and host.lone):
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
    """The host that a claim names, if several relays vouch for it; one relay alone may have put it there."""
    host = hosts.get(claim) if claim else None
    return host if host is not None and len(host.relays) >= HOST_RELAYS else None


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


# ---- groups ------------------------------------------------------------------------------------------------------


def _group_fit(
    tracks: Mapping[int, TrackInfo],
    key: GroupKey,
    guests: Sequence[Visit],
    placed: Mapping[int, Placement],
    hosts: Mapping[str, Host],
    certain: Set[int],
) -> GroupFit | None:
    """The sums of a group; None when no host could have had any of its guests.

    certain: guests that were placed by more than their fit, and fill holes that others cannot have.
    """
    members: dict[str, list[Visit]] = defaultdict(list)
    for visit in guests:
        if (place := placed.get(visit.id)) and place.origin:
            members[place.origin].append(visit)
    best = min(members, key=lambda origin: (-len(members[origin]), origin), default="")
    candidates = [host for origin in members if (host := hosts.get(origin))]
    if not members:
        candidates = [host for host in hosts.values() if key.shape in host.shapes and len(host.relays) >= HOST_RELAYS]
    inside = fitting = 0
    log_odds = 0.0
    for visit in guests:
        shape = tracks[visit.track].shape
        known = any(shape in host.shapes for host in hosts.values())
        fitting_hosts = [host for host in candidates if not known or shape in host.shapes]
        said = _against_chance(visit, fitting_hosts, filled=visit.id not in certain)
        if said is not None:
            inside += 1
            fitting += said.fitting
            log_odds += said.log_odds
    if not members and not inside:
        return None
    pairs = between = 0
    for origin, those in members.items():
        if host := hosts.get(origin):
            pairs += len(those) - 1
            between += sum(host.is_between(one, other) for one, other in itertools.pairwise(those))
    claims = sum(bool(best) and visit.claim == best for visit in guests)
    verdict = tracks[guests[0].track].verdict
    return GroupFit(key, verdict, best, len(guests), inside, fitting, pairs, between, log_odds, claims)


class Said(NamedTuple):
    """One guest against a stranger that tries something in the same ranges."""

    fitting: bool
    log_odds: float


def _against_chance(visit: Visit, hosts: Sequence[Host], *, filled: bool) -> Said | None:
    """None outside of what any host tried. With several hosts a stranger has as many chances to fit one.

    filled: against what is certain to be the host's, not only what is vouched for.
    """
    found: list[Fit] = []
    for host in hosts:
        index = host.index_at(visit.at)
        if (
            index >= 0
            and visit.target
            and (fit := (host.filled if filled else host.vouched)[index].fit(visit.target)).inside
        ):
            found.append(fit)
    if not found:
        return None
    best = max(fit.log_odds for fit in found)
    return Said(best > 0, best - math.log(len(found)))
