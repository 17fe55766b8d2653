"""When the recorded messages happened in the story: minutes of recording, told as a week that ends at a given moment.

A call or registration keeps its own rhythm: its first message is placed, and the rest follows at the recorded distance.
So an answer still comes a millisecond after its request, while a night's sweep takes four hours.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from relaytrap.clock import NS_PER_S
from relaytrap.observation import Observation
from relaytrap.sip import Unparsed, parse_message

__all__ = ["Anchors", "Stay", "Timeline"]

S_PER_HOUR = 3600


class Anchors:
    """Remembers for each dialogue when its first message came; messages must arrive in the order of recording.

    What belongs together: same sensor, peer and Call-ID. What has no Call-ID stands alone.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, bytes], int] = {}

    def anchor_ns(self, observation: Observation) -> int:
        """The moment of the first message of this one's dialogue."""
        message = parse_message(observation.raw)
        if isinstance(message, Unparsed) or not message.call_id:
            return observation.received_at_ns
        key = (observation.sensor, observation.source, message.call_id)
        return self._first.setdefault(key, observation.received_at_ns)


@dataclass(frozen=True, slots=True)
class Stay:
    """One party's part in one phase: recorded in seconds after the start, told in hours before the end (negative)."""

    recorded_from_s: float
    recorded_to_s: float
    told_from_h: float
    told_to_h: float

    def told_ns(self, recorded_s: float) -> int:
        """Nanoseconds from the end of the story (negative) at which something recorded then is told to happen."""
        lasted = self.recorded_to_s - self.recorded_from_s
        share = (recorded_s - self.recorded_from_s) / lasted if lasted else 0.0
        hours = self.told_from_h + share * (self.told_to_h - self.told_from_h)
        return round(hours * S_PER_HOUR * NS_PER_S)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Phases in the order of recording: (begin, end) in seconds after the start, and the stays in each by source.

    The stay under "" is that of whatever comes through relays.
    """

    began_ns: int
    phases: tuple[tuple[tuple[float, float], Mapping[str, Stay]], ...]

    @classmethod
    def from_truth(cls, document: Mapping[str, Any]) -> "Timeline":
        """The timeline of a truth document."""
        phases = (
            ((row["recorded_s"][0], row["recorded_s"][1]), {who: Stay(*stay) for who, stay in row["stays"].items()})
            for row in document["timeline"]
        )
        return cls(document["began_ns"], tuple(phases))

    def tell(self, observations: Iterable[Observation], end_ns: int) -> Iterator[Observation]:
        """The same observations, moved into a story that ends at `end_ns`; order of recording in and out."""
        anchors = Anchors()
        for observation in observations:
            anchor_ns = anchors.anchor_ns(observation)
            moved_ns = end_ns + self._told_ns(observation.source, anchor_ns)
            yield replace(observation, received_at_ns=moved_ns + observation.received_at_ns - anchor_ns)

    def _told_ns(self, source: str, anchor_ns: int) -> int:
        recorded_s = (anchor_ns - self.began_ns) / NS_PER_S
        for (begin, end), stays in self.phases:
            stay = stays.get(source) or stays.get("")
            if begin <= recorded_s <= end and stay:
                return stay.told_ns(recorded_s)
        raise LookupError(f"the truth does not place {source} at {recorded_s:.3f} s of the recording")
