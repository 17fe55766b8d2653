"""What a guard says: findings by rule and source, each told once and counted, and what could not be decided.

An alarm is something that the edge itself does and should not do. An attempt is what somebody else tried and did not
get. Rules and their meaning: docs/reference/guard-findings.md.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from relaytrap.evidence.base import Evidence
from relaytrap.guard.transaction import Answer, Leg, way_of
from relaytrap.sip.text import display

__all__ = [
    "REASONS",
    "RULES",
    "SHOWN_MAX",
    "Case",
    "Finding",
    "Findings",
    "Level",
    "Rule",
    "Sighting",
    "Undecided",
    "evidence_of",
]

Level = Literal["alarm", "attempt"]


class Rule(NamedTuple):
    """A rule's version, and the level and title of what it finds."""

    version: int
    level: Level
    title: str


RULES: Final = {
    "guard.open-relay": Rule(1, "alarm", "open relay"),
    "guard.open-by-route": Rule(1, "alarm", "follows a stranger's Route"),
    "guard.open-in-dialog": Rule(1, "alarm", "open within a dialog that nobody began"),
    "guard.toll-relay": Rule(1, "alarm", "strangers call through a trunk"),
    "guard.toll-answered": Rule(1, "alarm", "a stranger's call went on, or abroad, and was answered"),
    "guard.open-registrar": Rule(1, "alarm", "registers strangers without a password"),
    "guard.tried-to-route": Rule(1, "alarm", "tried to reach a foreign host for a stranger"),
    "guard.relay-attempt": Rule(1, "attempt", "asked for a foreign domain, in vain"),
    "guard.toll-attempt": Rule(1, "attempt", "dialled abroad, in vain"),
    "guard.scan": Rule(1, "attempt", "asked for many users, in vain"),
    "guard.unknown-relay": Rule(1, "attempt", "came through a relay that nobody knows"),
    "guard.made-up-hops": Rule(1, "attempt", "wrote hops that were none"),
}

REASONS: Final = {
    "no-own-networks": "Handed on, but without network.own_networks nobody can be told from a stranger.",
    "no-own-domains": "Handed on from one stranger to another, but without network.own_domains no domain is foreign.",
    "own-name": "Handed on to a stranger for a name of ours: a user who registered earlier, or a trunk that is not in "
    "guard.trunks.",
    "no-domain": "Handed on from one stranger to another, and the Request-URI names no host.",
    "earlier-dialog": "Within a dialog that may have begun before this traffic.",
    "earlier-challenge": "With credentials for a challenge that may have come before this traffic.",
    "other-number": "A stranger's call went on to a trunk under another number than was dialled: call forwarding?",
    "number-abroad": "A stranger's call to a number abroad was answered; without guard.own_numbers it may be yours.",
    "way-unseen": "A stranger's request for a foreign host was served, and nobody saw where it went: over TLS, on "
    "another interface, or the host is one of yours and belongs into network.own_domains.",
    "secure-registration": "Registered without a password over a connection whose certificate or token is not seen.",
}
LISTED: Final = 8
SHOWN_MAX: Final = 300
FINDINGS_MAX: Final = 2048


class Sighting(NamedTuple):
    """A message that a case rests on, in short: messages are up to 64 KiB long, and a finding is kept for good.

    source to destination_port: as it went on the wire. line: its first.
    """

    at_ns: int
    transport: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    line: bytes
    capture: str
    frame: int

    @classmethod
    def of(cls, message: Leg | Answer) -> "Sighting":
        """Of a message seen between two hosts."""
        seen = message.observation
        line = message.line[:SHOWN_MAX]
        return cls(seen.received_at_ns, seen.transport, *way_of(seen), line, seen.capture, seen.frame)


class Case(NamedTuple):
    """What a rule made of one request. sentence: for people; names attackers' bytes only as `display` shows them."""

    rule: str
    source: str
    edge: str
    confidence: int
    sentence: str
    evidence: tuple[Evidence, ...]
    sightings: tuple["Sighting", ...]
    destinations: tuple[str, ...] = ()
    answered: bool = False


