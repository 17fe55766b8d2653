"""The sensor's mind: a message and where it came from in, answers out. No socket, no clock, no chance of its own.

    listener ──data, flow, now──▶ Engine.receive ──▶ [Answer]      recorded and sent by the listener
    loop     ──now──────────────▶ Engine.handle_timers ──▶ [Answer]

Recording is not done here: the listener writes down every message before this looks at it, and every answer that left.

The law: `_emit` (what is said) and `_take` (what is said again) ask the ledger how much may go out, and nothing goes
out but through `_let_go`, which tells the ledger. Answers go back over the flow that the request came by: to its source
address and, over UDP, to its source port. RFC 3261 18.2.2 would send to the port in Via when there is no `rport`;
behind one address another port may be somebody else, so we do as every Asterisk with `force_rport` does. `maddr` in Via
is never followed.

What belongs to the RFC's transactions is in sip/transaction.py; what to say is the persona's. The rest here is order:
who may be answered at all, what is refused, then calls, challenges, methods.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from relaytrap.sensor.calls import Call, Calls, is_number
from relaytrap.sensor.chance import Chance
from relaytrap.sensor.credentials import is_right
from relaytrap.sensor.flow import Flow
from relaytrap.sensor.ledger import HEADER_BYTES, Ledger, Source
from relaytrap.sensor.pattern import RandomBytes
from relaytrap.sensor.persona import Persona, Rule, Seconds
from relaytrap.sensor.reply import Form, Slots
from relaytrap.sensor.voice import PROVING_BITS, Voice
from relaytrap.sip import Request, parse_message, validate
from relaytrap.sip.transaction import Action, Ended, PassUp, Send, ServerTransactions, State, Transaction

__all__ = ["Answer", "Engine"]

TRANSACTIONS_MAX: Final = 4096
TRANSACTIONS_MAX_BYTES: Final = 8 << 20
LATER_MAX: Final = 4096
USUAL_SCHEMES: Final = (b"sip:", b"sips:", b"tel:")


class Answer(NamedTuple):
    """Bytes to send to the source of a flow."""

    data: bytes
    flow: Flow


class Later(NamedTuple):
    """Something to say at a time; ordered by it. then: what is to follow, and has credit kept for it if possible."""

    due: float
    order: int
    exchange: "Exchange"
    form: Form
    call: Call | None
    then: Form | None


@dataclass(slots=True)
class Exchange:
    """One request on its way to its answers. out: where those go that leave at once. challenge: the one it gets."""

    request: Request
    flow: Flow
    source: Source
    slots: Slots
    chance: Chance
    out: list[Answer] = field(default_factory=list)
    transaction: Transaction | None = None
    challenge: str = ""


class Engine:
    """One sensor's answers.

    random_bytes: gives so many unguessable octets; asked once, for a key.
    own_ports: UDP ports we listen on, lest we talk to ourselves.
    counts: what was answered and why something was not, for the status.
    """

    def __init__(self, persona: Persona, ledger: Ledger, random_bytes: RandomBytes) -> None:
        self.persona = persona
        self.own_ports: frozenset[int] = frozenset()
        self.counts: Counter[str] = Counter()
        self._voice = Voice(persona)
        self._ledger = ledger
        self._key = random_bytes(64)
        self._transactions = ServerTransactions(max_transactions=TRANSACTIONS_MAX, max_bytes=TRANSACTIONS_MAX_BYTES)
        self._calls = Calls()
        self._later: list[Later] = []
        self._order = 0
        self._now_ns = 0

    def receive(self, data: bytes, flow: Flow, now_ns: int, now: float) -> list[Answer]:
        """What to send for one datagram or framed message at once; more may follow by `handle_timers`.

        now_ns: the wall clock, for what is written into answers. now: monotonic seconds, for everything else.
        """
        self._now_ns = now_ns
        connected = flow.is_connected
        source = self._ledger.received(flow.source, len(data), now, connected=connected)
        message = parse_message(data)
        if not isinstance(message, Request):
            self.counts["no-request"] += 1  # a response is never answered, nor is what is no SIP
            return []
        if not connected and not flow.may_be_answered(self.own_ports):
            self.counts["forbidden-address"] += 1
            return []
        self._look_for_proof(message, flow, source, now)
        try:
            slots = Slots(message, flow, self.persona, now_ns)
        except ValueError:
            # A mandatory header is missing or cannot be copied: no product can answer that, and none does.
            self.counts["unanswerable"] += 1
            return []
        exchange = Exchange(message, flow, source, slots, Chance(self._key, data, flow))
        self._process(exchange, now)
        return exchange.out

    def next_timer(self) -> float | None:
        """When `handle_timers` is to be called next, in the seconds of `now`; None: nothing waits."""
        due = self._transactions.next_timer()
        if self._later and (due is None or self._later[0].due < due):
            return self._later[0].due
        return due

    def handle_timers(self, now_ns: int, now: float) -> list[Answer]:
        """What has become due: delayed answers, and what RFC 3261 says to send again."""
        self._now_ns = now_ns
        out: list[Answer] = []
        while self._later and self._later[0].due <= now:
            later = heapq.heappop(self._later)
            later.exchange.out = out
            later.exchange.source = self._ledger.source(later.exchange.flow.source, now)
            later.exchange.slots.now_ns = now_ns
            self._say_later(later, now)
        for action in self._transactions.handle_timers(now):
            self._take(action, out, now, unasked=True)
        return out

    def _look_for_proof(self, request: Request, flow: Flow, source: Source, now: float) -> None:
        """A source that returns a nonce or a To tag of ours does receive at its address."""
        if not source.secrets:
            return
        if tag := _to_tag(request):
            self._ledger.returned(flow.source, source, tag, now)
        for name in (b"authorization", b"proxy-authorization"):
            if name in request.headers:
                for credentials in request.credentials:
                    self._ledger.returned(flow.source, source, credentials.get(b"nonce") or b"", now)

    # What is done with a request

    def _process(self, exchange: Exchange, now: float) -> None:
        request, method = exchange.request, exchange.request.method
        if method != b"ACK" and self._is_refused(exchange, now):
            return
        if method == b"ACK" or self._is_stateful(exchange, now):
            self._open_transaction(exchange, now)
        else:
            matched = self._transactions.find(request, exchange.flow, method=b"INVITE") if method == b"CANCEL" else None
            self._decide(exchange, matched, now)

    def _is_stateful(self, exchange: Exchange, now: float) -> bool:
        """Whether a source is worth remembering: one that is connected or has proven itself.

        Others are answered without state (RFC 3261 8.2.7; 26.3.2.4 against floods); only a call that rings has some.
        """
        return exchange.flow.is_connected or self._ledger.is_proven(exchange.source, now)

    def _open_transaction(self, exchange: Exchange, now: float) -> None:
        """Let the transactions see a request; go on with it if it is new."""
        request, flow = exchange.request, exchange.flow
        for action in self._transactions.receive_request(request, flow, now, is_reliable=flow.is_connected):
            if isinstance(action, PassUp):
                exchange.transaction = action.transaction
                self._decide(exchange, action.matched, now)
            else:
                self._take(action, exchange.out, now)

    def _is_refused(self, exchange: Exchange, now: float) -> bool:
        """Answer, or pass over in silence, what the persona's product would not process."""
        request, cases = exchange.request, self.persona.cases
        if cases.hops_spent is not None and request.max_forwards == 0:
            self._say(exchange, cases.hops_spent, now)
            return True
        if cases.rejections.get("400") == "accept" and _is_usual(request):
            return False
        rejection = validate(request)
        if rejection is None:
            return False
        name = cases.rejections.get(str(rejection.status), "")
        if name == "accept":
            return False
        self._say(exchange, name, now)
        return True

    def _decide(self, exchange: Exchange, matched: Transaction | None, now: float) -> None:
        request, cases = exchange.request, self.persona.cases
        method = request.method
        if method == b"ACK":
            return
        if method == b"CANCEL":
            self._cancel(exchange, matched, now)
        elif _to_tag(request) is not None:
            self._in_dialog(exchange, now)
        elif method == b"OPTIONS" and cases.options_without_user and not exchange.slots[b"user"]:
            self._say(exchange, cases.options_without_user, now)
        elif rule := self.persona.rule(method):
            self._apply(exchange, rule, now)

    def _apply(self, exchange: Exchange, rule: Rule, now: float) -> None:
        name = self._judge(exchange, rule) if rule.challenge else rule.answer
        if name == "ring":
            self._ring(exchange, now)
            return
        is_challenge = name == "challenge"
        form = self._challenge(exchange, rule.challenge) if is_challenge else self._voice.forms.get(name)
        if form is None:
            self.counts["persona-silent"] += 1
            return
        if rule.trying and exchange.transaction is not None:
            self._say_before(exchange, self._voice.forms[rule.trying], now, form)
        self._say_form(exchange, form, now)

    # Credentials

    def _judge(self, exchange: Exchange, rule: Rule) -> str:
        """Name of the answer that this request has earned; "challenge" for none yet."""
        request, persona = exchange.request, self.persona
        challenge = persona.challenges[rule.challenge]
        wanted = b"proxy-authorization" if challenge.header.startswith("Proxy") else b"authorization"
        credentials = request.credentials if wanted in request.headers else ()
        if not credentials:
            is_known = rule.unknown_user == "challenge" or persona.password(_claimed_user(request)) is not None
            return "challenge" if is_known else rule.unknown_user
        given = credentials[0]
        password = persona.password(given.get(b"username") or b"")
        right = bool(password) and is_right(given, request.method, password or "")
        if (given.get(b"nonce") or b"") not in exchange.source.secrets:
            exchange.slots[b"stale"] = challenge.stale.encode() if right else b""
            return "challenge"
        if right:
            return rule.answer
        if password is None and rule.unknown_user != "challenge":
            return rule.unknown_user
        return rule.refused

    def _challenge(self, exchange: Exchange, name: str) -> Form:
        exchange.challenge = name
        stale = exchange.slots.get(b"stale", b"")
        nonce, value = self._voice.challenge(name, stale, exchange.chance, self._now_ns)
        exchange.slots[b"challenge"] = value
        self._ledger.issue(exchange.source, nonce)
        return self._voice.challenges[name]

    # Calls

    def _ring(self, exchange: Exchange, now: float) -> None:
        """Ring and answer; a UDP source that has not proven itself hears it ring, then a refusal."""
        ring, transaction = self.persona.ring, exchange.transaction
        if ring is None or not is_number(ring.number, exchange.slots[b"user"]):
            self._say(exchange, ring.no_such_number if ring else "", now)
            return
        if len(self._later) + 2 > LATER_MAX:
            self._say(exchange, ring.unproven, now)
            return
        if transaction is None:
            self._open_transaction(exchange, now)
            return
        proven = exchange.flow.is_connected or self._ledger.is_proven(exchange.source, now)
        forms = self._voice.forms
        final = forms[ring.answered if proven else ring.unproven]
        self._prepare(exchange, final)
        call = self._calls.open(transaction, exchange.flow, exchange.slots.tag)
        # Where credit is short, ringing is worth more than the 100 before it and the final answer behind it.
        self._say_before(exchange, forms[ring.trying], now, forms[ring.ringing], final)
        rings_at = now + _between(ring.ringing_after_s, exchange.chance)
        self._schedule(rings_at, exchange, forms[ring.ringing], call, then=final)
        self._schedule(rings_at + _between(ring.answered_after_s, exchange.chance), exchange, final, call)

    def _cancel(self, exchange: Exchange, matched: Transaction | None, now: float) -> None:
        cases, ring = self.persona.cases, self.persona.ring
        if matched is None:
            self._say(exchange, cases.no_transaction, now)
            return
        call = self._calls.of(matched)
        if call is not None:
            exchange.slots.use_tag(call.local_tag)
        self._say(exchange, cases.cancel, now)
        if call is None or ring is None or matched.state is not State.PROCEEDING:
            return
        self._calls.end(call)
        slots = Slots(matched.request, exchange.flow, self.persona, self._now_ns)
        slots.use_tag(call.local_tag)
        invite = Exchange(
            matched.request, exchange.flow, exchange.source, slots, exchange.chance, exchange.out, matched
        )
        self._say(invite, ring.cancelled, now)

    def _in_dialog(self, exchange: Exchange, now: float) -> None:
        request, cases, ring = exchange.request, self.persona.cases, self.persona.ring
        call = self._calls.find(request, exchange.flow)
        if call is None:
            self._say(exchange, cases.no_dialog, now)
        elif request.method == b"INVITE" and ring is not None:
            self._say(exchange, ring.answered, now)
        else:
            if request.method == b"BYE":
                self._calls.end(call)
            self._say(exchange, cases.in_dialog, now)

    # Saying it

    def _say(self, exchange: Exchange, name: str, now: float) -> None:
        """Give the named answer; "" is silence."""
        form = self._voice.forms.get(name)
        if form is None:
            self.counts["persona-silent"] += 1
        else:
            self._say_form(exchange, form, now)

    def _say_form(self, exchange: Exchange, form: Form, now: float) -> None:
        delay = self.persona.wire.delay_s
        if delay[1] and len(self._later) < LATER_MAX:
            self._schedule(now + _between(delay, exchange.chance), exchange, form)
        else:
            self._emit(exchange, form, now)

    def _say_before(self, exchange: Exchange, form: Form, now: float, *following: Form) -> bool:
        """Say something provisional, if what may be sent leaves room for what follows; whether it was said."""
        for each in following:
            self._prepare(exchange, each)
        reserved = sum(each.shortest(exchange.slots) + HEADER_BYTES for each in following)
        return self._emit(exchange, form, now, reserved)

    def _emit(self, exchange: Exchange, form: Form, now: float, reserved: int = 0) -> bool:
        """Write an answer as long as the ledger allows, less what is reserved, and let it go; False: it did not fit."""
        flow, source, transaction = exchange.flow, exchange.source, exchange.transaction
        self._prepare(exchange, form)
        most = self._ledger.allowance(source, now, connected=flow.is_connected) - reserved
        data = form.fill(exchange.slots, most)
        if data is None and not reserved and self._shorten(exchange):
            data = form.fill(exchange.slots, most)
        if data is None:
            self.counts["held-back"] += not reserved
            return False
        if transaction is None:
            self._let_go(data, flow, source, exchange.out, now)
            return True
        for action in self._transactions.send_response(transaction, form.status_code, data, now):
            if isinstance(action, Send):
                self._let_go(data, flow, source, exchange.out, now)
        return True

    def _shorten(self, exchange: Exchange) -> bool:
        """Make tag and challenge as short as clients take them, if nobody has seen them yet: the last resort.

        An extension scanner's REGISTER has 340 octets; what a modern Asterisk says to it does not fit in there.
        """
        slots, transaction = exchange.slots, exchange.transaction
        if transaction is not None and (transaction.last_response or self._calls.of(transaction)):
            return False
        tag = self._voice.make_tag(self._voice.short_tag, exchange.request, exchange.chance, self._now_ns)
        if len(tag) < len(slots.tag):
            slots.use_tag(tag)
        if exchange.challenge:
            nonce, slots[b"challenge"] = self._voice.challenge(
                exchange.challenge, b"", exchange.chance, self._now_ns, short=True
            )
            self._ledger.issue(exchange.source, nonce)
        return True

    def _prepare(self, exchange: Exchange, form: Form) -> None:
        """Put the To tag and the body in their slots. A tag in an answer to INVITE comes back in the ACK: a proof."""
        slots, request = exchange.slots, exchange.request
        if not slots.tag:
            pattern = self._voice.tag_pattern(form)
            slots.use_tag(self._voice.make_tag(pattern, request, exchange.chance, self._now_ns))
            if request.method == b"INVITE" and pattern.random_bits >= PROVING_BITS:
                self._ledger.issue(exchange.source, slots.tag)
        if form.answer.body and b"body" not in slots:
            slots[b"body"] = self._voice.session(request, exchange.flow, exchange.chance, self._now_ns)

    def _take(self, action: Action, out: list[Answer], now: float, *, unasked: bool = False) -> None:
        """What the transactions want done. (Trying asks for nothing: the persona said its own 100, or keeps silent.)

        unasked: a timer wants it. What an unproven source did not ask for again is not sent: its credit is for what it
        asks next.
        """
        if isinstance(action, Send):
            flow = cast(Flow, action.transaction.peer)
            connected, source = flow.is_connected, self._ledger.source(flow.source, now)
            if unasked and not connected and not self._ledger.is_proven(source, now):
                return
            if len(action.data) <= self._ledger.allowance(source, now, connected=connected):
                self._let_go(action.data, flow, source, out, now)
            else:
                self.counts["held-back"] += 1
        elif isinstance(action, Ended):
            call = self._calls.of(action.transaction)
            # A call that was answered and acknowledged goes on without its transaction; no other does.
            if call is not None and (action.why != "done" or action.transaction.last_status >= 300):
                self._calls.end(call)

    def _let_go(self, data: bytes, flow: Flow, source: Source, out: list[Answer], now: float) -> None:
        """The one way out. The ledger was asked; here it is told."""
        self._ledger.spend(source, len(data), now, connected=flow.is_connected)
        self.counts["answered"] += 1
        out.append(Answer(data, flow))

    # Saying it later

    def _schedule(
        self, due: float, exchange: Exchange, form: Form, call: Call | None = None, *, then: Form | None = None
    ) -> None:
        self._order += 1
        heapq.heappush(self._later, Later(due, self._order, exchange, form, call, then))

    def _say_later(self, later: Later, now: float) -> None:
        exchange, call = later.exchange, later.call
        transaction = exchange.transaction
        if (call and call.is_over) or (transaction and transaction.state is State.TERMINATED):
            return
        if later.form.status_code >= 300 and call is not None:
            self._calls.end(call)
        if later.then is None or not self._say_before(exchange, later.form, now, later.then):
            self._emit(exchange, later.form, now)


def _between(span: Seconds, chance: Chance) -> float:
    low, high = span
    return low + (high - low) * int.from_bytes(chance(2), "big") / 65536


def _to_tag(request: Request) -> bytes | None:
    """The To tag; most requests have none, and that is seen without taking To apart."""
    to = request.headers.get(b"to")
    return request.to_tag if to is not None and b"tag" in to.lower() else None


def _claimed_user(request: Request) -> bytes:
    """The user that a request says it is for: To of a REGISTER, From of anything else."""
    address = request.to_address if request.method == b"REGISTER" else request.from_address
    return (address.uri.user if address is not None else None) or b""


def _is_usual(request: Request) -> bool:
    """Whether nothing but malformation could be held against a request: no need to look for more."""
    headers = request.headers
    if b"require" in headers or b"content-encoding" in headers:
        return False
    return request.version == b"SIP/2.0" and request.request_uri.startswith(USUAL_SCHEMES)
