"""The way of a witnessed probe as a picture."""

from typing import Any
from xml.etree import ElementTree

import pytest

from relaytrap.web.pictures.standalone import draw_standalone
from relaytrap.web.pictures.witnessed import draw_witnessed

TESTER = "198.51.100.10"
OURS = "SIP/2.0/UDP 198.51.100.10:5061;branch=z9hG4bKk3yabcdefgh1"


def proof(*vias: str, arrived_from: str = "203.0.113.5:5060", answered: bool = True) -> dict[str, Any]:
    return {
        "method": "INVITE",
        "sent_by": "udp",
        "sent_to": "203.0.113.5:5060",
        "arrived_from": arrived_from,
        "after_s": 0.031,
        "answer_came_back": answered,
        "token": "k3yabcdefgh1",
        "vias": [*vias, OURS],
    }


def test_plain_relay_stands_between_tester_and_witness() -> None:
    picture = draw_witnessed(proof("SIP/2.0/UDP 203.0.113.5;branch=z"), TESTER)
    assert [(line.name, line.role) for line in picture.lifelines] == [
        (TESTER, "tester"),
        ("203.0.113.5", "server"),
        ("witness", "witness"),
    ]
    assert [arrow.standing for rung in picture.rungs for arrow in rung.arrows] == ["fact"] * 4


def test_relay_that_answers_from_another_address_stands_twice() -> None:
    picture = draw_witnessed(proof("SIP/2.0/UDP 203.0.113.9;branch=z", arrived_from="203.0.113.9:5060"), TESTER)
    assert [line.name for line in picture.lifelines] == [TESTER, "203.0.113.5", "203.0.113.9", "witness"]
    assert [arrow.standing for arrow in picture.rungs[0].arrows] == ["fact", "claim", "fact"]


def test_hops_that_only_via_lines_name_are_claims_in_the_order_of_the_way() -> None:
    vias = ("SIP/2.0/UDP 203.0.113.9", "SIP/2.0/TCP b.example", "SIP/2.0/TCP a.example", "SIP/2.0/UDP 203.0.113.5")
    picture = draw_witnessed(proof(*vias, arrived_from="203.0.113.9:5060"), TESTER)
    assert [line.name for line in picture.lifelines][2:4] == ["a.example", "b.example"]
    assert [arrow.standing for arrow in picture.rungs[0].arrows] == ["fact", "claim", "claim", "claim", "fact"]


def test_answer_that_was_lost_ends_at_the_server() -> None:
    picture = draw_witnessed(proof("SIP/2.0/UDP 203.0.113.5", answered=False), TESTER)
    assert len(picture.rungs[1].arrows) == 1


@pytest.mark.parametrize(
    "via", ["<script>", "", "SIP/2.0/UDP <b>\x1b.example", "\u202e" * 40, "SIP/2.0/UDP [::1]:5060"]
)
def test_hostile_via_draws_nothing_that_acts(via: str) -> None:
    svg = draw_standalone("ladder", draw_witnessed(proof(via), TESTER))
    ElementTree.fromstring(svg)
    assert not set("\x1b\u202e") & set(svg)
    assert "<script" not in svg
