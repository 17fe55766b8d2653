"""Server transactions: which request is new or heard again, what is sent again and when (RFC 3261 section 17.2).

A request opens a transaction; its retransmissions find it and are absorbed. The user of the table (TU in the RFC) sees
each request once and sends its responses through the transaction, which repeats them for as long as the RFC says.

INVITE (figure 7, with the Accepted state that RFC 6026 section 7.1 adds):

    event            Proceeding            Accepted             Completed            Confirmed
    INVITE again     send the last 1xx     absorb               send the final       absorb
    1xx from TU      send                  -                    -                    -
    2xx from TU      send -> Accepted      send                 -                    -
    3xx-6xx from TU  send -> Completed     -                    -                    -
    ACK              absorb                pass up, stop 2xx    -> Confirmed         absorb
    timer            100 due: tell TU      2xx again; L: end    G: send again        I: end
                                                                H: end, no ACK

Other methods (figure 8):

    event            Trying                Proceeding           Completed
    heard again      absorb                send the last 1xx    send the final
    1xx from TU      send -> Proceeding    send                 -
    final from TU    send -> Completed     send -> Completed    -
    timer                                                       J: end

The RFC leaves repeating a 2xx to the UAS core (13.3.1.4); it is done here, since both need the same clock and the same
ACK. A client is told by its branch (17.2.3); one that writes no z9hG4bK is matched as RFC 2543 matched: by Request-URI,
tags, Call-ID, CSeq and topmost Via. `peer` is part of the key as well: tools with a constant branch (nmap's `foo`) come
from many addresses, and an answer must never go to another source than the one that asked.

Nothing here reads a clock or sends: `now` comes in as monotonic seconds, what to do comes out.
"""

import heapq
from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from relaytrap.sip.message import Request, Response
from relaytrap.sip.parse import parse_message
from relaytrap.sip.via import COOKIE

__all__ = [
    "Action",
    "Drop",
    "Ended",
    "PassUp",
    "Send",
    "ServerTransactions",
    "State",
    "Timers",
    "Transaction",
    "Trying",
]


class State(Enum):
    """Where a transaction stands; the names are those of figures 7 and 8."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Timers(NamedTuple):
    """Seconds (RFC 3261 table 4). H, J and L are 64 * t1_s.

    trying_s: how long the TU may stay silent on an INVITE before a 100 is due (17.2.1).
    retransmits: False sends nothing again on its own; retransmissions of the peer are still answered.
    """

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    trying_s: float = 0.2
    retransmits: bool = True


class Transaction:
    """One server transaction. The TU holds it to answer; all else is the table's business.

    peer: as given with the request. request: the one that opened it. created: its `now`.
    last_response: bytes sent last, None before the first; last_status its code.
    """

    __slots__ = (
        "_due",
        "_interval",
        "created",
        "is_reliable",
        "key",
        "last_response",
        "last_status",
        "peer",
        "request",
        "state",
        "to_tag",
    )

    def __init__(self, key: Hashable, request: Request, peer: Hashable, now: float, is_reliable: bool) -> None:
        self.key = key
        self.request = request
        self.peer = peer
        self.created = now
        self.is_reliable = is_reliable
        self.state = State.PROCEEDING if request.method == b"INVITE" else State.TRYING
        self.last_response: bytes | None = None
        self.last_status = 0
        self.to_tag: bytes | None = None
        self._due: dict[str, float] = {}
        self._interval = 0.0

    @property
    def is_invite(self) -> bool:
        """Whether figure 7 rules, not figure 8."""
        return self.request.method == b"INVITE"


class Send(NamedTuple):
    """Send data to the transaction's peer. again: it is a retransmission."""

    transaction: Transaction
    data: bytes
    again: bool


class PassUp(NamedTuple):
    """A request that the TU has to see.

    transaction: to answer it through; None for an ACK. matched: the INVITE that a CANCEL names or an ACK acknowledges.
    """

    transaction: Transaction | None
    request: Request
    matched: Transaction | None = None


class Trying(NamedTuple):
    """An INVITE had no response for 200 ms: send a 100."""

    transaction: Transaction


class Drop(NamedTuple):
    """Nothing to do. why: "retransmission", "ack", "ack-without-invite"."""

    why: str
    transaction: Transaction | None = None


class Ended(NamedTuple):
    """The transaction is over. why: "done", "no-ack" (timers H and L), "evicted"."""

    transaction: Transaction
    why: str


Action: TypeAlias = Send | PassUp | Trying | Drop | Ended

MAX_TRANSACTIONS: Final = 16384
MAX_HELD_BYTES: Final = 32 << 20

_TIMERS: Final = Timers()


