"""The result of a test as rows and text: one value that the terminal, JSON, page and printed report all show. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from relaytrap.probe.advice import advice_for
from relaytrap.probe.tricks import TRICKS
from relaytrap.probe.verdict import EXIT_OPEN, Outcome, ServerClass, judge_server

__all__ = ["Report", "build_report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a test found.

    classes: every class that applies, most severe first, as (name, sentence). proof: witnessed messages, one for each
    way that was found open. not_tested: sentences. advice: by product, the server's own first.
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

    @property
    def verdict(self) -> str:
        """The most severe class."""
        return self.classes[0][0]

    def as_json(self) -> dict[str, Any]:
        """The report in JSON's own types, the verdict first."""
        return {"verdict": self.verdict, "sentence": self.classes[0][1]} | asdict(self)


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
    closed = classes[0][0].exit_status != EXIT_OPEN
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
        hints=tuple(_hints(outcomes, classes, server)),
        not_tested=tuple(_not_tested(not_offered, tricks, tested_from)),
        advice=() if closed and classes[0][0].exit_status == 0 else tuple(asdict(each) for each in advice_for(server)),
        sent=sum(1 for outcome in outcomes if not outcome.error),
    )


def _table(outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], ...]:
    """A row for each transport and trick, a column for each method: what came of it, and the status that came back."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for outcome in outcomes:
        probe = outcome.probe
        row = rows.setdefault(
            (probe.transport, probe.trick),
            {"transport": probe.transport, "trick": probe.trick, "what": TRICKS[probe.trick].text},
        )
        finals = [answer.status_code for answer in outcome.answers if answer.status_code >= 200]
        status = f" {finals[0]}" if finals else ""
        both_ways = " both ways" if outcome.result == "relayed" and outcome.two_way else ""
        row[probe.method] = f"{outcome.result}{both_ways}{status}"
    return tuple(rows.values())


def _proof(outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], ...]:
    """The first witnessed message of each kind of hole and transport."""
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
                "sent_by": outcome.probe.transport,
                "arrived_from": f"{arrival.source}:{arrival.source_port}",
                "arrived_by": arrival.transport,
                "after_s": round(arrival.after_s, 3),
                "vias": list(arrival.vias),
                "max_forwards": arrival.max_forwards,
                "saw_us_as": f"{arrival.our_received}:{arrival.our_rport or ''}".strip(":"),
                "answer_came_back": outcome.two_way,
                "message": arrival.raw.decode("utf-8", "backslashreplace"),
            },
        )
    return tuple(found.values())


def _hints(outcomes: Sequence[Outcome], classes: Sequence[tuple[ServerClass, str]], server: str) -> list[str]:
    hints = []
    if server:
        hints.append(f"It calls itself {server!r}.")
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
    left_out = [name for name in TRICKS if name not in tricks]
    sentences = [f"{each}." for each in not_offered]
    sentences.append(
        f"The test came from {tested_from}: a server that relays for its own networks looks open from inside and closed"
        " from outside."
    )
    if any(TRICKS[name].group == "thorough" for name in left_out):
        sentences.append("Rarer tricks (--thorough).")
    if "number" in left_out:
        sentences.append("Calls to the telephone network (--number, with a number of your own).")
    return sentences
