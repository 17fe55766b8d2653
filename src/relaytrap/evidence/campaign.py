"""What a campaign is after: named from the sums of its requests.

A campaign is what one origin did, however it came: through relays that vouch for it, from its own address, and by
association where a relay hid it. Its identifier is made from that address alone, so it is the same after a restart or a
reanalysis, and does not change when relays, sensors, tools or methods join. What nobody vouches for and what fits
nowhere is kept together by the relay it stands behind.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "GOALS",
    "NAMED_MAX",
    "Deeds",
    "Schedule",
    "Tried",
    "campaign_id",
    "goal_of_campaign",
    "schedule_of",
    "title_of_campaign",
]

Base = Literal["origin", "behind"]
ID_DIGITS: Final = 12

# Goal → how it reads.
GOALS: Final = {
    "password": "password attack",
    "toll": "toll-fraud probing",
    "relay": "open-relay hunting",
    "extension": "extension sweep",
    "host": "host scan",
    "registration": "registration attempts",
    "call": "calls",
}
# A sweep tries so many different targets, and more than a tool that asks each sensor for one or two.
SWEEP_TARGETS: Final = 5
# Who only scans hosts may write another user into each request; a sweep tries most of a range.
SWEEP_COVERAGE: Final = 0.5
# So many registrations in all, and so many for each name, are guesses at its password, answered by a challenge or not.
GUESSES: Final = 10
GUESSES_EACH: Final = 8
# A title names so many extensions one by one.
NAMED_MAX: Final = 4
# What is tried so rarely, over so little of its range, is a handful of well-known extensions and no sweep.
FEW: Final = 20
THIN: Final = 0.05


def campaign_id(base: Base, address: str) -> str:
    """The identifier of what an origin did ("origin"), or of what stands behind a relay and fits nowhere ("behind").

    The store computes the same: lower(substring(hex(MD5('origin 192.0.2.7')), 1, 12)).
    """
    return hashlib.md5(f"{base} {address}".encode(), usedforsecurity=False).hexdigest()[:ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Deeds:
    """What a campaign did, in sums. goals: requests by evidence.track.goal_of; methods: requests by method; targets:
    different ones; sensors: how many; coverage: part of the range of numbers tried, None without one."""

    goals: Mapping[str, int]
    methods: Mapping[str, int]
    targets: int
    sensors: int
    coverage: float | None = None


def goal_of_campaign(deeds: Deeds) -> str:
    """Key of GOALS: the first whose signs are there."""
    total = max(sum(deeds.goals.values()), 1)
    share = {name: deeds.goals.get(name, 0) / total for name in GOALS}
    if share["password"] >= 0.2 or _guesses(deeds):
        return "password"
    for goal in ("toll", "relay"):
        if share[goal] >= 0.3:
            return goal
    wide = deeds.targets >= SWEEP_TARGETS and deeds.targets > 2 * deeds.sensors
    if wide and (share["host"] < 0.5 or (deeds.coverage or 0) >= SWEEP_COVERAGE):
        return "extension"
    if share["host"] >= 0.5:
        return "host"
    if share["extension"] >= 0.5 and deeds.targets > 1:
        return "extension"
    return "registration" if deeds.methods.get("REGISTER", 0) * 2 > sum(deeds.methods.values()) else "call"


def _guesses(deeds: Deeds) -> bool:
    registrations = deeds.methods.get("REGISTER", 0)
    many = registrations >= GUESSES and registrations * 2 > sum(deeds.methods.values())
    return many and 0 < deeds.targets * GUESSES_EACH <= registrations


@dataclass(frozen=True, slots=True)
class Tried:
    """Different targets of a campaign. targets: how many; extensions: how many of them are numbers, from low to high;
    smallest: those of them that come first, one more than a title names."""

    targets: int
    extensions: int
    low: int
    high: int
    smallest: Sequence[int]

    @property
    def coverage(self) -> float | None:
        """The part of the range of numbers that was tried; None without one."""
        span = self.high - self.low + 1 if self.extensions else 0
        return round(self.extensions / span, 3) if span > 1 else None


def title_of_campaign(goal: str, tried: Tried) -> str:
    """What a campaign is, in a few words: with the range when it tried one, with the extensions when they are few."""
    text = GOALS[goal].capitalize()
    between = f"{tried.low}–{tried.high}" if tried.extensions > 1 else ""
    is_thin = tried.coverage is not None and tried.coverage < THIN
    if tried.targets > FEW or (tried.targets >= SWEEP_TARGETS and not is_thin):
        return f"{text} {between}".rstrip()
    if goal != "extension":
        return text
    if tried.targets == tried.extensions <= NAMED_MAX:
        *others, last = map(str, sorted(tried.smallest))
        return f"Extensions {', '.join(others)} and {last}" if others else f"Extension {last}"
    return f"{tried.targets} extensions {between}".rstrip()


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a campaign works. active_hours: hours with requests; per_hour: requests in one of them, on average.

    hours_of_day: requests in each hour of the day, UTC. days: days with requests. daily: it comes back every day for
    some hours and rests for others. continuous: it hardly rests.
    """

    active_hours: int
    per_hour: float
    hours_of_day: tuple[int, ...]
    days: int
    daily: bool
    continuous: bool


HOUR_S: Final = 3600
DAY_S: Final = 86_400


def schedule_of(hours: Sequence[tuple[int, int]]) -> Schedule:
    """The schedule of (hour, requests) pairs; hour: seconds since the epoch."""
    by_hour: dict[int, int] = {}
    for start, requests in hours:
        by_hour[start] = by_hour.get(start, 0) + requests
    of_day = [0] * 24
    for start, requests in by_hour.items():
        of_day[start % DAY_S // HOUR_S] += requests
    days = {start // DAY_S for start in by_hour}
    span = (max(by_hour) - min(by_hour)) // HOUR_S + 1 if by_hour else 0
    total = sum(by_hour.values())
    continuous = span >= 24 and len(by_hour) >= 0.9 * span
    covered = len(days) >= 3 and len(days) * DAY_S >= 0.8 * (max(by_hour) - min(by_hour))
    daily = covered and not continuous and sum(1 for requests in of_day if requests) <= 16
    return Schedule(
        len(by_hour), round(total / len(by_hour), 1) if by_hour else 0.0, tuple(of_day), len(days), daily, continuous
    )
