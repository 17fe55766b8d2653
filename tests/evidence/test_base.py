"""Evidence as a value."""

import pytest

from relaytrap.evidence.base import Evidence


def test_evidence_cannot_be_changed_after_the_fact() -> None:
    evidence = Evidence("tool.svmap.branch", 1, 15, b"z9hG4bK-1", 40, "A decimal branch.")
    with pytest.raises(AttributeError):
        evidence.weight = 99  # type: ignore[misc]  # the point of the test


def test_equal_evidence_is_one_in_a_set() -> None:
    assert len({Evidence("rule", 1, 5, b"x", 0, "text"), Evidence("rule", 1, 5, b"x", 0, "text")}) == 1
