"""The way of one witnessed probe as a ladder: from the tester through the server to the witness, and the answer back.

What we sent and what our witness's socket saw are facts; hops in between stand as the Via lines claim them.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from relaytrap.sip import SipSyntaxError, parse_via
from relaytrap.web.pictures.ladder import LEFT, RIGHT, RUNG_HEIGHT, TOP, Arrow, Ladder, Lifeline, Rung

__all__ = ["draw_witnessed"]

HOPS_MAX: Final = 3


def draw_witnessed(proof: Mapping[str, Any], tester: str) -> Ladder:
    """The picture of one entry of a report's `proof`. tester: the address that the test came from."""
    sent_to, arrived_from = _host(proof["sent_to"]), _host(proof["arrived_from"])
    ends = [sent_to] if sent_to == arrived_from else [sent_to, arrived_from]
    others = [via for via in proof["vias"] if proof["token"] not in via]
    between = _claimed(others, {tester, *ends})
    stations = [(tester, "tester"), (sent_to, "server")]
    stations += [(name, "claim") for name in between]
    stations += [(name, "source") for name in ends[1:]]
    stations.append(("witness", "witness"))
    gap = (RIGHT - LEFT) / (len(stations) - 1)
    lines = tuple(Lifeline(round(LEFT + gap * n, 2), name, role) for n, (name, role) in enumerate(stations))
    there = tuple(
        Arrow(a.x, b.x, "fact" if "tester" in (a.role, b.role) or "witness" in (a.role, b.role) else "claim")
        for a, b in pairwise(lines)
    )
    back = tuple(Arrow(arrow.end, arrow.start, arrow.standing) for arrow in reversed(there))
    if not proof["answer_came_back"]:
        back = back[:1]
    rungs = (
        _rung(0, f"{proof['method']} by {proof['sent_by'].upper()}", f"+{proof['after_s']:.3f} s", "in", there, lines),
        _rung(1, "answer" if proof["answer_came_back"] else "answer, lost", "", "out", back, lines),
    )
    return Ladder(TOP + RUNG_HEIGHT * len(rungs) + 12, lines, rungs, 0)


def _rung(
    number: int, label: str, after: str, direction: str, arrows: tuple[Arrow, ...], lines: tuple[Lifeline, ...]
) -> Rung:
    return Rung(
        y=TOP + RUNG_HEIGHT * number + RUNG_HEIGHT - 8,
        id="",
        label=label,
        after=after,
        direction=direction,
        here=direction == "in",
        arrows=arrows,
        label_x=(lines[-2].x + lines[-1].x) / 2,
    )


def _claimed(vias: list[str], known: set[str]) -> list[str]:
    """Hosts that Via lines name beside the known ones, in the order of the way."""
    names: list[str] = []
    for text in reversed(vias):
        try:
            host = parse_via(text.encode())[0].sent_by_host.decode("utf-8", "backslashreplace").strip("[]")
        except SipSyntaxError:
            continue
        if host not in known and host not in names:
            names.append(host)
    return names[:HOPS_MAX]


def _host(place: str) -> str:
    return place.rpartition(":")[0].strip("[]")
