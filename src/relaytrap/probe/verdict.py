"""What arrivals and answers prove: first for one probe, then for the server. Pure.

Only an arrival at the witness proves relaying; only a witness that could have been reached proves its absence. Every
answer is a hint, and is called one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from relaytrap.probe.request import Probe
from relaytrap.probe.tricks import TRICKS

__all__ = ["CLASSES", "LOSABLE", "Answer", "Arrival", "Outcome", "Result", "ServerClass", "judge_server"]

Result = Literal[
    "relayed",
    "echoed",
    "tried",
    "timed out",
    "gave up",
    "provisional only",
    "answered itself",
    "redirected",
    "challenged",
    "refused",
    "unanswered",
    "no connection",
]

TRIED_STATUS = frozenset({477, 478})
# Says that we cancelled it while the server was at work on it.
CANCELLED_STATUS = 487
TIMED_OUT_STATUS = frozenset({408, 504})
# Loops, hops run out, "temporarily unavailable": what a server says that went looking for a way, and so for 5xx.
GAVE_UP_STATUS = frozenset({480, 482, 483})
# Results that a lost message can have made.
LOSABLE: Final[frozenset[Result]] = frozenset({"unanswered", "timed out", "provisional only", "no connection"})
SILENT_MIN = 2
EXIT_CLOSED, EXIT_OPEN, EXIT_UNDECIDED, EXIT_NOT_RUN = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request with our token that came to the witness.

    after_s: seconds after the probe was sent. vias: Via values, topmost first. our_received, our_rport: what the
    hop that got our request says it saw. ours_alone: the datagram is our own, sent back by an echo.
    """

    after_s: float
    source: str
    source_port: int
    transport: str
    method: str
    vias: tuple[str, ...]
    max_forwards: int | None
    raw: bytes = field(repr=False)
    ours_alone: bool = False
    our_received: str = ""
    our_rport: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with our Call-ID that came to the tester; by_witness: it carries the witness's own mark."""

    after_s: float
    status_code: int
    reason_phrase: str
    by_witness: bool
    server: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that came of one probe. error: one sentence when it could not be sent."""

    probe: Probe
    arrivals: tuple[Arrival, ...] = ()
    answers: tuple[Answer, ...] = ()
    error: str = ""

    @property
    def result(self) -> Result:
        """What this probe shows."""
        if any(not arrival.ours_alone and arrival.method == self.probe.method for arrival in self.arrivals):
            return "relayed"
        if self.arrivals:
            return "echoed"
        if self.error:
            return "no connection"
        finals = [answer.status_code for answer in self.answers if answer.status_code >= 200]
        if not self.answers:
            return "unanswered"
        return _result_of_status(finals[0]) if finals else "provisional only"

    @property
    def two_way(self) -> bool:
        """Whether the witness's answer found its way back to the tester."""
        return any(answer.by_witness for answer in self.answers)


def _result_of_status(status_code: int) -> Result:
    if status_code == CANCELLED_STATUS:
        return "provisional only"
    if status_code in TRIED_STATUS:
        return "tried"
    if status_code in TIMED_OUT_STATUS:
        return "timed out"
    if status_code in GAVE_UP_STATUS or 500 <= status_code < 600:
        return "gave up"
    if status_code in (401, 407):
        return "challenged"
    if status_code < 300:
        return "answered itself"
    return "redirected" if status_code < 400 else "refused"


@dataclass(frozen=True, slots=True)
class ServerClass:
    """One class of result: its name, exit status, and a sentence for a manager with {detail} filled in."""

    name: str
    exit_status: int
    sentence: str


# Most severe first: a server's class is the first that applies.
CLASSES: Final[dict[str, ServerClass]] = {
    each.name: each
    for each in (
        ServerClass("open", EXIT_OPEN, "Anybody can send any request through this server to anywhere."),
        ServerClass("open for a method", EXIT_OPEN, "Anybody can send {detail} through this server to anywhere."),
        ServerClass("open on a transport", EXIT_OPEN, "Anybody who comes by {detail} can send through this server."),
        ServerClass("open by From", EXIT_OPEN, "Anybody who names this server in From can send through it."),
        ServerClass("open by Route", EXIT_OPEN, "Anybody who adds a Route header can send through this server."),
        ServerClass("open registrar", EXIT_OPEN, "Anybody can register here and have calls forwarded to any address."),
        ServerClass("open in-dialog", EXIT_OPEN, "Anybody who pretends to be in a call can send through this server."),
        ServerClass(
            "possible toll relay", EXIT_UNDECIDED, "This server may connect strangers to the telephone network."
        ),
        ServerClass("witness not reachable", EXIT_UNDECIDED, "The test could not see whether requests were forwarded."),
        ServerClass("probable", EXIT_UNDECIDED, "This server tried to forward, but nothing arrived."),
        ServerClass("undecided", EXIT_UNDECIDED, "Nothing arrived, yet this server did not clearly refuse."),
        ServerClass("challenges", EXIT_CLOSED, "This server forwards nothing without a password."),
        ServerClass("refused", EXIT_CLOSED, "This server forwards nothing for strangers."),
        ServerClass("answers itself", EXIT_CLOSED, "This server answers everything itself and forwards nothing."),
        ServerClass("unanswered", EXIT_UNDECIDED, "Nothing answered; the server may be silent, filtered or not there."),
        ServerClass(
            "not run",
            EXIT_NOT_RUN,
            "Nothing takes requests there: check address, port and what a firewall lets through.",
        ),
    )
}


