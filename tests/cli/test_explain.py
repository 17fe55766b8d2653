"""Findings in words: every value that an attacker may have written is harmless on the terminal."""

import pytest

from relaytrap.cli.explain import finding_lines

HOSTILE = "\x1b[2Jgone\r\n\u202eevil"
MOMENT = "2026-01-02T03:04:05.000000001Z"
SEEN = {"first_seen": MOMENT, "last_seen": MOMENT, "country": "", "asn": 0, "as_name": HOSTILE}
SOURCE = (
    SEEN
    | {"address": "192.0.2.7", "messages": 2, "relayed": 1, "targets": 3}
    | {key: [HOSTILE] for key in ("sensors", "methods", "tools", "user_agents")}
)
RELAY = SEEN | {
    "address": "192.0.2.7", "confidence": 9, "kind": "lying", "product": HOSTILE, "messages": 1, "origins": 1,
    "campaigns": 1, "contradicts": [HOSTILE],
    "for_origins": [{"requests": 1, "origin": HOSTILE, "how": "vouched", "campaign": "0" * 12}] * 20,
}  # fmt: skip
ORIGIN = SEEN | {
    "address": "192.0.2.7", "confidence": 9, "messages": 1, "vouched": 1, "associated": 0, "direct": 0, "relays": 1,
    "networks": 1, "countries": 2, "contradictions": 1, "campaign": "0" * 12,
    "contradicted_by": [HOSTILE], "by_relays": [{"requests": 1, "relay": HOSTILE, "how": "vouched"}],
}  # fmt: skip
CAMPAIGN = SEEN | {
    "id": "0" * 12, "title": "Toll-fraud probing", "origin": None, "behind": HOSTILE, "confidence": 0,
    "messages": 3, "per_hour": 1.0, "schedule": {"continuous": False, "daily": True, "hours_of_day": [1, 0, 2]},
    "vouched": 0, "associated": 3, "direct": 0, "relays": 2, "relays_per_hour": 1, "sensors": [HOSTILE], "targets": 3,
    "range": None, "coverage": None, "methods": {HOSTILE: 1}, "tools": {HOSTILE: 1}, "user_agents": [HOSTILE],
    "numbers": [{"requests": 1, "dialled": HOSTILE, "core": "", "country": "", "kind": "", "prefixes": [HOSTILE]}],
    "passwords": [{"tried": HOSTILE, "requests": 1}],
    "evidence": [{"requests": 1, "association": True, "why": HOSTILE}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "row"), [("source", SOURCE), ("relay", RELAY), ("origin", ORIGIN), ("campaign", CAMPAIGN)]
)
def test_no_value_moves_the_cursor_breaks_a_line_or_turns_the_text(kind, row):
    lines = list(finding_lines(kind, row))
    text = "".join(lines).replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert not any(mark in text for mark in "\x1b\r\n\u202e")
    assert "gone" in text


def test_long_lists_say_what_they_leave_out():
    assert any("and 8 more" in line for line in finding_lines("relay", RELAY))
