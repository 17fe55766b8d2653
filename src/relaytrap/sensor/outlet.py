"""The one way out of the sensor: everything it says, says again or says late passes the ledger here.

The law is kept in this file. `say` and `say_before` ask the ledger how long an answer may be and take the
persona's fullest form that fits; `repeat` sends again only what fits; nothing leaves but through `_let_go`, which
tells the ledger. Answers go back over the flow that the request came by: to its source address and, over UDP, to its
source port. RFC 3261 18.2.2 would send to the port in Via when there is no `rport`; behind one address another
port may be somebody else, so we do as every Asterisk with `force_rport` does. `maddr` in Via is never followed.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from relaytrap.sensor.calls import Call
from relaytrap.sensor.chance import Chance
from relaytrap.sensor.flow import Flow
from relaytrap.sensor.ledger import HEADER_BYTES, Ledger, Source
from relaytrap.sensor.persona import Seconds
from relaytrap.sensor.reply import Form, Slots
from relaytrap.sensor.voice import PROVING_BITS, Voice
from relaytrap.sip import Request
from relaytrap.sip.transaction import Send, ServerTransactions, State, Transaction

__all__ = ["Answer", "Exchange", "Outlet", "drawn_between"]

LATER_MAX: Final = 4096
LATER_MAX_BYTES: Final = 4 << 20
"""Of the requests that wait for a late answer."""


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
    then: Form | None


@dataclass(slots=True)
class Exchange:
    """One request on its way to its answers.

    out: where those go that leave at once. call: the one that it began. challenge: the name of the one it gets.
    """

    request: Request
    flow: Flow
    source: Source
    slots: Slots
    chance: Chance
    out: list[Answer] = field(default_factory=list)
    transaction: Transaction | None = None
    call: Call | None = None
    challenge: str = ""


class Outlet:
    """What leaves one sensor. counts: what was answered, and why something was not."""

    def __init__(self, voice: Voice, ledger: Ledger, transactions: ServerTransactions, delay_s: Seconds) -> None:
        self.counts: Counter[str] = Counter()
        self._voice = voice
        self._ledger = ledger
        self._transactions = transactions
        self._delay_s = delay_s
        self._later: list[Later] = []
        self._later_bytes = 0
        self._order = 0

    @property
    def next_due(self) -> float | None:
        """When the next late answer is due."""
        return self._later[0].due if self._later else None

    def has_room(self, exchange: Exchange, answers: int) -> bool:
        """Whether so many more answers to this request may be put off."""
        octets = answers * len(exchange.request.raw)
        return len(self._later) + answers <= LATER_MAX and self._later_bytes + octets <= LATER_MAX_BYTES

    def say(self, exchange: Exchange, form: Form, now: float) -> None:
        """Give an answer, at once or after the product's own delay."""
        if self._delay_s[1] and self.has_room(exchange, 1):
            self.schedule(now + drawn_between(self._delay_s, exchange.chance), exchange, form)
        else:
            self._emit(exchange, form, now)

    def say_before(self, exchange: Exchange, form: Form, now: float, *following: Form) -> bool:
        """Say something provisional, if what may be sent leaves room for what follows; whether it was said."""
        for each in following:
            self.prepare(exchange, each, now)
        reserved = sum(each.shortest(exchange.slots) + HEADER_BYTES for each in following)
        return self._emit(exchange, form, now, reserved)

    def _emit(self, exchange: Exchange, form: Form, now: float, reserved: int = 0) -> bool:
        """Write an answer as long as the ledger allows, less what is reserved, and let it go; False: it did not fit."""
        flow, source, transaction = exchange.flow, exchange.source, exchange.transaction
        self.prepare(exchange, form, now)
        most = self._ledger.allowance(source, now, connected=flow.transport != "udp") - reserved
        data = form.fill(exchange.slots, most)
        if data is None and not reserved and self._shorten(exchange, now):
            data = form.fill(exchange.slots, most)
        if data is None:
            if not reserved:
                self._hold_back(exchange)
            return False
        if transaction is None:
            self._let_go(data, flow, source, exchange.out, now)
            return True
        for action in self._transactions.send_response(transaction, form.status_code, data, now):
            if isinstance(action, Send):
                self._let_go(data, flow, source, exchange.out, now)
        return True

    def _hold_back(self, exchange: Exchange) -> None:
        """Say nothing. Who asks again may be answered then, also where a transaction was to absorb that."""
        self.counts["held-back"] += 1
        transaction = exchange.transaction
        if transaction is not None and transaction.last_response is None and exchange.call is None:
            self._transactions.forget(transaction)

    def _shorten(self, exchange: Exchange, now: float) -> bool:
        """Make tag and challenge as short as clients take them, if nobody has seen them yet: the last resort.

        An extension scanner's REGISTER has 340 octets; what a modern Asterisk says to it does not fit in there.
        """
        slots, transaction = exchange.slots, exchange.transaction
        if transaction is not None and (transaction.last_response or exchange.call):
            return False
        tag = self._voice.make_tag(self._voice.short_tag, exchange.request, exchange.chance, exchange.slots.now_ns)
        if len(tag) < len(slots.tag):
            slots.use_tag(tag)
        if exchange.challenge:
            nonce, slots[b"challenge"] = self._voice.challenge(
                exchange.challenge, b"", exchange.chance, exchange.slots.now_ns, short=True
            )
            self._ledger.issue(exchange.source, nonce, now)
        return True

    def prepare(self, exchange: Exchange, form: Form, now: float) -> None:
        """Put the To tag and the body in their slots. A tag in an answer to INVITE comes back in the ACK: a proof."""
        slots, request = exchange.slots, exchange.request
        if not slots.tag:
            pattern = self._voice.tag_pattern(form)
            slots.use_tag(self._voice.make_tag(pattern, request, exchange.chance, exchange.slots.now_ns))
            if request.method == b"INVITE" and pattern.random_bits >= PROVING_BITS:
                self._ledger.issue(exchange.source, slots.tag, now)
        if form.answer.body and b"body" not in slots:
            slots[b"body"] = self._voice.session(request, exchange.flow, exchange.chance, exchange.slots.now_ns)

    def _let_go(self, data: bytes, flow: Flow, source: Source, out: list[Answer], now: float) -> None:
        """The ledger was asked; here it is told."""
        self._ledger.spend(source, len(data), now, connected=flow.transport != "udp")
        self.counts["answered"] += 1
        out.append(Answer(data, flow))

    def repeat(self, action: Send, out: list[Answer], now: float, *, unasked: bool) -> None:
        """Send something again, if the ledger allows it.

        unasked: a timer wants it. What an unproven source did not ask for again is not sent: its credit is for what it
        asks next.
        """
        flow = cast(Flow, action.transaction.peer)
        connected, source = flow.is_connected, self._ledger.source(flow.source, now)
        if unasked and not connected and not self._ledger.is_proven(source, now):
            return
        if len(action.data) <= self._ledger.allowance(source, now, connected=connected):
            self._let_go(action.data, flow, source, out, now)
        else:
            self.counts["held-back"] += 1

    def schedule(self, due: float, exchange: Exchange, form: Form, *, then: Form | None = None) -> None:
        """Put an answer off."""
        self._order += 1
        self._later_bytes += len(exchange.request.raw)
        heapq.heappush(self._later, Later(due, self._order, exchange, form, then))

    def say_due(self, out: list[Answer], now_ns: int, now: float) -> None:
        """Say what has become due."""
        while self._later and self._later[0].due <= now:
            later = heapq.heappop(self._later)
            exchange = later.exchange
            self._later_bytes -= len(exchange.request.raw)
            exchange.out = out
            exchange.slots.now_ns = now_ns
            exchange.source = self._ledger.source(exchange.flow.source, now)
            if not _is_moot(exchange) and not (later.then and self.say_before(exchange, later.form, now, later.then)):
                self._emit(exchange, later.form, now)


def _is_moot(exchange: Exchange) -> bool:
    """Whether nobody waits for an answer any more."""
    call, transaction = exchange.call, exchange.transaction
    return (call is not None and call.is_over) or (transaction is not None and transaction.state is State.TERMINATED)


def drawn_between(span: Seconds, chance: Chance) -> float:
    """A number of seconds from a span."""
    low, high = span
    return low + (high - low) * int.from_bytes(chance(2), "big") / 65536