def evidence_of(rule: str, weight: int, quote: bytes, raw: bytes, text: str) -> Evidence:
    """Evidence of a guard's own, with its place in the message."""
    return Evidence(rule, 1, weight, quote, raw.find(quote) if quote else -1, text)


def _shortened(case: Case) -> Case:
    """The same with no quote longer than is ever shown."""
    evidence = [replace(each, quote=each.quote[:SHOWN_MAX]) for each in case.evidence]
    return case._replace(evidence=tuple(evidence))


@dataclass(slots=True)
class Finding:
    """A rule and whom it is about: every case of one source at one edge.

    case: the latest of those that say most. requests: how many there were; answered: those answered 2xx from behind
    the edge.
    """

    case: Case
    first_ns: int
    last_ns: int
    requests: int = 0
    answered: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    destinations: dict[str, None] = field(default_factory=dict)
    request_uris: dict[str, None] = field(default_factory=dict)
    server: str = ""

    @property
    def rule(self) -> Rule:
        return RULES[self.case.rule]

    def add(self, case: Case, request: Leg) -> None:
        """Count another case."""
        moment = request.observation.received_at_ns
        self.first_ns, self.last_ns = min(self.first_ns, moment), max(self.last_ns, moment)
        self.requests += 1
        self.answered += case.answered
        if case.confidence >= self.case.confidence:
            self.case = _shortened(case)
        method = display(request.request.method[:32])
        if method in self.methods or len(self.methods) < LISTED:
            self.methods[method] += 1
        for kept, values in (
            (self.destinations, case.destinations),
            (self.request_uris, (display(request.request.request_uri[:SHOWN_MAX]),)),
        ):
            for value in values:
                if len(kept) < LISTED:
                    kept[value] = None


@dataclass(slots=True)
class Undecided:
    """Requests that were handed on and that this policy, or this stretch of traffic, cannot judge."""

    reason: str
    requests: int = 0
    ways: dict[str, None] = field(default_factory=dict)

    def add(self, way: str) -> None:
        """Count one more. way: who to whom, over which edge."""
        self.requests += 1
        if len(self.ways) < LISTED:
            self.ways[way] = None


class Findings:
    """All that was found, so many and no more. untold: cases of sources beyond that number, by rule."""

    def __init__(self, most: int = FINDINGS_MAX) -> None:
        self.untold: Counter[str] = Counter()
        self._found: dict[tuple[str, str, str], Finding] = {}
        self._most = most
        self._undecided: dict[str, Undecided] = {}

    def add(self, case: Case, request: Leg, server: str = "") -> Finding | None:
        """Count a case; the finding when it is new.

        An alarm is kept even when attempts have taken all room: then the oldest of these goes.
        """
        key = case.rule, case.source, case.edge
        finding = self._found.get(key)
        is_new = finding is None
        if finding is None:
            if len(self._found) >= self._most and not self._make_room(case):
                self.untold[case.rule] += 1
                return None
            moment = request.observation.received_at_ns
            finding = self._found[key] = Finding(_shortened(case), moment, moment)
        finding.add(case, request)
        finding.server = finding.server or server
        return finding if is_new else None

    def _make_room(self, case: Case) -> bool:
        if RULES[case.rule].level == "attempt":
            return False
        for key, finding in self._found.items():
            if finding.rule.level == "attempt":
                self.untold[finding.case.rule] += finding.requests
                del self._found[key]
                return True
        return False

    def undecided(self, reason: str, way: str) -> Undecided | None:
        """Count what could not be decided; given when it is the first of its reason."""
        found = self._undecided.get(reason)
        if found is None:
            found = self._undecided[reason] = Undecided(reason)
            found.add(way)
            return found
        found.add(way)
        return None

    def all(self) -> list[Finding]:
        """Alarms first, then by confidence and number."""
        return sorted(
            self._found.values(), key=lambda each: (each.rule.level != "alarm", -each.case.confidence, -each.requests)
        )

    def all_undecided(self) -> Iterable[Undecided]:
        """In the order in which they came up."""
        return self._undecided.values()
