"""The sensor's mind: a message and where it came from in, answers out. No socket, no clock, no chance of its own.

    listener ──data, flow, now──▶ Engine.receive ──▶ [Answer]      recorded and sent by the listener
    loop     ──now──────────────▶ Engine.handle_timers ──▶ [Answer]

Recording is not done here: the listener writes down every message before this looks at it, and every answer that left.

What belongs to the RFC's transactions is in sip/transaction.py, what to say is the persona's, and how much of it may
be said is outlet.py's. The rest here is order: who may be answered at all, what is refused, then calls, challenges,
methods.
"""

from collections import Counter
from typing import Final

from relaytrap.sensor.calls import Calls, is_number
from relaytrap.sensor.chance import Chances
from relaytrap.sensor.credentials import is_right
from relaytrap.sensor.flow import Flow
from relaytrap.sensor.ledger import Ledger, Source
from relaytrap.sensor.outlet import Answer, Exchange, Outlet, drawn_between
from relaytrap.sensor.pattern import RandomBytes
from relaytrap.sensor.persona import Persona, Rule
from relaytrap.sensor.reply import Form, Slots, user_of_address
from relaytrap.sensor.voice import Voice
from relaytrap.sip import ANOMALIES, Abilities, Request, parse_message, validate
from relaytrap.sip.transaction import Action, Ended, PassUp, Send, ServerTransactions, State, Transaction

__all__ = ["Engine"]

TRANSACTIONS_MAX: Final = 4096
TRANSACTIONS_MAX_BYTES: Final = 8 << 20
USUAL_SCHEMES: Final = (b"sip:", b"sips:", b"tel:")


