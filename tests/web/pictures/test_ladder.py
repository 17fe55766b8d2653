"""A conversation as a ladder."""

from typing import Any

from relaytrap.web.pictures.ladder import draw_ladder
from relaytrap.web.render import environment

HOPS = [
    {"address": "203.0.113.60", "sent_by": "203.0.113.60", "standing": "fact"},
    {"address": "203.0.113.70", "sent_by": "10.0.0.1", "standing": "vouched"},
    {"address": "", "sent_by": "<b>evil</b>", "standing": "claim"},
]


def message(number: int, **more: Any) -> dict[str, Any]:
    row = {
        "id": f"{number:016x}", "received_at": f"2026-01-01T00:00:{number:02d}.500000000Z", "direction": "in",
        "kind": "request", "method": "INVITE", "status_code": None, "cseq_method": "INVITE", "source": "203.0.113.60",
        "source_port": 5060, "sensor": "edge", "hops": [],
    }  # fmt: skip
    return row | more


def answer(number: int) -> dict[str, Any]:
    return message(number, direction="out", kind="response", method="", status_code=404)


def test_answer_goes_back_from_us_to_the_source() -> None:
    ladder = draw_ladder([message(0), answer(1)], f"{0:016x}")
    source, us = ladder.lifelines
    assert (ladder.rungs[1].arrows[0].start, ladder.rungs[1].arrows[0].end) == (us.x, source.x)
    assert ladder.rungs[1].label == "404 to INVITE"
    assert ladder.rungs[1].after == "+1.00 s"
    assert [rung.here for rung in ladder.rungs] == [True, False]


def test_hops_stand_left_of_the_source_furthest_first_with_their_standing() -> None:
    ladder = draw_ladder([message(0, hops=HOPS)], "")
    assert [line.name for line in ladder.lifelines] == ["<b>evil</b>", "203.0.113.70", "203.0.113.60:5060", "edge"]
    assert [arrow.standing for arrow in ladder.rungs[0].arrows] == ["claim", "vouched", "fact"]
    for earlier, later in zip(ladder.rungs[0].arrows, ladder.rungs[0].arrows[1:], strict=False):
        assert earlier.end == later.start


def test_answers_are_not_drawn_beyond_the_source() -> None:
    ladder = draw_ladder([message(0, hops=HOPS), answer(1)], "")
    assert len(ladder.rungs[1].arrows) == 1


def test_long_conversation_is_cut_and_says_so() -> None:
    ladder = draw_ladder([message(number % 60) for number in range(75)], "")
    assert (len(ladder.rungs), ladder.more) == (60, 15)


def test_nothing_said_draws_nothing() -> None:
    assert draw_ladder([], "").rungs == ()


def test_names_from_messages_are_escaped_in_the_svg() -> None:
    template = environment().from_string('{% from "pictures/ladder.svg" import ladder %}{{ ladder(picture) }}')
    made = template.render(picture=draw_ladder([message(0, hops=HOPS, method="<i>")], ""))
    assert "<b>evil" not in made
    assert "<i>" not in made
    assert "&lt;b&gt;evil" in made
