"""A conversation as a ladder: who said what to whom, in order. For one Jinja SVG on page and report.

The last step, from the source to us, is what our socket saw. Steps before it are what hops say of each other; they are
drawn dashed, and only for requests whose own bytes name them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relaytrap.clock import parse_rfc3339

__all__ = ["Arrow", "Ladder", "Lifeline", "Rung", "draw_ladder"]

RUNGS_MAX: Final = 60
LIFELINES_MAX: Final = 6
TOP: Final = 46
RUNG_HEIGHT: Final = 34
LEFT, RIGHT = 17.0, 90.0


@dataclass(frozen=True, slots=True)
class Lifeline:
    """One party. x: percent of the width. role: us, source, or how a hop behind it stands: vouched, claim, made-up."""

    x: float
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one lifeline to another: percents. standing: fact, vouched, claim or made-up."""

    start: float
    end: float
    standing: str


@dataclass(frozen=True, slots=True)
class Rung:
    """One message. y: pixels. after: time since the first, for people. here: it is the one that the page is about."""

    y: int
    id: str
    label: str
    after: str
    direction: str
    here: bool
    arrows: tuple[Arrow, ...]
    label_x: float


@dataclass(frozen=True, slots=True)
class Ladder:
    """A finished picture. more: messages that are left out."""

    height: int
    lifelines: tuple[Lifeline, ...]
    rungs: tuple[Rung, ...]
    more: int


def draw_ladder(rows: Sequence[Mapping[str, Any]], here: str) -> Ladder:
    """A ladder of messages, oldest first, between one source and us. here: identifier of the message to stress."""
    kept = rows[:RUNGS_MAX]
    hops = max((_upstream(row) for row in kept), key=len, default=[])[: LIFELINES_MAX - 2]
    names = [*(_name(hop) for hop in reversed(hops)), *_ends(kept)]
    roles = [*(hop["standing"] for hop in reversed(hops)), "source", "us"]
    gap = (RIGHT - LEFT) / max(len(names) - 1, 1)
    lifelines = tuple(
        Lifeline(round(LEFT + number * gap, 2), name, role)
        for number, (name, role) in enumerate(zip(names, roles, strict=True))
    )
    begin = parse_rfc3339(kept[0]["received_at"]) if kept else 0
    rungs = tuple(_rung(row, number, lifelines, begin, here) for number, row in enumerate(kept))
    return Ladder(TOP + RUNG_HEIGHT * len(rungs) + 12, lifelines, rungs, len(rows) - len(kept))


def _upstream(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Hops behind the source, nearest first."""
    return list(row["hops"][1:]) if row["direction"] == "in" else []


def _name(hop: Mapping[str, Any]) -> str:
    return str(hop["address"] or hop["sent_by"] or "hidden")


def _ends(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    if not rows:
        return "", ""
    ports = {row["source_port"] for row in rows}
    source = f"{rows[0]['source']}:{rows[0]['source_port']}" if len(ports) == 1 else rows[0]["source"]
    return source, f"{rows[0]['sensor']}"


def _rung(row: Mapping[str, Any], number: int, lines: Sequence[Lifeline], begin: int, here: str) -> Rung:
    source, us = lines[-2].x, lines[-1].x
    if row["direction"] == "out":
        arrows: list[Arrow] = [Arrow(us, source, "fact")]
    else:
        arrows = [Arrow(source, us, "fact")]
        behind = [line.x for line in lines[:-1]][::-1]  # the source, then each hop behind it
        for step, hop in enumerate(_upstream(row)[: len(behind) - 1]):
            arrows.insert(0, Arrow(behind[step + 1], behind[step], hop["standing"]))
    label = row["method"] or (f"{row['status_code']}" if row["status_code"] else "not SIP")
    if row["kind"] == "response":
        label = f"{row['status_code']} to {row['cseq_method']}"
    return Rung(
        y=TOP + RUNG_HEIGHT * number + RUNG_HEIGHT - 8,
        id=row["id"],
        label=label,
        after=_after(parse_rfc3339(row["received_at"]) - begin),
        direction=row["direction"],
        here=row["id"] == here,
        arrows=tuple(arrows),
        label_x=(source + us) / 2,
    )


def _after(elapsed_ns: int) -> str:
    if elapsed_ns < 1_000_000_000:
        return f"+{elapsed_ns / 1e6:.1f} ms"
    if elapsed_ns < 100_000_000_000:
        return f"+{elapsed_ns / 1e9:.2f} s"
    return f"+{elapsed_ns / 60e9:.1f} min"
