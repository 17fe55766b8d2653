"""What one request on its way through the edge says under a policy.

A stranger's request that arrives at our edge and leaves it for another stranger was relayed, before our own eyes. RFC
3261 section 16.5 tells a proxy to do just that; policy decides. It is allowed for our own, for known proxies and
trunks, for who showed a password, within a dialog whose beginning was seen, and towards our own. What lacks the
knowledge to decide is undecided, never an alarm: an honest user who registered before the capture began looks like a
stranger.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.dialplan import DialledNumber
from relaytrap.evidence.path import address_text, is_public
from relaytrap.guard.acquaintance import Acquaintance, ends_alike
from relaytrap.guard.finding import Case, Sighting, evidence_of
from relaytrap.guard.policy import Policy
from relaytrap.guard.transaction import Answer, Leg, Transaction
from relaytrap.sip import Request
from relaytrap.sip.text import display, visible

__all__ = ["Verdict", "is_refusal", "judge"]

CALLING: Final = frozenset({b"INVITE", b"MESSAGE"})
REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 406, 407, 410, 416, 420, 481, 484, 488, 603, 604, 606})
"""Answers that refuse whoever asks; busy, ringing in vain and overload do not."""
TRIED: Final = frozenset({477, 478})
"""Kamailio's own: it could not reach, or not resolve, where it was told to go (measured)."""
SECURE: Final = frozenset({"tls", "ws", "wss"})
SHOWN: Final = 120


class Verdict(NamedTuple):
    """What became of one request.

    cases: alarms and attempts. allowed: why it was handed on rightly; undecided: why that cannot be told (a key of
    finding.REASONS); both "" otherwise.
    """

    cases: tuple[Case, ...] = ()
    allowed: str = ""
    undecided: str = ""


NOTHING: Final = Verdict()


def is_refusal(answer: Answer | None) -> bool:
    """Whether a request was refused, or left without an answer."""
    return answer is None or answer.response.status_code < 200 or answer.response.status_code in REFUSALS


def judge(transaction: Transaction, policy: Policy, known: Acquaintance, now_ns: int) -> Verdict:
    """The verdict on a request that has its final answer, or was given up."""
    first = transaction.first
    onward = transaction.onward
    if not policy.knows_own:
        return Verdict(undecided="no-own-networks") if onward else NOTHING
    if (party := policy.party(first.source)) != "stranger":
        return Verdict(allowed=FROM[party]) if onward else NOTHING
    if policy.party(first.destination) != "own":
        return NOTHING
    return _Judgement(transaction, policy, known, now_ns).verdict()


FROM: Final = {"own": "from our own networks", "known": "from a known proxy", "trunk": "from a trunk"}


