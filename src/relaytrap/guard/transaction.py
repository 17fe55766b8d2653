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


class Beginning(NamedTuple):
    """What tells one request under a Call-ID and CSeq from another; the rest is kept as a key, since it may be long."""

    source: str
    destination: str
    via_count: int
    branch: bytes | None
    request_uri: int


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

    @property
    def branch(self) -> bytes | None:
        """Of its topmost Via."""
        vias = self.request.vias
        return vias[0].branch if vias else None

    def beginning(self) -> Beginning:
        """What it has of its own, if a request began with it."""
        uri = key_of(self.request.request_uri)
        return Beginning(self.source, self.destination, self.via_count, self.branch, uri)


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

    octets: about what the messages that are held weigh. due: it has its final answer and will be judged soon. judged:
    whether findings were drawn already; no message is held any more then, and what remains tells repetitions and later
    answers. is_within: it says it is within a dialog.
    """

    began_ns: int
    legs: list[Leg] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    octets: int = 0
    due: bool = False
    judged: bool = False
    is_within: bool = False
    _beginning: Beginning | None = None

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

    @property
    def onward(self) -> list[Leg]:
        """Where it went from the host where it arrived."""
        first = self.first
        return [leg for leg in self.legs if leg.source == first.destination and leg is not first]

    def close(self) -> None:
        """It is judged: let go of its messages."""
        self.judged = True
        self._beginning = self.first.beginning()
        self.legs.clear()
        self.answers.clear()
        self.octets = 0

    def add_leg(self, leg: Leg) -> bool:
        """Another sighting; False for a repetition, or when there is nothing more to learn."""
        if self.judged:
            return False
        branch = leg.branch
        for known in self.legs:
            if (known.source, known.destination, known.branch) == (leg.source, leg.destination, branch):
                return False
        # Each kind has room of its own: who repeats a request under other branches does not crowd out where it went.
        reached = {known.destination for known in self.legs}
        if sum((known.source in reached) == (leg.source in reached) for known in self.legs) >= LEGS_MAX:
            return False
        self.legs.append(leg)
        self.is_within |= bool(leg.request.to_tag)
        self.octets += len(leg.request.raw) + OVERHEAD
        return True

    def is_anothers(self, leg: Leg) -> bool:
        """Whether another request begins under the same Call-ID and CSeq: tools write constants into both."""
        known, new = self._beginning or self.first.beginning(), leg.beginning()
        if new.destination != known.destination:
            return False
        if self.judged or self.is_final:  # a repetition, or something new: with a password, under the same CSeq
            return (new.source, new.branch, new.request_uri) != (known.source, known.branch, known.request_uri)
        if new.source != known.source:
            return new.via_count <= known.via_count
        return new.branch != known.branch and new.request_uri != known.request_uri

    def was_handed_to(self, address: str) -> bool:
        """Whether it was seen on its way to somebody."""
        return any(leg.destination == address for leg in self.legs)

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
        # Anybody can send responses that nobody waits for; an answer on a way that the request went has room always.
        is_awaited = any((leg.destination, leg.source) == (answer.source, answer.destination) for leg in self.legs)
        if is_awaited or len(self.answers) < ANSWERS_MAX:
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


def _first_line(raw: bytes) -> bytes:
    return raw.partition(b"\n")[0].rstrip(b"\r")
