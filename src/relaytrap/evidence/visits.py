"""What association works on and what it gives: tracks, visits, placements, sums of groups. Values only."""

from typing import NamedTuple

from relaytrap.evidence.topology_hiding import Masked

__all__ = ["GroupFit", "GroupKey", "Placement", "TrackInfo", "Visit", "WindowFindings"]


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
