"""What strangers tried at the edge and did not get: many users, numbers abroad, hops made up or in between.

Counted by source, for an hour at a time. Whoever showed a password or was served is no longer counted: phones with a
wrong password, and carriers that nobody listed, try few users in vain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.fingerprint import find_tool
from relaytrap.evidence.path import NOT_JUDGED, Path
from relaytrap.evidence.relay import judge_path
from relaytrap.evidence.signatures import HOSTILE_KINDS
from relaytrap.guard.acquaintance import Acquaintance
from relaytrap.guard.finding import Case, Sighting, evidence_of
from relaytrap.guard.judge import is_refusal
from relaytrap.guard.memory import Recent, key_of
from relaytrap.guard.policy import Policy
from relaytrap.guard.transaction import Leg, Transaction
from relaytrap.sip.text import display, visible

__all__ = ["Tallies"]

HOUR_NS: Final = 3_600_000_000_000
SOURCES_KEPT: Final = 1 << 13
TARGETS_MIN: Final = 64
SERVED_SHARE: Final = 4
"""A scan is refused more than so many times as often as it is served."""
NUMBERS_MAX: Final = 8
WAYS_MANY: Final = 2
DECISIVE: Final = -100
LEAST_SURE: Final = 50
HANDED_ON: Final = ("relayed", "hidden")
SHOWN: Final = 80
MANY: Final = 4
"""Times the users of a scan that leave no doubt."""
ATTACKERS: Final = HOSTILE_KINDS - {"test"}
"""Test tools are what operators watch their own servers with."""


@dataclass(slots=True)
class _Tally:
    """One source within an hour. refused, served: users asked for; numbers: core → ways it was dialled; all as keys."""

    began_ns: int
    refused: set[int] = field(default_factory=set)
    served: set[int] = field(default_factory=set)
    numbers: dict[str, set[int]] = field(default_factory=dict)
    examples: list[bytes] = field(default_factory=list)


class Tallies:
    """Counts by source. answers_seen: whether the edge was seen answering anybody: else silence says nothing."""

    def __init__(self, policy: Policy, known: Acquaintance) -> None:
        self.answers_seen = False
        self._policy = policy
        self._known = known
        self._sources: Recent[_Tally] = Recent(SOURCES_KEPT)
        self._targets_max = max(TARGETS_MIN, MANY * policy.scan_targets)

    def take(self, transaction: Transaction, now_ns: int, *, was_handed_on: bool) -> Iterator[Case]:
        """The attempts that a stranger's request completes or goes on with. was_handed_on: and rightly so."""
        leg = transaction.first
        answer = transaction.answer_to(leg)
        tally = self._tally(leg.source, now_ns)
        target = _target(leg)
        is_served = was_handed_on or self._known.is_user(leg.source)
        if is_served or not is_refusal(answer):
            is_success = answer is not None and answer.response.status_code < 300 and leg.request.method != b"OPTIONS"
            if (is_served or is_success) and len(tally.served) < self._targets_max:
                tally.served.add(key_of(target))
            return
        if answer is None and not self.answers_seen:
            return
        path = self._path(leg) if leg.via_count > 1 else NOT_JUDGED
        yield from self._path_cases(leg, path)
        yield from self._scan_cases(leg, tally, target, path)
        yield from self._toll_cases(leg, tally)

    def _tally(self, source: str, now_ns: int) -> _Tally:
        tally = self._sources.get(source)
        if tally is None or now_ns - tally.began_ns > HOUR_NS:
            tally = _Tally(now_ns)
        self._sources.put(source, tally, now_ns)
        return tally

    # ---- many users ----------------------------------------------------------------------------------------------

    def _scan_cases(self, leg: Leg, tally: _Tally, target: bytes, path: Path) -> Iterator[Case]:
        if len(tally.refused) < self._targets_max:
            tally.refused.add(key_of(target))
        if len(tally.examples) < 4 and target not in tally.examples:
            tally.examples.append(target[:SHOWN])
        refused, tool = len(tally.refused - tally.served), find_tool(leg.request)
        is_tool = tool.kind in ATTACKERS
        if refused < self._policy.scan_targets and not is_tool:
            return
        if not is_tool and refused <= SERVED_SHARE * len(tally.served):
            return
        users = ", ".join(_shown(each) for each in tally.examples)
        many = f"{refused}{' or more' if refused >= self._targets_max else ''}"
        noun = "user" if refused == 1 else "different users"
        # A relay is a victim that hands on: whoever asks is behind it.
        who = leg.source
        if path.verdict in HANDED_ON:
            who += f", handing on for {path.origin or 'somebody behind it'},"
        told = f"{who} asked {leg.destination} for {many} {noun} in vain, such as {users}"
        told += f"; the requests are those of {tool.name}." if is_tool else "."
        confidence = tool.confidence if is_tool else 0
        if refused >= self._policy.scan_targets:
            confidence = max(confidence, 90 if refused >= MANY * self._policy.scan_targets else 75)
        evidence = evidence_of("guard.target", 10, target, leg.request.raw, "A user that was not served.")
        yield _case("guard.scan", leg, confidence, told, (evidence, *(tool.signs if is_tool else ())))

    # ---- numbers abroad ------------------------------------------------------------------------------------------

    def _toll_cases(self, leg: Leg, tally: _Tally) -> Iterator[Case]:
        request = leg.request
        if request.method != b"INVITE" or request.to_tag or request.uri is None or not self._policy.knows_own:
            return
        user = request.uri.user_text
        number = self._policy.number_abroad(user, leg.destination)
        if number is None or user is None:
            return
        if number.core and (number.core in tally.numbers or len(tally.numbers) < NUMBERS_MAX):
            ways = tally.numbers.setdefault(number.core, set())
            if len(ways) < NUMBERS_MAX:
                ways.add(key_of(user))
        ways_tried = len(tally.numbers.get(number.core, ()))
        told = f"{leg.source}, which never showed a password, dialled {_shown(user)} ({number.e164}, {number.country})"
        told += f" at {leg.destination} in vain"
        told += f", one number in {ways_tried} ways." if ways_tried >= WAYS_MANY else "."
        reading = number.best.reason if number.best else ""
        evidence = (evidence_of("guard.number", 20, request.uri.user or b"", request.raw, f"{reading}."),)
        yield _case("guard.toll-attempt", leg, 85 if ways_tried >= WAYS_MANY else 50, told, evidence)

    # ---- its way to us -------------------------------------------------------------------------------------------

    def _path(self, leg: Leg) -> Path:
        """What the evidence room's walk over the Vias says of a request."""
        seen = leg.observation
        if seen.direction != "in" or seen.source != leg.source:
            seen = replace(seen, direction="in", source=leg.source, local=leg.destination)
        return judge_path(leg.request, seen, self._policy.paths)

    def _path_cases(self, leg: Leg, path: Path) -> Iterator[Case]:
        if path.verdict == "forged" and any(each.weight <= DECISIVE for each in path.evidence):
            told = f"{leg.source} sent {leg.destination} {leg.via_count} Vias, of which it made up all but the first."
            yield _case("guard.made-up-hops", leg, path.confidence, told, path.evidence)
        expected = self._policy.expected_hops
        if expected and leg.via_count > expected and path.verdict in HANDED_ON:
            behind = f" for {path.origin}, as it says itself," if path.origin else ""
            told = (
                f"{leg.source}, which is no known proxy, handed a request on{behind} to {leg.destination}: "
                f"{leg.via_count} Vias instead of {expected}, and it was refused."
            )
            yield _case("guard.unknown-relay", leg, max(LEAST_SURE, path.confidence), told, path.evidence)


def _case(rule: str, leg: Leg, confidence: int, told: str, evidence: Sequence[Evidence]) -> Case:
    return Case(rule, leg.source, leg.destination, confidence, told, tuple(evidence), (Sighting.of(leg),))


def _target(leg: Leg) -> bytes:
    """Whom a request asks for: the user that registers, or the one that is called; a host where there is none."""
    request = leg.request
    uri = request.uri
    if request.method == b"REGISTER" and request.to_address is not None:
        uri = request.to_address.uri
    if uri is None:
        return request.request_uri[:SHOWN]
    return uri.user if uri.user else uri.host


def _shown(octets: bytes) -> str:
    return visible(display(octets[:SHOWN]))
