"""Sweeps: what a campaign has tried so far, and how well one more request fits into what is still missing.

A scan that tries every extension once, spread over many relays and sensors, leaves holes where a relay hid for whom it
forwarded. A hidden request that falls into a hole of the vouched sequence, and not on something tried before, belongs
to it with odds that grow with the density of the sweep: where 85 % are taken, a stranger would hit a hole in 15 % of
cases. `log_odds` is that, as a natural logarithm, for one request; the odds of many requests multiply.

Campaigns that try the same few numbers over and over are no sweeps; there the odds lie in hitting what was tried.

Many tools also keep time. Where a campaign's requests come at an even beat, a missing beat is a hole as well: `Rhythm`
tells two campaigns apart that try the same things through the same relays.
"""

import itertools
import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["Fit", "Rhythm", "Sweep", "Trial", "find_clusters", "split_sweeps"]

# Extensions have few digits; two scans meet on a long number only because they dial the same one.
NUMBER_MIN: Final = 10**6
HASHED: Final = 1 << 63

# A sweep has begun anew when this many of the last WATCHED requests repeat what it had already tried.
WATCHED: Final = 8
REPEATS: Final = 5

GAP_MIN: Final = 20
GAP_TIMES: Final = 10
CLUSTER_MIN: Final = 5
CHANCE_SMALL: Final = 0.3
CHANCE_NUMBER: Final = 0.02
MOST: Final = 4.0
RANK: Final = 0.75
RANK_SLOPE: Final = 0.5
RANK_MOST: Final = 1.5
OUTSIDE_NEAR: Final = -1.0
OUTSIDE_FAR: Final = -2.5


class Trial(NamedTuple):
    """One request of a sequence: when (nanoseconds), and what it tried (see evidence.track.target_number)."""

    at: int
    target: int


class Fit(NamedTuple):
    """How one request fits into a sweep.

    log_odds: of belonging to it against chance. taken: it repeats what was tried. inside: within the ranges tried;
    near: next to them. density: part of the range around it that was tried. rank: what the fit counts for when several
    hosts are compared. A guest that fits several holes is as likely to belong to any of their hosts: one with few holes
    left has few guests to come. So density speaks against strangers, but hardly for one host against another. common:
    it repeats one of few small numbers, as everybody's first tries do.
    """

    log_odds: float
    taken: bool
    inside: bool
    near: bool
    density: float
    rank: float
    common: bool = False


def _fit(log_odds: float, density: float, *, taken: bool, common: bool = False) -> Fit:
    log_odds = max(min(log_odds, MOST), -MOST)
    rank = RANK + RANK_SLOPE * min(log_odds, RANK_MOST) if log_odds > 0 else log_odds
    return Fit(log_odds, taken, True, False, density, rank, common)


NEAR: Final = Fit(OUTSIDE_NEAR, False, False, True, 0.0, OUTSIDE_NEAR)
EDGE: Final = Fit(0.2, False, True, False, 0.0, 0.85)
FAR: Final = Fit(OUTSIDE_FAR, False, False, False, 0.0, OUTSIDE_FAR)


@dataclass(slots=True)
class Cluster:
    """A range of targets without wide gaps: from lowest to highest, and how many of them were tried.

    taken, free: how a request fits here that repeats something tried, or tries something new. margin: how far beyond
    its ends it may well go, by its own spacing.
    """

    low: int
    high: int
    count: int
    taken: Fit = FAR
    free: Fit = FAR
    margin: int = 0

    def close(self, repeats: float) -> None:
        """Work out the fits; repeats: share of the sweep's requests that repeat."""
        density = min(self.count / (self.high - self.low + 1), 0.99)
        few = self.count < CLUSTER_MIN
        if few:
            density = CHANCE_NUMBER if self.high >= NUMBER_MIN else CHANCE_SMALL
        else:
            self.margin = math.ceil(1 / density)
        self.taken, self.free = _fits(repeats, density, few and self.high < NUMBER_MIN)


@lru_cache(1 << 12)
def _fits(repeats: float, density: float, common: bool) -> tuple[Fit, Fit]:
    """Fits of what was tried, and of what was not; most ranges are single targets, and alike."""
    taken = _fit(math.log(repeats / density), density, taken=True, common=common)
    return taken, _fit(math.log((1 - repeats) / (1 - density)), density, taken=False)