class _Judgement:
    """A stranger's request at our own edge."""

    def __init__(self, transaction: Transaction, policy: Policy, known: Acquaintance, now_ns: int) -> None:
        self.transaction = transaction
        self.policy = policy
        self.known = known
        self.now_ns = now_ns
        self.first = transaction.first
        self.request = self.first.request
        self.answer = transaction.answer_to(self.first)
        uri = self.request.uri
        self.host = uri.host.lower() if uri is not None else b""
        self.user = uri.user_text if uri is not None else None

    def verdict(self) -> Verdict:
        legs = self.transaction.legs
        exits = [leg for leg in legs if leg is not self.first and self.policy.party(leg.source) == "own"]
        outside = [leg for leg in exits if self.policy.party(leg.destination) in ("stranger", "trunk")]
        if outside:
            return self._left(outside)
        if self.request.method == b"REGISTER" and (registered := self._registered()) is not NOTHING:
            return registered
        if exits:
            return Verdict(allowed="to our own or a known proxy")
        return self._stayed()

    # ---- it left the edge for somebody outside -------------------------------------------------------------------

    def _left(self, outside: Sequence[Leg]) -> Verdict:
        if self.known.is_user(self.first.source):
            return Verdict(allowed="from a user who showed a password")
        if self.known.is_known_dialog(self.request, self.now_ns):
            return Verdict(allowed="within a dialog that is known")
        unproven = bool(self.request.credentials)
        if unproven and self.known.has_answered_challenge(self.request):
            return Verdict(allowed="with a password")
        if unproven and not self.known.remembers_challenges(self.now_ns):
            return Verdict(undecided="earlier-challenge")
        if self.known.may_be_user(self.first.source) and not self.known.remembers_challenges(self.now_ns):
            return Verdict(undecided="earlier-challenge")
        trunks = [leg for leg in outside if self.policy.party(leg.destination) == "trunk"]
        strangers = [leg for leg in outside if leg not in trunks and not self.known.may_be_user(leg.destination)]
        if not strangers and not trunks:
            return Verdict(allowed="to a user who showed a password")
        if self.request.to_tag:
            return self._in_dialog((trunks or strangers)[0])
        if trunks and self.request.method in CALLING:
            uri = trunks[0].request.uri
            if uri is not None and not ends_alike(self.user, uri.user_text):
                return Verdict(undecided="other-number")
            return Verdict((self._toll_relay(trunks[0]),))
        return self._relayed((strangers or trunks)[0])

    def _in_dialog(self, leg: Leg) -> Verdict:
        never = self.request.method == b"REGISTER"  # which knows no dialog (RFC 3261 section 10.2)
        if not never and not self.known.remembers_dialogs(self.now_ns):
            return Verdict(undecided="earlier-dialog")
        text = "A To tag, as if within a dialog" + (
            ", which REGISTER does not know." if never else " that nobody was seen beginning."
        )
        tag = self._evidence("guard.to-tag", 40, self.request.headers.get(b"to") or b"", text)
        told = f"{self._who()} with a To tag, and it was handed on to {leg.destination} without a dialog."
        return Verdict((self._relay_case("guard.open-in-dialog", 80 if never else 60, told, leg, (tag,)),))

    def _toll_relay(self, leg: Leg) -> Case:
        confidence = 60 + 15 * self.known.challenges_calls + 15 * self.known.remembers_users(self.now_ns)
        told = (
            f"{self._who()}, and it was handed on to the trunk {leg.destination} without a password: a stranger calls "
            "at your expense."
        )
        number = self.policy.number_abroad(self.user, self.first.destination)
        return self._relay_case("guard.toll-relay", confidence, told, leg, (self._dialled(number),))

    def _relayed(self, leg: Leg) -> Verdict:
        if (route := self._foreign_route()) is not None:
            text = "Route names a host that is not ours: the sender chose the way."
            why = self._evidence("guard.route", 30, route, text)
            told = f"{self._who()} with a Route of its own, and it was handed on to {leg.destination}."
            return Verdict((self._relay_case("guard.open-by-route", 80, told, leg, (why,)),))
        if not self.host:
            return Verdict(undecided="no-domain")
        if self.policy.is_ours(self.host) or self.host == _name_of(leg):
            return Verdict(undecided="own-name")
        if not self.policy.knows_domains:
            return Verdict(undecided="no-own-domains")
        told = f"{self._who()}, which is not ours, and it was handed on to {leg.destination}."
        return Verdict((self._relay_case("guard.open-relay", 80, told, leg, ()),))

    def _foreign_route(self) -> bytes | None:
        for route in self.request.route:
            host = route.uri.host.lower() if route.uri else b""
            if host and not self.policy.is_ours(host):
                return route.raw
        return None

    def _relay_case(self, rule: str, confidence: int, told: str, leg: Leg, more: tuple[Evidence, ...]) -> Case:
        """A case of our own edge handing on. leg: the sighting that left it."""
        evidence = [self._evidence("guard.request-uri", 20, self.request.request_uri, self._whose_host()), *more]
        onward = leg.request
        if onward.vias:
            is_stacked = leg.via_count > self.first.via_count and _carries(onward, self.request)
            text = f"The same Call-ID and CSeq left for {leg.destination}"
            text += ", with our Via on top of theirs." if is_stacked else ", under another Via."
            confidence += 10 * is_stacked
            via = onward.vias[0].raw
            evidence.append(evidence_of("guard.handed-on", 40 if is_stacked else 25, via, onward.raw, text))
        reply = self.transaction.answer_to(leg)
        sightings: list[Leg | Answer] = [self.first, leg]
        answered = False
        if reply is not None and reply.response.status_code > 100:
            confidence += 5
            answered = 200 <= reply.response.status_code < 300
            text = f"{leg.destination} answered" + (": relaying worked." if answered else ".")
            evidence.append(evidence_of("guard.answered", 10, reply.line, reply.response.raw, text))
            sightings.append(reply)
            if self.answer is not None:
                sightings.append(self.answer)
        if (claim := self._own_from()) is not None:
            text = "From names a domain of ours, which anybody can write: it says nothing without a password."
            evidence.append(self._evidence("guard.from", 0, claim, text))
        return self._case(rule, min(confidence, 95), told, evidence, sightings, (leg.destination,), answered)

    # ---- it ended at the edge ------------------------------------------------------------------------------------

    def _registered(self) -> Verdict:
        """A REGISTER that was taken although no password was shown."""
        answer, request = self.answer, self.request
        if answer is None or not 200 <= answer.response.status_code < 300 or request.credentials:
            return NOTHING
        if not request.contacts or not answer.response.contacts or _is_taken_back(request):
            return NOTHING
        if self.known.is_user(self.first.source):
            return NOTHING  # an SBC answers for its registrar while a registration lasts
        if self.first.observation.transport in SECURE:
            return Verdict(undecided="secure-registration")
        told = f"{self.first.source} registered {self._shown(_to(request))} at {self.first.destination}"
        told += " without a password."
        contact = answer.response.contacts[0].raw
        evidence = (
            self._evidence("guard.no-password", 30, b"", "No Authorization in the request."),
            evidence_of("guard.registered", 40, contact, answer.response.raw, "The answer lists the binding."),
        )
        return Verdict((self._case("guard.open-registrar", 70, told, evidence, (self.first, answer)),))

    def _stayed(self) -> Verdict:
        """No sighting beyond the edge: refused, answered by the edge itself, or handed on where nobody looked."""
        if self.known.is_user(self.first.source) or self.known.is_known_dialog(self.request, self.now_ns):
            return NOTHING
        if self.request.method == b"INVITE" and not self.request.to_tag and self._is_served():
            called = self._called()
            if called is not NOTHING:
                return called
        if not self.policy.knows_domains or self.policy.is_ours(self.host):
            return NOTHING
        if self.user and not self.known.has_answered_challenge(self.request):
            onward = self.known.asked_for(self.first)
            if onward is not None and self.policy.party(onward.destination) == "stranger":
                return Verdict((self._asked_anew(onward),))
        if not _is_named(self.host):
            return NOTHING
        answer = self.answer
        if self._is_served_elsewhere():
            return Verdict(undecided="way-unseen")
        if answer is not None and answer.response.status_code in TRIED:
            told = f"{self._who()}, which is not ours, and the edge tried to reach it."
            evidence = [
                self._evidence("guard.request-uri", 20, self.request.request_uri, self._whose_host()),
                evidence_of("guard.tried", 40, answer.line, answer.response.raw, "The answer of a proxy that tried."),
            ]
            return Verdict((self._case("guard.tried-to-route", 60, told, evidence, (self.first, answer)),))
        if not is_refusal(answer):
            return NOTHING
        evidence = [self._evidence("guard.request-uri", 20, self.request.request_uri, self._whose_host())]
        end = "and got no answer"
        sightings: list[Leg | Answer] = [self.first]
        if answer is not None:
            end = f"and was refused ({answer.response.status_code})"
            evidence.append(evidence_of("guard.refused", 10, answer.line, answer.response.raw, "What it was told."))
            sightings.append(answer)
        told = f"{self._who()}, which is not ours, {end}: a test for an open relay, or gone astray."
        return Verdict((self._case("guard.relay-attempt", 60, told, evidence, sightings),))

    def _asked_anew(self, onward: Leg) -> Case:
        """A server that makes each request anew (a B2BUA): the same user and host, within seconds, by association."""
        told = f"{self._who()}, which is not ours, and within seconds the edge asked {onward.destination} for the same."
        text = "The same user and host left under another Call-ID."
        uri = onward.request.request_uri
        evidence = [
            self._evidence("guard.request-uri", 20, self.request.request_uri, self._whose_host()),
            evidence_of("guard.asked-anew", 30, uri, onward.request.raw, text),
        ]
        sightings: list[Leg | Answer] = [self.first, onward]
        if self.answer is not None:
            evidence.append(
                evidence_of("guard.answered", 5, self.answer.line, self.answer.response.raw, "What it was told.")
            )
            sightings.append(self.answer)
        return self._case(
            "guard.open-relay", 70, told, evidence, sightings, (onward.destination,), answered=self._is_served()
        )

    def _is_served(self) -> bool:
        return self.answer is not None and 200 <= self.answer.response.status_code < 300

    def _is_served_elsewhere(self) -> bool:
        """Whether somebody rang or took it, for a host that is not ours: an edge itself answers OPTIONS at most."""
        if self.answer is None or self.request.method == b"OPTIONS" or self.request.to_tag:
            return False
        is_taken = 180 <= self.answer.response.status_code < 300
        return is_taken and not self.known.has_answered_challenge(self.request)

    def _called(self) -> Verdict:
        """A call that the edge answered: its own, or one that it went on with as a caller of its own (a B2BUA)."""
        if self.answer is None or self.known.has_answered_challenge(self.request):
            return NOTHING
        number = self.policy.number_abroad(self.user, self.first.destination)
        onward = self.known.call_for(self.first)
        if onward is not None and self.policy.party(onward.destination) != "trunk":
            onward = None  # a user of ours who is elsewhere, as likely as not
        if number is None and (onward is None or self.policy.is_own_number(self.user, self.first.destination)):
            return NOTHING
        if self.request.credentials or (onward is None and not self.policy.own_numbers):
            return Verdict(undecided="earlier-challenge" if self.request.credentials else "number-abroad")
        where = f", a number in {number.country or 'another country'}," if number is not None else ""
        told = f"{self._who()}{where} without a password, and it was answered"
        evidence = [
            self._dialled(number),
            evidence_of("guard.answered", 30, self.answer.line, self.answer.response.raw, "It was answered."),
        ]
        sightings: list[Leg | Answer] = [self.first, self.answer]
        confidence, destinations = 50, tuple[str, ...]()
        if onward is not None:
            told += f" after the edge had called the same number at {onward.destination}"
            uri, confidence, destinations = onward.request.request_uri, 85, (onward.destination,)
            text = f"Within seconds the same number was called at {onward.destination}."
            evidence.append(evidence_of("guard.called-on", 35, uri, onward.request.raw, text))
            sightings.append(onward)
        return Verdict(
            (self._case("guard.toll-answered", confidence, f"{told}.", evidence, sightings, destinations, True),)
        )

    # ---- words ---------------------------------------------------------------------------------------------------

    def _case(
        self,
        rule: str,
        confidence: int,
        told: str,
        evidence: Sequence[Evidence],
        sightings: Sequence[Leg | Answer],
        destinations: tuple[str, ...] = (),
        answered: bool = False,
    ) -> Case:
        return Case(
            rule,
            self.first.source,
            self.first.destination,
            confidence,
            told,
            tuple(evidence),
            tuple(map(Sighting.of, sightings)),
            destinations,
            answered,
        )

    def _evidence(self, rule: str, weight: int, quote: bytes, text: str) -> Evidence:
        return evidence_of(rule, weight, quote, self.request.raw, text)

    def _dialled(self, number: DialledNumber | None) -> Evidence:
        reading = f"{number.best.reason}." if number is not None and number.best is not None else "What it dials."
        return self._evidence("guard.number", 20, self.user or b"", reading)

    def _who(self) -> str:
        uri = self._shown(self.request.request_uri)
        return f"{self.first.source} asked {self.first.destination} ({self._shown(self.request.method)}) for {uri}"

    def _whose_host(self) -> str:
        if not self.host:
            return "The Request-URI names no host."
        if self.policy.is_ours(self.host):
            return "The Request-URI names us."
        return "The Request-URI names a host that is not ours." if self.policy.knows_domains else "What was asked for."

    def _shown(self, octets: bytes) -> str:
        return visible(display(octets[:SHOWN]))

    def _own_from(self) -> bytes | None:
        address = self.request.from_address
        if address is None or address.uri is None or not self.policy.is_ours(address.uri.host):
            return None
        return address.raw


def _to(request: Request) -> bytes:
    return request.to_address.uri.raw if request.to_address and request.to_address.uri else b""


def _name_of(leg: Leg) -> bytes:
    """How the edge that handed on calls itself."""
    vias = leg.request.vias
    return vias[0].sent_by_host.lower() if vias else b""


def _carries(onward: Request, request: Request) -> bool:
    """Whether a request has another's topmost Via below its own."""
    branch = request.vias[0].branch if request.vias else None
    return branch is not None and any(via.branch == branch for via in onward.vias[1:])


def _is_named(host: bytes) -> bool:
    """Whether a host is one that others can mean: a name with a dot, or a public address."""
    address = address_text(host)
    return is_public(address) if address is not None else b"." in host.strip(b".")


def _is_taken_back(request: Request) -> bool:
    """Whether a REGISTER only removes."""
    values = {request.headers.get(b"expires"), *(contact.param(b"expires") for contact in request.contacts)} - {None}
    return values == {b"0"}
