"""The result of a test as rows and text: one value that the terminal, JSON, page and printed report all show. Pure.

Its size is bounded whatever a server sends: a report is stored, and shown as a page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from relaytrap.probe.advice import advice_for
from relaytrap.probe.request import METHODS
from relaytrap.probe.tricks import TRICKS
from relaytrap.probe.verdict import CLASSES, EXIT_CLOSED, EXIT_OPEN, Answer, Arrival, Outcome, ServerClass, judge_server
from relaytrap.sip.uri import host_port

__all__ = ["FORMAT", "Report", "build_report", "not_run"]

# Counts up when a field of the report changes its meaning or goes; new fields come without notice.
FORMAT: Final = 1
TEXT_MAX_CHARS: Final = 300
MESSAGE_MAX_CHARS: Final = 8000
VIAS_MAX: Final = 20
KEPT_OF_EACH: Final = 4


@dataclass(frozen=True, slots=True)
class Report:
    """What a test found.

    classes: every class that applies, most severe first, as (name, sentence). table: a row for each place and
    trick. proof: witnessed messages, one for each way that was found open. not_tested: sentences. advice: by product,
    the server's own first. sent: probes. probes: each with what came of it.
    """

    target: str
    tested_from: str
    witness: str
    started_at: str
    seconds: float
    exit_status: int
    classes: tuple[tuple[str, str], ...]
    table: tuple[dict[str, Any], ...]
    proof: tuple[dict[str, Any], ...]
    hints: tuple[str, ...]
    not_tested: tuple[str, ...]
    advice: tuple[dict[str, Any], ...]
    sent: int
    probes: tuple[dict[str, Any], ...] = ()

    @property
    def verdict(self) -> str:
        """The most severe class."""
        return self.classes[0][0]

    def as_json(self) -> dict[str, Any]:
        """The report in JSON's own types, the verdict first."""
        return {"format": FORMAT, "verdict": self.verdict, "sentence": self.classes[0][1]} | asdict(self)


def not_run(target: str, sentence: str, started_at: str) -> dict[str, Any]:
    """The report, as JSON, of a test that could not be run or was broken off; the sentence says why."""
    name = CLASSES["not run"].name
    return Report(
        target=target,
        tested_from="",
        witness="",
        started_at=started_at,
        seconds=0.0,
        exit_status=CLASSES["not run"].exit_status,
        classes=((name, sentence),),
        table=(),
        proof=(),
        hints=(),
        not_tested=(),
        advice=(),
        sent=0,
    ).as_json()


def build_report(
    target: str,
    outcomes: Sequence[Outcome],
    *,
    witness_reachable: bool,
    tested_from: str,
    witness: str,
    started_at: str,
    seconds: float,
    not_offered: Sequence[str],
    tricks: Sequence[str],
) -> Report:
    """Put what a test found in order."""
    classes = judge_server(outcomes, witness_reachable=witness_reachable)
    servers = [answer.server for outcome in outcomes for answer in outcome.answers if not answer.by_witness]
    server = next((each for each in servers if each), "")
    nothing_to_change = classes[0][0].exit_status == EXIT_CLOSED or classes[0][0].name == "unanswered"
    return Report(
        target=target,
        tested_from=tested_from,
        witness=witness,
        started_at=started_at,
        seconds=round(seconds, 1),
        exit_status=classes[0][0].exit_status,
        classes=tuple((each.name, each.sentence.format(detail=detail)) for each, detail in classes),
        table=_table(outcomes),
        proof=_proof(outcomes),
        hints=(*_next_step(classes[0][0].name, tested_from, witness), *_hints(outcomes, classes, server)),
        not_tested=tuple(_not_tested(not_offered, tricks, tested_from if outcomes else "")),
        advice=() if nothing_to_change else tuple(asdict(each) for each in advice_for(server)),
        sent=sum(1 for outcome in outcomes if not outcome.error),
        probes=tuple(map(_probe, outcomes)),
    )