@dataclass(slots=True)
class Sweep:
    """Requests between two beginnings, each target once but for a few repeats."""

    first: int
    last: int
    targets: set[int] = field(default_factory=set)
    requests: int = 0
    clusters: list[Cluster] = field(default_factory=list)
    lows: list[int] = field(default_factory=list)

    @property
    def repeats(self) -> float:
        """Share of requests that repeat an earlier one, kept off 0 and 1."""
        return min(max(1 - len(self.targets) / self.requests, 0.02), 0.95)

    def close(self) -> None:
        """Work out the clusters; call when the requests are complete or have grown."""
        self.clusters = find_clusters(self.targets)
        self.lows = [cluster.low for cluster in self.clusters]
        repeats = self.repeats
        for cluster in self.clusters:
            cluster.close(repeats)

    def with_targets(self, targets: set[int]) -> "Sweep":
        """A closed copy that has tried these too."""
        grown = Sweep(self.first, self.last, self.targets | targets, self.requests + len(targets - self.targets))
        grown.close()
        return grown

    def fit(self, target: int) -> Fit:
        """How a request for a target fits; the sweep must be closed."""
        index = bisect_right(self.lows, target) - 1
        if index >= 0:
            cluster = self.clusters[index]
            if target <= cluster.high:
                return cluster.taken if target in self.targets else cluster.free
            if target - cluster.high <= cluster.margin:
                return EDGE
        if index + 1 < len(self.clusters) and self.lows[index + 1] - target <= self.clusters[index + 1].margin:
            return EDGE
        return NEAR if self._is_near(target) else FAR

    def _is_near(self, target: int) -> bool:
        """Next to what was tried, as the following stretch of a scan is."""
        if not self.clusters or target >= NUMBER_MIN:
            return False
        low, high = self.lows[0], self.clusters[-1].high
        width = max(high - low, GAP_MIN)
        return low - width <= target <= high + width


def find_clusters(targets: Iterable[int]) -> list[Cluster]:
    """Ranges of targets, cut where the gap is wide against the spacing of the range so far; hashes stand alone."""
    clusters: list[Cluster] = []
    low = high = count = 0
    for target in sorted(targets):
        if count and target < HASHED and target - high <= _widest(low, high, count):
            high, count = target, count + 1
            continue
        if count:
            clusters.append(Cluster(low, high, count))
        low, high, count = target, target, 1
    if count:
        clusters.append(Cluster(low, high, count))
    return clusters


def _widest(low: int, high: int, count: int) -> int:
    """The gap that does not yet end a range."""
    return GAP_MIN if count < CLUSTER_MIN else int(max(GAP_MIN, GAP_TIMES * (high - low) / (count - 1)))


def split_sweeps(trials: Sequence[Trial]) -> list[Sweep]:
    """Sweeps of one campaign, in order; trials: in order of time. Hosts that try the same over and over give one."""
    sweeps: list[Sweep] = []
    current: Sweep | None = None
    recent: list[bool] = []
    pending: list[Trial] = []
    for trial in trials:
        if current is None:
            current = Sweep(trial.at, trial.at)
            sweeps.append(current)
        repeated = trial.target in current.targets
        recent.append(repeated)
        pending.append(trial)
        if len(recent) > WATCHED:
            recent.pop(0)
            pending.pop(0)
        if repeated and sum(recent) >= REPEATS and len(current.targets) >= 2 * WATCHED:
            # The repeats of the last few requests were the next sweep's first ones.
            begun = [each for each, again in zip(pending, recent, strict=True) if again]
            current.requests -= len(begun) - 1
            current = Sweep(begun[0].at, trial.at, {each.target for each in begun}, len(begun))
            sweeps.append(current)
            recent, pending = [], []
            continue
        current.targets.add(trial.target)
        current.requests += 1
        current.last = trial.at
    kept = _merged(sweeps)
    for sweep in kept:
        sweep.close()
    return kept


SHORT_SWEEP: Final = 24


def _merged(sweeps: list[Sweep]) -> list[Sweep]:
    """One sequence when most sweeps are short: a campaign that repeats a few targets rather than sweeping a range."""
    if len(sweeps) < 2 or sum(len(sweep.targets) < SHORT_SWEEP for sweep in sweeps) * 2 < len(sweeps):
        return sweeps
    targets = set().union(*(sweep.targets for sweep in sweeps))
    requests = sum(sweep.requests for sweep in sweeps)
    return [Sweep(sweeps[0].first, sweeps[-1].last, targets, requests)]


# A beat is one when this many gaps, and this share of them, are whole multiples of it, give or take EVEN of a beat.
BEATS_MIN: Final = 20
BEATS_SHARE: Final = 0.7
EVEN: Final = 0.2
LONGEST_GAP: Final = 12
ON_BEAT: Final = 1.5


class Rhythm:
    """The beat of a campaign, if it keeps one. times: of its requests, in order."""

    def __init__(self, times: Sequence[int]) -> None:
        self._times = times
        gaps = [later - earlier for earlier, later in itertools.pairwise(times) if later > earlier]
        self._beat = statistics.median_low(gaps) if len(gaps) >= BEATS_MIN else 0
        if self._beat:
            even = [gap for gap in gaps if self._is_even(gap)]
            if len(even) < BEATS_SHARE * len(gaps):
                self._beat = 0

    def _is_even(self, span: int) -> bool:
        beats = span / self._beat
        return round(beats) >= 1 and abs(beats - round(beats)) <= EVEN

    def fit(self, at: int) -> float:
        """ON_BEAT for a moment at which a beat is missing, -ON_BEAT where none is; 0.0 when nothing can be said."""
        if not self._beat:
            return 0.0
        index = bisect_left(self._times, at)
        if not 0 < index < len(self._times):
            return 0.0
        before, after = self._times[index - 1], self._times[index]
        missing = round((after - before) / self._beat) - 1
        if missing < 1:
            return -ON_BEAT
        if missing > LONGEST_GAP:
            return 0.0
        return ON_BEAT if self._is_even(at - before) and self._is_even(after - at) else -ON_BEAT
