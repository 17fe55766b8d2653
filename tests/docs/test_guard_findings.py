"""docs/reference/guard-findings.md has every rule, every reason and every field, and no other."""

import re
from pathlib import Path

import pytest

from relaytrap.guard.finding import REASONS, RULES
from relaytrap.guard.told import finding_dict, summary_dict, undecided_dict
from tests.guard.edge import Edge, ask

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "guard-findings.md").read_text(encoding="utf-8")


def test_every_rule_has_its_row_with_its_level_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `(guard\.[a-z-]+)` \| (\w+) \|", PAGE, re.MULTILINE))
    assert rows == {name: rule.level for name, rule in RULES.items()}


def test_every_reason_has_its_row_and_no_other() -> None:
    part = PAGE.partition("## Undecided")[2].partition("## JSON")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", part, re.MULTILINE)) == set(REASONS)


@pytest.mark.parametrize("kind", ["finding", "undecided", "summary"])
def test_every_field_is_named(kind: str) -> None:
    edge = Edge()
    edge.relay(ask())
    edge.relay(ask(to_tag="made-up", serial=2))
    rows = {
        "finding": finding_dict(edge.found[0]),
        "undecided": undecided_dict(edge.guard.undecided[0]),
        "summary": summary_dict(edge.guard.summary()),
    }
    part = PAGE.partition(f'`"kind": "{kind}"`')[2]
    row = rows[kind]
    assert row.pop("kind") == kind
    for each in ("evidence", "sightings"):
        row |= row[each][0] if each in row else {}
    assert [field for field in row if f"`{field}`" not in part] == []
