"""A feed: what goes into every format, chosen and put in order."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from relaytrap.evidence.indicator import Indicator, merged
from relaytrap.feeds.barrier import Barrier

__all__ = ["BEYOND", "TITLES", "Feed", "make_feed", "of_version"]


BEYOND: Final = "beyond the limit"


@dataclass(frozen=True, slots=True)
class Feed:
    """What a format writes.

    name: of sets and files: letters and underscores only. title: what the list is, in one line. choice: how it was
    chosen, a clause each. indicators: in order of address. left_out: why addresses are not in it → how many.
    """

    name: str
    title: str
    indicators: tuple[Indicator, ...]
    choice: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def newest(self) -> str:
        """The last time that any of them was seen; "" for an empty feed."""
        return max((each.last_seen for each in self.indicators), default="")

    @property
    def head(self) -> list[str]:
        """What a reader should know before the first address, a line each; our own words and the operator's."""
        out = [f"{why} ({count:,})" for why, count in self.left_out.items()]
        return [
            f"Relaytrap: {self.title}",
            *self.choice,
            f"{len(self.indicators):,} address{'' if len(self.indicators) == 1 else 'es'}"
            + (f", last seen {self.newest}" if self.newest else ""),
            *([f"Left out: {'; '.join(out)}"] if out else []),
        ]

    @property
    def sets(self) -> dict[str, list[Indicator]]:
        """Name of a set → who belongs into it: victims never stand in one set with attackers."""
        if self.name != "everything":
            return {self.name: list(self.indicators)}
        attackers = [each for each in self.indicators if not each.is_victim]
        return {"attackers": attackers, "relays": [each for each in self.indicators if each.is_victim]}


def of_version(version: int, indicators: Iterable[Indicator]) -> list[Indicator]:
    """Those of IPv4 or of IPv6."""
    return [each for each in indicators if (":" in each.address) == (version == 6)]


def make_feed(
    name: str,
    indicators: Iterable[Indicator],
    barrier: Barrier,
    *,
    choice: Iterable[str] = (),
    left_out: Mapping[str, int] | None = None,
    limit: int = 0,
) -> Feed:
    """The feed of those whom the barrier lets pass: one entry for each address, in order.

    limit: keep so many at most, those that are surest and asked most; 0 for all. left_out: what was left out before.
    """
    out = Counter(left_out or {})
    passed = []
    for each in merged(indicators):
        if reason := barrier.reason(each.address):
            out[_told(reason)] += 1
        else:
            passed.append(each)
    if limit and len(passed) > limit:
        out[BEYOND] += len(passed) - limit
        surest = sorted(passed, key=lambda each: (-each.confidence, -each.requests))[:limit]
        passed = merged(surest)
    return Feed(name, TITLES[name], tuple(passed), tuple(choice), {why: out[why] for why in sorted(out) if out[why]})


def _told(reason: str) -> str:
    """Why the barrier kept an address, in words."""
    section, dot, key = reason.partition(".")
    return f"addresses of [{section}] {key}" if dot else f"{reason} addresses"


# Name of a feed → what it is.
TITLES: Final = {
    "attackers": "addresses that attacked, from where they are or through open relays",
    "sources": "addresses that attacked from where they are",
    "origins": "addresses that attacked through open relays",
    "relays": "open relays that are abused: victims to be warned, no attackers",
    "everything": "attackers, and the open relays that they abuse: those are victims, and marked so",
}
