"""A host: what relays vouch for of one campaign in one window, ready for guests to be weighed against it."""

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from relaytrap.evidence.sequence import Rhythm, Sweep, Trial, find_clusters, split_sweeps
from relaytrap.evidence.visits import TrackInfo, Visit

__all__ = [
    "CANDIDATES_MAX",
    "FEW_RELAYS",
    "HOST_RELAYS",
    "MANY_RELAYS",
    "OUTNUMBERED",
    "SOME_RELAYS",
    "Candidates",
    "Host",
    "find_hosts",
]

# How far outside a host's own time a guest may lie, as a part of that time and at least (ns).
SLACK: Final = 0.5
SLACK_NS: Final = 60 * 10**9
# Below this many relays a host may be somebody's invention; so it may with a few, where many times more speak for
# another of the same form. As many may tell the same lie and be found out (evidence.origin): six relays that pass on
# what a sender made up were met in one scene.
HOST_RELAYS: Final = 2
FEW_RELAYS: Final = 6
OUTNUMBERED: Final = 3
# So many must speak for a campaign before what fits into it contradicts somebody; fewer where the fit leaves no doubt.
MANY_RELAYS: Final = 3
SOME_RELAYS: Final = 2
LONE_HOST: Final = -2.0
STRETCH_MIN: Final = 5
CANDIDATES_MAX: Final = 512


@dataclass(slots=True)
class Host:
    """A campaign that relays vouch for, as far as this window shows it.

    vouched, filled: its sweeps as relays vouch for them, and with what was placed for certain. lone: too few speak for
    it to count as one that others belong to. begin, end: the time in which guests may lie.
    """

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
    methods: set[str] = field(default_factory=set)
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


def find_hosts(tracks: Mapping[int, TrackInfo], visits: Sequence[Visit]) -> dict[str, Host]:
    """Origin → host, of every origin that relays name. visits: in order of time."""
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
        host.methods.add(visit.method)
    for host in hosts.values():
        host.close()
    several = Candidates(hosts)
    for host in hosts.values():
        host.lone = len(host.relays) < HOST_RELAYS or _is_outnumbered(host, several)
        host.weight = LONE_HOST if host.lone else 0.0
    return hosts


class Candidates:
    """The hosts that guests may belong to, those with most relays first and no more than CANDIDATES_MAX of one form.

    A window with more is somebody's invention; weighing every request against thousands of hosts would take minutes.
    """

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        ranked = sorted(hosts.values(), key=lambda host: (-len(host.relays), host.origin))
        self.every = ranked[:CANDIDATES_MAX]
        self._of_shape: dict[int, list[Host]] = defaultdict(list)
        self._several: dict[int, list[Host]] = defaultdict(list)
        for host in ranked:
            for shape in host.shapes:
                if len(self._of_shape[shape]) < CANDIDATES_MAX:
                    self._of_shape[shape].append(host)
                if not host.lone and len(self._several[shape]) < CANDIDATES_MAX:
                    self._several[shape].append(host)

    def of_shape(self, shape: int, *, lone: bool = True) -> list[Host]:
        """Those of one form, lone ones among them if wanted; empty when no host has it."""
        return (self._of_shape if lone else self._several).get(shape, [])


def _is_outnumbered(host: Host, several: Candidates) -> bool:
    """Whether few relays speak for this host, and many others, none of them these, for one of its form and time."""
    few = len(host.relays)
    return few <= FEW_RELAYS and any(
        host.begin <= other.end and other.begin <= host.end and host.relays.isdisjoint(other.relays)
        for shape in host.shapes
        for other in takewhile(lambda other: len(other.relays) >= few * OUTNUMBERED, several.of_shape(shape))
    )
