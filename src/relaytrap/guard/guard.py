"""The guard: observations in, in the order in which they were seen; findings out, each once.

A request waits until it is answered, or until it will not be, because only then is it known whether it was handed on
and what came of it. Memory is bounded however long this goes on: what is held of requests, what is remembered of
people, and how many findings there are.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from relaytrap.evidence.path import address_text
from relaytrap.guard.acquaintance import SOON_NS, Acquaintance
from relaytrap.guard.finding import RULES, Case, Finding, Findings, Undecided
from relaytrap.guard.judge import Verdict, judge
from relaytrap.guard.memory import Recent, key_of
from relaytrap.guard.policy import Policy
from relaytrap.guard.tally import Tallies
from relaytrap.guard.transaction import Answer, Leg, Transaction, key_of_message, way_of
from relaytrap.observation import Observation
from relaytrap.sip import Request, Response, parse_message
from relaytrap.sip.text import display

__all__ = ["Guard", "Summary"]

S: Final = 1_000_000_000
PATIENCE_NS: Final = 32 * S
"""Timer B and F of RFC 3261 section 17.1: who is not answered by then gives up."""
RINGING_NS: Final = 180 * S
"""Timer C (section 16.6): as long as a proxy lets a call ring."""
HELD_MAX: Final = 1 << 16
HELD_OCTETS_MAX: Final = 96 << 20
EDGES_MAX: Final = 256
BANNER_MAX: Final = 100
CHALLENGES: Final = frozenset({401, 407})
TAKEN: Final = frozenset({480, 486, 487, 600, 603})
"""Final answers of whoever was called: the caller's password was good."""
NO_REQUESTS_OF_THEIR_OWN: Final = frozenset({b"ACK", b"CANCEL"})
"""Sent hop by hop in the name of another request (RFC 3261 sections 9.1 and 17.1.1.3)."""


@dataclass(slots=True)
class Summary:
    """Counts of all that was looked at.

    ours: different requests that came to our own networks or from there. handed_on: requests seen again behind where
    they had arrived; allowed: of these, by why it was right. alarms,
    attempts: findings by level. undecided: requests that could not be judged. untold: cases beyond the number of
    findings kept, by rule. unread: what could not be read, by reason. gaps: what this policy cannot tell; has_policy:
    whether it tells strangers at all.
    """

    messages: int = 0
    requests: int = 0
    ours: int = 0
    first_ns: int = 0
    last_ns: int = 0
    handed_on: int = 0
    allowed: Counter[str] = field(default_factory=Counter)
    alarms: int = 0
    attempts: int = 0
    undecided: int = 0
    untold: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    gaps: Sequence[str] = ()
    has_policy: bool = False


