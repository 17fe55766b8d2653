"""The reference page names every rule, kind and software there is, and no rule that there is not."""

import re
from pathlib import Path

import pytest

from relaytrap.evidence.path_rules import RULES
from relaytrap.evidence.product import KINDS
from relaytrap.evidence.via_chain import FORMS

PAGE = (Path(__file__).parents[2] / "docs/reference/evidence-rules.md").read_text(encoding="utf-8")


def test_every_rule_is_documented_and_no_other():
    assert set(re.findall(r"`(path\.[a-z-]+)`", PAGE)) == set(RULES)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_relay_is_documented(kind):
    assert f"| `{kind}` | {KINDS[kind].split(';')[0]}" in PAGE


@pytest.mark.parametrize("name", sorted({name for _, name, _ in FORMS if name}))
def test_every_software_is_documented(name):
    assert name in PAGE