class Engine:
    """One sensor's answers.

    random_bytes: gives so many unguessable octets; asked once, for a key.
    own_ports: UDP ports we listen on, lest we talk to ourselves.
    counts: what was answered and why something was not, for the status.
    """

    def __init__(self, persona: Persona, ledger: Ledger, random_bytes: RandomBytes) -> None:
        self.persona = persona
        self.own_ports: frozenset[int] = frozenset()
        # A product that takes malformed requests and counts no hops has nothing to refuse in a usual one.
        supported = persona.headers.get("Supported", "").encode().lower().split(b",")
        self._abilities = Abilities(extensions=frozenset(tag.strip() for tag in supported))
        cases = persona.cases
        self._disliked = [each for each, name in cases.rejections.items() if each in ANOMALIES and name != "accept"]
        accepts_malformed = cases.rejections.get("400") == "accept" and not self._disliked
        self._is_lenient = accepts_malformed and cases.hops_spent is None
        self._voice = Voice(persona)
        self._ledger = ledger
        self._chances = Chances(random_bytes(64))
        self._transactions = ServerTransactions(max_transactions=TRANSACTIONS_MAX, max_bytes=TRANSACTIONS_MAX_BYTES)
        self._calls = Calls()
        self._outlet = Outlet(self._voice, ledger, self._transactions, persona.wire.delay_s)
        self.counts: Counter[str] = self._outlet.counts

    def receive(self, data: bytes, flow: Flow, now_ns: int, now: float) -> list[Answer]:
        """What to send for one datagram or framed message at once; more may follow by `handle_timers`.

        now_ns: the wall clock, for what is written into answers. now: monotonic seconds, for everything else.
        """
        connected = flow.transport != "udp"
        source = self._ledger.received(flow.source, len(data), now, connected=connected)
        message = parse_message(data)
        if not isinstance(message, Request):
            self.counts["no-request"] += 1  # a response is never answered, nor is what is no SIP
            return []
        if not connected and not flow.may_be_answered(self.own_ports):
            self.counts["forbidden-address"] += 1
            return []
        if source.secrets:
            self._look_for_proof(message, flow, source, now)
        try:
            slots = Slots(message, flow, self.persona, now_ns)
        except ValueError:
            # A mandatory header is missing or cannot be copied: no product can answer that, and none does.
            self.counts["unanswerable"] += 1
            return []
        exchange = Exchange(message, flow, source, slots, self._chances.of(data, flow, now))
        self._process(exchange, now)
        return exchange.out

    def next_timer(self) -> float | None:
        """When `handle_timers` is to be called next, in the seconds of `now`; None: nothing waits."""
        due, later = self._transactions.next_timer(), self._outlet.next_due
        return due if later is None else later if due is None else min(due, later)

    def handle_timers(self, now_ns: int, now: float) -> list[Answer]:
        """What has become due: delayed answers, and what RFC 3261 says to send again."""
        out: list[Answer] = []
        self._outlet.say_due(out, now_ns, now)
        for action in self._transactions.handle_timers(now):
            self._take(action, out, now, unasked=True)
        return out

    def _look_for_proof(self, request: Request, flow: Flow, source: Source, now: float) -> None:
        """A source that returns a nonce or a To tag of ours does receive at its address."""
        if tag := _to_tag(request):
            self._ledger.returned(flow.source, source, tag, now)
        first = request.headers.first
        if b"authorization" in first or b"proxy-authorization" in first:
            for credentials in request.credentials:
                self._ledger.returned(flow.source, source, credentials.get(b"nonce") or b"", now)

    # What is done with a request

    def _process(self, exchange: Exchange, now: float) -> None:
        request, method = exchange.request, exchange.request.method
        is_unchecked = self._is_lenient and _is_usual(request)
        if not is_unchecked and method != b"ACK" and self._is_refused(exchange, now):
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
        return exchange.flow.transport != "udp" or exchange.source.proven_until > now

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
        if self._disliked and request.anomalies:
            noted = {each.name for each in request.anomalies}
            for each in self._disliked:
                if each in noted:
                    self._say(exchange, cases.rejections[each], now)
                    return True
        rejection = validate(request, self._abilities)
        if rejection is None:
            return False
        exchange.slots.update((name.lower(), value) for name, value in rejection.headers if name == b"Unsupported")
        by_status = cases.rejections.get(str(rejection.status), "")
        name = cases.rejections.get(rejection.why, by_status)
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
        elif exchange.slots.has_tag:
            self._in_dialog(exchange, now)
        elif method == b"OPTIONS" and cases.options_without_user and not exchange.slots[b"user"]:
            self._say(exchange, cases.options_without_user, now)
        elif rule := self.persona.rule(method):
            self._apply(exchange, rule, now)

    def _apply(self, exchange: Exchange, rule: Rule, now: float) -> None:
        name = self._judge(exchange, rule, now) if rule.challenge else rule.answer
        if name == "ring":
            self._ring(exchange, now)
            return
        is_challenge = name == "challenge"
        form = self._challenge(exchange, rule.challenge, now) if is_challenge else self._voice.forms.get(name)
        if form is None:
            self.counts["persona-silent"] += 1
            return
        if rule.trying and exchange.transaction is not None:
            self._outlet.say_before(exchange, self._voice.forms[rule.trying], now, form)
        self._outlet.say(exchange, form, now)

    # Credentials

    def _judge(self, exchange: Exchange, rule: Rule, now: float) -> str:
        """Name of the answer that this request has earned; "challenge" for none yet."""
        request, persona = exchange.request, self.persona
        challenge = persona.challenges[rule.challenge]
        wanted = b"proxy-authorization" if challenge.header.startswith("Proxy") else b"authorization"
        credentials = request.credentials if wanted in request.headers else ()
        if not credentials:
            is_known = rule.unknown_user == "challenge" or persona.password(_claimed_user(request)) is not None
            return "challenge" if is_known else rule.unknown_user
        # Of several, as for a row of proxies, those that answer a challenge of ours.
        source = exchange.source
        ours = [each for each in credentials if self._ledger.is_issued(source, each.get(b"nonce") or b"", now)]
        given = (ours or credentials)[0]
        password = persona.password(given.get(b"username") or b"")
        right = bool(password) and is_right(given, request.method, password or "")
        if not ours:
            exchange.slots[b"stale"] = challenge.stale.encode() if right else b""
            return "challenge"
        if right:
            return rule.answer
        if password is None and rule.unknown_user != "challenge":
            return rule.unknown_user
        return rule.refused

    def _challenge(self, exchange: Exchange, name: str, now: float) -> Form:
        exchange.challenge = name
        stale = exchange.slots.get(b"stale", b"")
        nonce, value = self._voice.challenge(name, stale, exchange.chance, exchange.slots.now_ns)
        exchange.slots[b"challenge"] = value
        self._ledger.issue(exchange.source, nonce, now)
        return self._voice.challenges[name]

    # Calls

    def _ring(self, exchange: Exchange, now: float) -> None:
        """Ring and answer; a UDP source that has not proven itself hears it ring, then a refusal."""
        ring, transaction = self.persona.ring, exchange.transaction
        if ring is None or not is_number(ring.number, exchange.slots[b"user"]):
            self._say(exchange, ring.no_such_number if ring else "", now)
            return
        if not self._outlet.has_room(exchange, 2):
            self._say(exchange, ring.unproven, now)
            return
        if transaction is None:
            self._open_transaction(exchange, now)
            return
        proven = exchange.flow.is_connected or self._ledger.is_proven(exchange.source, now)
        forms = self._voice.forms
        final = forms[ring.answered if proven else ring.unproven]
        self._outlet.prepare(exchange, final, now)
        exchange.call = self._calls.open(transaction, exchange.flow, exchange.slots.tag)
        # Where credit is short, ringing is worth more than the 100 before it and the final answer behind it.
        self._outlet.say_before(exchange, forms[ring.trying], now, forms[ring.ringing], final)
        rings_at = now + drawn_between(ring.ringing_after_s, exchange.chance)
        answers_at = rings_at + drawn_between(ring.answered_after_s, exchange.chance)
        self._outlet.schedule(rings_at, exchange, forms[ring.ringing], then=final)
        self._outlet.schedule(answers_at, exchange, final)

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
        slots = Slots(matched.request, exchange.flow, self.persona, exchange.slots.now_ns)
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
            self._outlet.say(exchange, form, now)

    def _take(self, action: Action, out: list[Answer], now: float, *, unasked: bool = False) -> None:
        """What the transactions want done. (Trying asks for nothing: the persona said its own 100, or keeps silent.)"""
        if isinstance(action, Send):
            self._outlet.repeat(action, out, now, unasked=unasked)
        elif isinstance(action, Ended):
            call = self._calls.of(action.transaction)
            # A call that was answered and acknowledged goes on without its transaction; no other does.
            if call is not None and (action.why != "done" or action.transaction.last_status >= 300):
                self._calls.end(call)


def _to_tag(request: Request) -> bytes | None:
    """The To tag; most requests have none, and that is seen without taking To apart."""
    to = request.headers.get(b"to")
    return request.to_tag if to is not None and b"tag" in to.lower() else None


def _claimed_user(request: Request) -> bytes:
    """The user that a request says it is for: To of a REGISTER, From of anything else."""
    is_register = request.method == b"REGISTER"
    plain = user_of_address(request.headers.first.get(b"to" if is_register else b"from"))
    if plain is not None:
        return plain
    address = request.to_address if is_register else request.from_address
    return (address.uri.user if address is not None else None) or b""


def _is_usual(request: Request) -> bool:
    """Whether nothing but malformation could be held against a request: no need to look for more."""
    first = request.headers.first
    if b"require" in first or b"content-encoding" in first:
        return False
    return request.version == b"SIP/2.0" and request.request_uri.startswith(USUAL_SCHEMES)