class Guard:
    """Judges the traffic of one edge under one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known = Acquaintance()
        self._tallies = Tallies(policy, self._known)
        self._findings = Findings()
        self._summary = Summary()
        # By when they are given up: waiting for a final answer, and ringing.
        self._waiting: OrderedDict[int, Transaction] = OrderedDict()
        self._ringing: OrderedDict[int, Transaction] = OrderedDict()
        # Answered before they went anywhere, by when they are judged: a server may answer first, then call on.
        self._answered: deque[tuple[int, Transaction]] = deque()
        # Tag of From, CSeq → the key under which a request began; the key of what left masked → the same.
        self._tags: Recent[int] = Recent(HELD_MAX)
        self._masked: Recent[int] = Recent(HELD_MAX)
        self._octets = 0
        self._now_ns = 0
        self._banners: dict[str, str] = {}

    # ---- asking --------------------------------------------------------------------------------------------------

    @property
    def findings(self) -> list[Finding]:
        """All findings so far, the gravest first."""
        return self._findings.all()

    @property
    def undecided(self) -> list[Undecided]:
        """What could not be decided so far."""
        return list(self._findings.all_undecided())

    def summary(self) -> Summary:
        """The counts so far."""
        summary, found = self._summary, self._findings.all()
        summary.alarms = sum(each.rule.level == "alarm" for each in found)
        summary.attempts = len(found) - summary.alarms
        summary.undecided = sum(each.requests for each in self._findings.all_undecided())
        summary.untold = Counter(self._findings.untold)
        summary.gaps = tuple(self._policy.gaps())
        summary.has_policy = self._policy.knows_own
        return summary

    def note_unread(self, unread: Mapping[str, int]) -> None:
        """What a reader could not read, by reason."""
        self._summary.unread.update(unread)

    # ---- taking in -----------------------------------------------------------------------------------------------

    def take(self, seen: Observation) -> Iterator[Finding]:
        """One message; what is new by it. Must be drained."""
        summary, moment = self._summary, seen.received_at_ns
        if not summary.messages:
            summary.first_ns = moment
            self._known.began_ns = max(moment, self._now_ns)
        summary.messages += 1
        summary.last_ns = max(summary.last_ns, moment)
        yield from self.advance(moment)
        message = parse_message(seen.raw)
        if isinstance(message, Request):
            summary.requests += 1
            if message.method not in NO_REQUESTS_OF_THEIR_OWN:
                self._take_request(seen, message)
        elif isinstance(message, Response):
            yield from self._take_response(seen, message)

    def advance(self, now_ns: int) -> Iterator[Finding]:
        """Time has passed: judge what waited long enough. Time never goes back, whatever a clock says."""
        self._now_ns = now_ns = max(self._now_ns, now_ns)
        while (answered := self._answered) and (answered[0][0] <= now_ns or self._is_full(len(answered))):
            yield from self._judge(answered.popleft()[1])
        for kept, patience_ns in ((self._waiting, PATIENCE_NS), (self._ringing, RINGING_NS)):
            while kept:
                key, transaction = next(iter(kept.items()))
                is_over = transaction.began_ns + patience_ns <= now_ns
                if not is_over and not self._is_full(len(kept)):
                    break
                del kept[key]
                if kept is self._waiting and is_over and not transaction.judged and _rings(transaction):
                    self._ringing[key] = transaction
                    continue
                yield from self._judge(transaction)

    def finish(self) -> Iterator[Finding]:
        """The traffic is over: judge what still waits."""
        for kept in (self._ringing, self._waiting):
            while kept:
                _, transaction = kept.popitem(last=False)
                yield from self._judge(transaction)

    def _is_full(self, held: int) -> bool:
        return held > HELD_MAX or self._octets > HELD_OCTETS_MAX

    def _take_request(self, seen: Observation, request: Request) -> None:
        source, _, destination, _ = way_of(seen)
        key = key_of_message(request)
        if key is None:
            key = key_of(source, seen.raw)
        leg = Leg(seen, request, source, destination, request.via_count)
        transaction = self._transaction_of(key, leg)
        before = transaction.octets
        if not transaction.add_leg(leg):
            return
        self._octets += transaction.octets - before
        if self._policy.party(source) == "own":
            if request.vias:
                self._policy.learn_name(request.vias[0].sent_by_host)
            if self._policy.party(destination) != "own" and transaction.first is leg:
                self._known.note_asked(leg)

    def _transaction_of(self, key: int, leg: Leg) -> Transaction:
        """The transaction that a sighting belongs to, begun where it is the first of one."""
        found = self._find(key, leg.request) or self._find_masked(key, leg)
        if found is not None and found.is_anothers(leg):
            if found.judged and self._held(key) is found:
                self._waiting.pop(key, None)
                self._ringing.pop(key, None)
                found = None
            else:
                key = key_of(key, leg.source, leg.branch)
                found = self._held(key)
        if found is None:
            found = self._waiting[key] = Transaction(max(leg.observation.received_at_ns, self._now_ns))
            if (tag := _tag_key(leg.request)) is not None:
                self._tags.put(tag, key, self._now_ns)
        return found

    def _take_response(self, seen: Observation, response: Response) -> Iterator[Finding]:
        source, _, destination, _ = way_of(seen)
        party = self._policy.party(source)
        if party == "own" or not self._policy.knows_own:
            self._tallies.answers_seen = True
        key = key_of_message(response)
        if key is None:
            return
        transaction = self._find(key, response, destination)
        if self._opens_dialog(transaction, source):
            self._known.note_dialog(response, seen.received_at_ns)
        if transaction is None:
            if party == "own":
                self._note_unasked(response, destination)
            return
        if transaction.judged:
            return
        is_passed_on = any(each.destination == source for each in transaction.answers)
        if party == "own" and not is_passed_on:
            self._note_banner(source, response)
            if response.status_code in CHALLENGES:
                self._known.note_challenge(response, seen.received_at_ns)
        before = transaction.octets
        transaction.add_answer(Answer(seen, response, source, destination))
        self._octets += transaction.octets - before
        self._note_user(transaction, response, destination)
        if transaction.is_final and response.status_code not in CHALLENGES:
            if transaction.onward or self._policy.party(transaction.first.source) != "stranger":
                yield from self._judge(transaction)
            elif not transaction.due:
                transaction.due = True
                self._answered.append((self._now_ns + SOON_NS, transaction))

    def _note_unasked(self, response: Response, destination: str) -> None:
        """An answer of our own whose request was not seen: lost on its way to us, late, or before the traffic."""
        if response.status_code in CHALLENGES:
            self._known.note_challenge(response, self._now_ns)
        is_registration = response.cseq is not None and response.cseq.method == b"REGISTER" and bool(response.contacts)
        if is_registration and 200 <= response.status_code < 300:
            self._known.note_user(destination, self._now_ns, was_asked=False)

    def _opens_dialog(self, transaction: Transaction | None, source: str) -> bool:
        """Whether a response can open a dialog: anybody can send one that nobody waits for.

        A request that says it is within a dialog does not begin one, whatever it is answered.
        """
        is_own = self._policy.party(source) == "own"
        if transaction is None:
            return is_own and not self._known.remembers_dialogs(self._now_ns)
        return not transaction.is_within and (is_own or transaction.was_handed_to(source))

    def _find(self, key: int, message: Request | Response, asker: str = "") -> Transaction | None:
        """The transaction of a message: of those under one key, the one whose beginner stands in its Vias.

        asker: to whom a response goes, whatever it says.
        """
        vias = message.vias
        if asker and vias and (found := self._held(key_of(key, asker, vias[0].branch))) is not None:
            return found
        for via in vias[1:]:
            for name in (via.param(b"received"), via.sent_by_host):
                if name and (found := self._held(key_of(key, address_text(name), via.branch))) is not None:
                    return found
        return self._held(key) or self._held(self._masked.get(key))

    def _find_masked(self, key: int, leg: Leg) -> Transaction | None:
        """The transaction that our own edge hands on under a Call-ID that it masked: the tag of From stays (topoh)."""
        tag = _tag_key(leg.request)
        if tag is None or leg.via_count < 2 or self._policy.party(leg.source) != "own":
            return None
        found = self._held(beginning := self._tags.get(tag))
        if found is None or beginning is None or not found.goes_on_as(leg):
            return None
        self._masked.put(key, beginning, self._now_ns)
        return found

    def _held(self, key: int | None) -> Transaction | None:
        return None if key is None else self._waiting.get(key) or self._ringing.get(key)

    def _note_banner(self, address: str, response: Response) -> None:
        said = response.headers.get(b"server") or response.headers.get(b"user-agent")
        if said and (address in self._banners or len(self._banners) < EDGES_MAX):
            self._banners[address] = display(said[:BANNER_MAX])

    # ---- judging -------------------------------------------------------------------------------------------------

    def _judge(self, transaction: Transaction) -> Iterator[Finding]:
        if transaction.judged:
            return
        first = transaction.first
        if self._policy.knows_own:
            self._summary.ours += "own" in (self._policy.party(first.source), self._policy.party(first.destination))
        verdict = judge(transaction, self._policy, self._known, self._now_ns)
        self._summary.handed_on += bool(transaction.onward)
        if verdict.allowed:
            self._summary.allowed[verdict.allowed] += 1
        if verdict.undecided:
            self._findings.undecided(verdict.undecided, _told(transaction))
        for case in (*verdict.cases, *self._attempts(transaction, verdict)):
            finding = self._findings.add(case, first, self._banners.get(case.edge, ""))
            if finding is not None:
                yield finding
        self._octets -= transaction.octets
        transaction.close()

    def _attempts(self, transaction: Transaction, verdict: Verdict) -> Sequence[Case]:
        """What somebody tried in vain; what an alarm is about was not in vain."""
        first = transaction.first
        if verdict.cases and RULES[verdict.cases[0].rule].level == "alarm":
            return ()
        if self._policy.party(first.source) != "stranger":
            return ()
        if self._policy.knows_own and self._policy.party(first.destination) != "own":
            return ()
        was_served = bool(verdict.allowed)
        return tuple(self._tallies.take(transaction, self._now_ns, was_handed_on=was_served))

    def _note_user(self, transaction: Transaction, response: Response, destination: str) -> None:
        """Whoever showed a password that was taken is no stranger from now on."""
        first = transaction.first
        if not first.request.credentials or destination != first.source:
            return
        status, was_asked = response.status_code, self._known.has_answered_challenge(first.request)
        if first.request.method == b"REGISTER":
            # A password that nobody saw us ask for: for a challenge before the traffic, or for somebody else's.
            went_out = any(self._policy.party(leg.destination) in ("stranger", "trunk") for leg in transaction.onward)
            is_taken = 200 <= status < 300 and (was_asked or not went_out)
        else:
            is_taken = was_asked and (180 <= status < 300 or status in TAKEN)
        if is_taken:
            self._known.note_user(first.source, self._now_ns, was_asked=was_asked)


def _tag_key(request: Request) -> int | None:
    cseq, tag = request.cseq, request.from_tag
    return key_of(tag, cseq.number, request.method) if cseq is not None and tag else None


def _rings(transaction: Transaction) -> bool:
    answer = transaction.answer_to(transaction.first)
    return answer is not None and 100 < answer.response.status_code < 200


def _told(transaction: Transaction) -> str:
    first = transaction.first
    ends = [leg.destination for leg in transaction.legs if leg is not first]
    onward = f", on to {', '.join(dict.fromkeys(ends))}" if ends else ""
    return f"{display(first.request.method[:32])} from {first.source} to {first.destination}{onward}"