def _table(outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], ...]:
    """A row for each place and trick, a column for each method: what came of it, and the status that came back."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for outcome in outcomes:
        probe = outcome.probe
        sent_to = host_port(probe.ends.server, probe.ends.server_port)
        row = rows.setdefault(
            (probe.transport, sent_to, probe.trick),
            {"transport": probe.transport, "sent_to": sent_to, "trick": probe.trick, "what": TRICKS[probe.trick].text},
        )
        finals = [answer.status_code for answer in outcome.answers if answer.status_code >= 200]
        status = f" {finals[0]}" if finals else ""
        both_ways = " both ways" if outcome.result == "relayed" and outcome.two_way else ""
        row[probe.method] = f"{outcome.result}{both_ways}{status}"
    # Probes are sent in an order that suits the server; people read them place by place.
    places = list(dict.fromkeys(key[:2] for key in rows))
    tricks = list(TRICKS)
    return tuple(rows[key] for key in sorted(rows, key=lambda key: (places.index(key[:2]), tricks.index(key[2]))))


def _proof(outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], ...]:
    """The first witnessed message of each kind of hole and transport; where plain requests pass, theirs alone."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for outcome in outcomes:
        arrival = next((each for each in outcome.arrivals if not each.ours_alone), None)
        if arrival is None or outcome.result != "relayed":
            continue
        key = (TRICKS[outcome.probe.trick].kind, outcome.probe.transport)
        found.setdefault(
            key,
            {
                "trick": outcome.probe.trick,
                "method": outcome.probe.method,
                "token": outcome.probe.ends.token,
                "sent_by": outcome.probe.transport,
                "sent_to": host_port(outcome.probe.ends.server, outcome.probe.ends.server_port),
                "answer_came_back": outcome.two_way,
                "message": _cut(arrival.raw.decode("utf-8", "backslashreplace"), MESSAGE_MAX_CHARS),
            }
            | _arrival(arrival),
        )
    return tuple(each for (kind, by), each in found.items() if kind == "plain" or ("plain", by) not in found)


def _probe(outcome: Outcome) -> dict[str, Any]:
    """One probe with the first of what came of it."""
    probe = outcome.probe
    return {
        "transport": probe.transport,
        "method": probe.method,
        "trick": probe.trick,
        "sent_to": host_port(probe.ends.server, probe.ends.server_port),
        "token": probe.ends.token,
        "result": outcome.result,
        "answer_came_back": outcome.two_way,
        "answers": [_answer(each) for each in outcome.answers[:KEPT_OF_EACH]],
        "arrivals": [_arrival(each) for each in outcome.arrivals[:KEPT_OF_EACH]],
        "error": _cut(outcome.error),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "after_s": round(answer.after_s, 3),
        "status": answer.status_code,
        "reason": _cut(answer.reason_phrase),
        "server": _cut(answer.server),
        "by_witness": answer.by_witness,
    }


def _arrival(arrival: Arrival) -> dict[str, Any]:
    return {
        "arrived_from": host_port(arrival.source, arrival.source_port),
        "arrived_by": arrival.transport,
        "after_s": round(arrival.after_s, 3),
        "is_echo": arrival.ours_alone,
        "vias": [_cut(via) for via in arrival.vias[:VIAS_MAX]],
        "max_forwards": arrival.max_forwards,
        "saw_us_as": _cut(host_port(arrival.our_received, arrival.our_rport) if arrival.our_received else ""),
    }


def _cut(text: str, limit: int = TEXT_MAX_CHARS) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _next_step(verdict: str, tested_from: str, witness: str) -> Iterator[str]:
    """What whoever tests can do for a clearer result."""
    if verdict == "witness not reachable":
        yield (
            f"Let the server reach the witness at {witness}: open that port; behind a NAT, say how others reach it "
            "(--witness-public, probe.witness_public); or let it run where the server reaches it (relaytrap witness)."
        )
    elif verdict == "unanswered":
        yield f"Is that its address? If so, let {tested_from} pass firewall, flood guard and ban list, and test again."
    elif verdict == "undecided":
        yield f"Let {tested_from} pass flood guard and ban list, and test again."
    elif verdict == "probable":
        yield f"Look in the server's log for what became of the requests that it wanted to send to {witness}."


def _hints(outcomes: Sequence[Outcome], classes: Sequence[tuple[ServerClass, str]], server: str) -> list[str]:
    hints = []
    if server:
        hints.append(f"It calls itself {_cut(server)!r}.")
    results = {outcome.result for outcome in outcomes}
    if "tried" in results:
        hints.append("Status 477 or 478 came back: it tried to find or reach the foreign destination.")
    if "timed out" in results and classes[0][0].exit_status != EXIT_OPEN:
        hints.append("A time-out came back: it may have forwarded to a witness that it could not reach.")
    if "redirected" in results:
        hints.append("It redirects (3xx); the test does not follow, as that would reach the witness by itself.")
    if "echoed" in results:
        hints.append("Our own message came back unchanged: it echoes, which is not relaying.")
    return hints


def _not_tested(not_offered: Sequence[str], tricks: Sequence[str], tested_from: str) -> list[str]:
    """Sentences on what was left out. tested_from: "" when nothing was sent, and nothing else matters."""
    sentences = [f"{each}." for each in not_offered]
    if not tested_from:
        return sentences
    left_out = [name for name in TRICKS if name not in tricks]
    sentences.append(
        f"The test came from {tested_from}: a server that relays for its own networks looks open from inside and closed"
        " from outside."
    )
    sentences.append(f"Other methods than {', '.join(METHODS)}, and ways to a name instead of an address.")
    if any(TRICKS[name].group == "thorough" for name in left_out):
        sentences.append("Rarer tricks (--thorough).")
    if "number" in left_out:
        sentences.append("Calls to the telephone network (--number, with a number of your own).")
    return sentences
