"""One request on its way through the edge: each place where it was seen, and what was answered there.

A request keeps Call-ID and CSeq through every proxy, and through many a B2BUA. Under them its sightings come together:
arriving, handed on inside, leaving. (A proxy that masks the Call-ID
leaves CSeq and the tag of From: see Guard.)
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from relaytrap.guard.memory import key_of
from relaytrap.observation import Observation
from relaytrap.sip import Request, Response

__all__ = ["Answer", "Leg", "Transaction", "key_of_message", "way_of"]

LEGS_MAX: Final = 8
OVERHEAD: Final = 3_000
"""What a message weighs besides its octets once it is taken apart (measured: 2.5 to 4 kB)."""
ANSWERS_MAX: Final = 16


class Leg(NamedTuple):
    """A request seen between two hosts. observation: as the capture had it; destination may be our end or the peer."""

    observation: Observation
    request: Request
    source: str
    destination: str
    via_count: int

    @property
    def line(self) -> bytes:
        """Its first line."""
        return _first_line(self.request.raw)


class Answer(NamedTuple):
    """A response seen between two hosts."""

    observation: Observation
    response: Response
    source: str
    destination: str

    @property
    def line(self) -> bytes:
        """Its first line."""
        return _first_line(self.response.raw)


def way_of(seen: Observation) -> tuple[str, int, str, int]:
    """From where to where a message went on the wire: address and port of sender and receiver."""
    if seen.direction == "in":
        return seen.source, seen.source_port, seen.local, seen.local_port
    return seen.local, seen.local_port, seen.source, seen.source_port


def key_of_message(message: Request | Response) -> int | None:
    """What all sightings of one request and of its answers share; None when the message lacks it."""
    cseq, call_id = message.cseq, message.call_id
    if cseq is None or call_id is None:
        return None
    return key_of(call_id, cseq.number, message.method if isinstance(message, Request) else cseq.method)


@dataclass(slots=True)
class Transaction:
    """The sightings of one request, in the order in which they came.

    octets: about what the messages that are held weigh. judged: whether findings were drawn already; no message is held
    any more then, and what remains tells repetitions and later answers. is_within: it says it is within a dialog.
    """

    began_ns: int
    legs: list[Leg] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    octets: int = 0
    judged: bool = False
    is_within: bool = False
    _ends: tuple[str, str, int] = ("", "", 0)

    @property
    def first(self) -> Leg:
        """Where the request began, as far as it was seen: with a host to which nobody handed it.

        In a loop, and where several are like that, the one with the fewest Vias. Vias alone do not tell: a sender can
        add some, and an edge may take them away.
        """
        legs = self.legs
        if len(legs) == 1:
            return legs[0]
        reached = {leg.destination for leg in legs}
        return min(legs, key=lambda leg: (leg.source in reached, leg.via_count))

    def close(self) -> None:
        """It is judged: let go of its messages."""
        self.judged = True
        self._ends = _ends_of(self.first)
        self.legs.clear()
        self.answers.clear()
        self.octets = 0

    def add_leg(self, leg: Leg) -> bool:
        """Another sighting; False for a repetition, or when there is nothing more to learn."""
        if self.judged:
            return False
        branch = _branch(leg.request)
        for known in self.legs:
            if (known.source, known.destination) == (leg.source, leg.destination) and _branch(known.request) == branch:
                return False
        if len(self.legs) >= LEGS_MAX:
            return False
        self.legs.append(leg)
        self.is_within |= bool(leg.request.to_tag)
        self.octets += len(leg.request.raw) + OVERHEAD
        return True

    def is_anothers(self, leg: Leg) -> bool:
        """Whether somebody else began under the same Call-ID and CSeq: tools write constants into both."""
        source, destination, via_count = self._ends if self.judged else _ends_of(self.first)
        return leg.destination == destination and leg.source != source and leg.via_count <= via_count

    def goes_on_as(self, leg: Leg) -> bool:
        """Whether a sighting can be this request handed on by the host where it arrived."""
        if self.judged:
            return False
        first = self.first
        return leg.source == first.destination and leg.via_count > first.via_count

    def add_answer(self, answer: Answer) -> None:
        """A response; of provisional ones the last between two hosts counts."""
        for index, known in enumerate(self.answers):
            if (known.source, known.destination) == (answer.source, answer.destination):
                if known.response.status_code < 200:
                    self.octets += len(answer.response.raw) - len(known.response.raw)
                    self.answers[index] = answer
                return
        if len(self.answers) < ANSWERS_MAX:
            self.answers.append(answer)
            self.octets += len(answer.response.raw) + OVERHEAD

    def answer_to(self, leg: Leg) -> Answer | None:
        """What came back on the way that a sighting of the request went."""
        for answer in self.answers:
            if answer.source == leg.destination and answer.destination == leg.source:
                return answer
        return None

    @property
    def is_final(self) -> bool:
        """Whether whoever began has a final answer."""
        answer = self.answer_to(self.first) if self.legs else None
        return answer is not None and answer.response.status_code >= 200


def _ends_of(leg: Leg) -> tuple[str, str, int]:
    return leg.source, leg.destination, leg.via_count


def _first_line(raw: bytes) -> bytes:
    return raw.partition(b"\n")[0].rstrip(b"\r")


def _branch(request: Request) -> bytes | None:
    vias = request.vias
    return vias[0].branch if vias else None