def judge_server(outcomes: Sequence[Outcome], *, witness_reachable: bool) -> tuple[tuple[ServerClass, str], ...]:
    """Every class that applies to a server, most severe first, each with its detail ("INVITE", "TCP", "").

    witness_reachable: whether something showed that the server's network can reach the witness. Without it the
    absence of arrivals proves nothing. Never empty.
    """
    found = dict(_open_classes(outcomes))
    if not found:
        found = {_closed_class([each for each in outcomes if each.probe.trick != "register"], witness_reachable): ""}
    return tuple((each, found[name]) for name, each in CLASSES.items() if name in found)


def _open_classes(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, str]]:
    plain = [outcome for outcome in outcomes if TRICKS[outcome.probe.trick].kind == "plain"]
    relayed = [outcome for outcome in plain if outcome.result == "relayed"]
    if relayed:
        yield _plain_class([outcome for outcome in plain if outcome.result != "no connection"], relayed)
        return_kinds = {"in-dialog"}
    else:
        return_kinds = {"from", "route", "in-dialog"}
    names = {"from": "open by From", "route": "open by Route", "in-dialog": "open in-dialog"}
    if any(outcome.probe.trick == "registered" and outcome.result == "relayed" for outcome in outcomes):
        yield "open registrar", ""
    if any(TRICKS[outcome.probe.trick].kind == "number" and _was_connected(outcome) for outcome in outcomes):
        yield "possible toll relay", ""
    # Where plain requests pass, every other passes too: only ways that the plain ones missed say more.
    passed = {(outcome.probe.method, outcome.probe.transport) for outcome in relayed}
    for outcome in outcomes:
        kind = TRICKS[outcome.probe.trick].kind
        way = (outcome.probe.method, outcome.probe.transport)
        if outcome.result == "relayed" and kind in return_kinds and way not in passed:
            yield names[kind], ""


def _was_connected(outcome: Outcome) -> bool:
    """Whether a number rang or was answered: more than a stranger should get, and no proof of where it led.

    Of a call alone: 200 to OPTIONS for any number is what many a closed server says.
    """
    return outcome.probe.method == "INVITE" and any(180 <= answer.status_code < 300 for answer in outcome.answers)


def _plain_class(plain: Sequence[Outcome], relayed: Sequence[Outcome]) -> tuple[str, str]:
    methods = {outcome.probe.method for outcome in relayed}
    transports = {outcome.probe.transport for outcome in relayed}
    if methods < {outcome.probe.method for outcome in plain}:
        return "open for a method", " and ".join(sorted(methods))
    if transports < {outcome.probe.transport for outcome in plain}:
        return "open on a transport", " and ".join(sorted(transports)).upper()
    return "open", ""


def _fell_silent(outcomes: Sequence[Outcome]) -> bool:
    """Whether a server stopped answering: a flood guard or a ban ate probes, and it may be open.

    A server may choose to be silent: to a method by a transport, or to a trick; of the latter something after it that
    was answered must tell that it was not a ban. One silence more is a lost datagram.
    """
    servers: dict[tuple[str, int], list[Outcome]] = {}
    for outcome in outcomes:
        servers.setdefault((outcome.probe.ends.server, outcome.probe.ends.server_port), []).append(outcome)
    return any(_count_odd_silences(each) >= SILENT_MIN for each in servers.values())


def _count_odd_silences(outcomes: Sequence[Outcome]) -> int:
    """Silences of a server that no choice of its own explains; outcomes in the order of their sending."""
    silent = [outcome.result == "unanswered" for outcome in outcomes]
    ways: dict[tuple[str, str], list[int]] = {}
    tricks: dict[str, list[int]] = {}
    for number, outcome in enumerate(outcomes):
        ways.setdefault((outcome.probe.method, outcome.probe.transport), []).append(number)
        tricks.setdefault(outcome.probe.trick, []).append(number)
    last = max((number for number, each in enumerate(silent) if not each), default=-1)
    chosen = {number for numbers in ways.values() if all(silent[each] for each in numbers) for number in numbers}
    for numbers in tricks.values():
        if all(silent[each] for each in numbers) and numbers[0] < last:
            chosen.update(numbers)
    return sum(silent) - len(chosen)


def _closed_class(outcomes: Sequence[Outcome], witness_reachable: bool) -> str:
    results = {outcome.result for outcome in outcomes}
    if not results or results == {"no connection"}:
        return "not run"
    if results <= {"unanswered", "no connection"}:
        return "unanswered"
    if not witness_reachable:
        return "witness not reachable"
    if "tried" in results:
        return "probable"
    if results & {"timed out", "gave up", "provisional only"} or _fell_silent(outcomes):
        return "undecided"
    if "challenged" in results:
        return "challenges"
    if results & {"refused", "redirected"}:
        return "refused"
    return "answers itself"