class ServerTransactions:
    """The table. The oldest transaction goes when one more would exceed either limit.

    max_bytes: of requests and last responses held.
    """

    def __init__(
        self, timers: Timers = _TIMERS, max_transactions: int = MAX_TRANSACTIONS, max_bytes: int = MAX_HELD_BYTES
    ) -> None:
        self._timers = timers
        self._max = max_transactions
        self._max_bytes = max_bytes
        self._bytes = 0
        self._table: OrderedDict[Hashable, Transaction] = OrderedDict()  # a dict would be slow to tell its oldest entry
        self._accepted: dict[Hashable, Transaction] = {}  # by dialog, for the ACK of a 2xx
        self._heap: list[tuple[float, int, str, Transaction]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._table)

    def receive_request(
        self, request: Request, peer: Hashable, now: float, *, is_reliable: bool = False
    ) -> list[Action]:
        """What a request that just came in calls for; a new one is passed up with its transaction.

        peer: what tells sources apart, as a rule the address; it goes into the key. is_reliable: the transport is.
        """
        if request.method == b"ACK":
            return [self._receive_ack(request, peer, now)]
        key = transaction_key(request, peer)
        transaction = self._table.get(key)
        if transaction is not None:
            return [self._answer_again(transaction)]
        actions = self._make_room(len(request.raw))
        transaction = Transaction(key, request, peer, now, is_reliable)
        self._table[key] = transaction
        self._bytes += len(request.raw)
        if transaction.is_invite:
            self._start(transaction, "trying", now + self._timers.trying_s)
        matched = None
        if request.method == b"CANCEL":
            matched = self._table.get(transaction_key(request, peer, method=b"INVITE"))
        return [*actions, PassUp(transaction, request, matched)]

    def send_response(self, transaction: Transaction, status: int, data: bytes, now: float) -> list[Action]:
        """Sends a response of the TU through its transaction; one that comes too late is dropped (no actions)."""
        if transaction.state is State.TERMINATED:
            return []
        if transaction.state is State.ACCEPTED:
            return [Send(transaction, data, False)] if 200 <= status < 300 else []
        if transaction.state not in (State.TRYING, State.PROCEEDING):
            return []
        self._bytes += len(data) - len(transaction.last_response or b"")
        transaction.last_response, transaction.last_status = data, status
        transaction._due.pop("trying", None)
        actions: list[Action] = [Send(transaction, data, False)]
        if status < 200:
            transaction.state = State.PROCEEDING
        elif transaction.is_invite:
            self._finish_invite(transaction, status, data, now)
        else:
            transaction.state = State.COMPLETED
            actions += self._linger(transaction, "J", 64 * self._timers.t1_s, now)
        return actions

    def forget(self, transaction: Transaction) -> None:
        """End a transaction that its TU cannot answer: the request, heard again, is new."""
        self._end(transaction)

    def next_timer(self) -> float | None:
        """When `handle_timers` is to be called next; None when nothing runs."""
        self._forget_stale()
        return self._heap[0][0] if self._heap else None

    def handle_timers(self, now: float) -> list[Action]:
        """What the timers that are due call for."""
        actions: list[Action] = []
        self._forget_stale()
        while self._heap and self._heap[0][0] <= now:
            _, _, name, transaction = heapq.heappop(self._heap)
            del transaction._due[name]
            actions += self._fire(transaction, name, now)
            self._forget_stale()
        return actions

    def find(self, request: Request, peer: Hashable, *, method: bytes | None = None) -> Transaction | None:
        """The transaction that a request belongs to, as if it had the given method."""
        return self._table.get(transaction_key(request, peer, method=method))

    def _receive_ack(self, request: Request, peer: Hashable, now: float) -> Action:
        transaction = self._table.get(transaction_key(request, peer, method=b"INVITE"))
        if transaction is None or transaction.state is State.ACCEPTED:
            transaction = self._accepted.get(_dialog_key(request, request.to_tag, peer)) or transaction
        if transaction is None:
            return Drop("ack-without-invite")
        if transaction.state is State.ACCEPTED:
            transaction._due.pop("2xx", None)
            return PassUp(None, request, transaction)
        if transaction.state is not State.COMPLETED or not _acknowledges(request, transaction):
            return Drop("ack", transaction)
        transaction.state = State.CONFIRMED
        transaction._due.clear()
        if transaction.is_reliable:
            self._end(transaction)
        else:
            self._start(transaction, "I", now + self._timers.t4_s)
        return Drop("ack", transaction)

    def _answer_again(self, transaction: Transaction) -> Action:
        data = transaction.last_response
        if data is None or transaction.state in (State.TRYING, State.ACCEPTED, State.CONFIRMED):
            return Drop("retransmission", transaction)
        return Send(transaction, data, True)

    def _make_room(self, size: int) -> list[Action]:
        actions: list[Action] = []
        while self._table and (len(self._table) >= self._max or self._bytes + size > self._max_bytes):
            oldest = next(iter(self._table.values()))
            self._end(oldest)
            actions.append(Ended(oldest, "evicted"))
        return actions

    def _finish_invite(self, transaction: Transaction, status: int, data: bytes, now: float) -> None:
        response = parse_message(data)
        transaction.to_tag = response.to_tag if isinstance(response, Response) else None
        is_accepted = status < 300
        transaction.state = State.ACCEPTED if is_accepted else State.COMPLETED
        if is_accepted:
            self._accepted[_dialog_key(transaction.request, transaction.to_tag, transaction.peer)] = transaction
        self._start(transaction, "L" if is_accepted else "H", now + 64 * self._timers.t1_s)
        # Timer G runs on unreliable transports only (17.2.1); a 2xx is repeated on any (13.3.1.4).
        if self._timers.retransmits and (is_accepted or not transaction.is_reliable):
            transaction._interval = self._timers.t1_s
            self._start(transaction, "2xx" if is_accepted else "G", now + self._timers.t1_s)

    def _linger(self, transaction: Transaction, name: str, seconds: float, now: float) -> list[Action]:
        """Keeps a finished transaction to absorb retransmissions; a reliable transport has none."""
        if transaction.is_reliable:
            self._end(transaction)
            return [Ended(transaction, "done")]
        self._start(transaction, name, now + seconds)
        return []

    def _fire(self, transaction: Transaction, name: str, now: float) -> list[Action]:
        if name == "trying":
            return [Trying(transaction)]
        if name in ("G", "2xx"):
            transaction._interval = min(2 * transaction._interval, self._timers.t2_s)
            self._start(transaction, name, now + transaction._interval)
            return [Send(transaction, transaction.last_response or b"", True)]
        unanswered = name == "H" or (name == "L" and "2xx" in transaction._due)
        self._end(transaction)
        return [Ended(transaction, "no-ack" if unanswered else "done")]

    def _start(self, transaction: Transaction, name: str, when: float) -> None:
        transaction._due[name] = when
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, name, transaction))

    def _forget_stale(self) -> None:
        """Drops entries of timers that were stopped or set anew from the top of the heap."""
        heap = self._heap
        while heap and heap[0][3]._due.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        # Stale entries hold their transactions: under a flood they would outnumber the table's own many times.
        if len(heap) > 2 * len(self._table) + 64:
            self._heap = [entry for entry in heap if entry[3]._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def _end(self, transaction: Transaction) -> None:
        transaction.state = State.TERMINATED
        transaction._due.clear()
        if self._table.get(transaction.key) is transaction:  # not one that came after it was evicted
            del self._table[transaction.key]
            self._bytes -= len(transaction.request.raw) + len(transaction.last_response or b"")
        if not (transaction.is_invite and 200 <= transaction.last_status < 300):
            return
        dialog = _dialog_key(transaction.request, transaction.to_tag, transaction.peer)
        if self._accepted.get(dialog) is transaction:
            del self._accepted[dialog]


def transaction_key(request: Request, peer: Hashable, *, method: bytes | None = None) -> Hashable:
    """What requests of one transaction have in common (17.2.3); method stands in for the request's own.

    An RFC 2543 ACK differs from its INVITE in the To tag, which is that of the response: left out of an INVITE's key.
    """
    method = method or request.method
    top = request.vias[0] if request.vias else None
    branch = top.branch if top else None
    if top is not None and branch is not None and branch.startswith(COOKIE) and len(branch) > len(COOKIE):
        return (peer, branch, top.sent_by_host.lower(), top.sent_by_port, method)
    cseq = request.cseq.number if request.cseq else request.headers.get(b"cseq")
    to_tag = None if method == b"INVITE" else request.to_tag
    via = request.headers.get(b"via")
    return (peer, request.request_uri, to_tag, request.from_tag, request.call_id, cseq, via, method)


def _dialog_key(request: Request, to_tag: bytes | None, peer: Hashable) -> Hashable:
    """What the ACK of a 2xx has in common with its INVITE: dialog and sequence number (13.3.1.4)."""
    return (peer, request.call_id, request.from_tag, to_tag, request.cseq.number if request.cseq else None)


def _acknowledges(request: Request, transaction: Transaction) -> bool:
    """Whether an ACK whose key matches means this transaction: one without cookie must carry the response's To tag."""
    key = transaction.key
    by_branch = isinstance(key, tuple) and len(key) == 5
    return by_branch or transaction.to_tag is None or request.to_tag == transaction.to_tag
