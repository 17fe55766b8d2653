"""Every fuzz target's invariant holds for its seeds, for all inputs ever kept, and for some changes to them."""

import random

import pytest
from fuzz.__main__ import TARGETS, load
from fuzz.mutation import change

from fuzz import corpora

CHANGES = 150


@pytest.mark.parametrize("name", TARGETS)
def test_invariant_holds_for_what_was_kept(name: str) -> None:
    target = load(name)
    for data in [*target.seeds(), *corpora.kept(name)]:
        target.check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_invariant_holds_for_changes_to_what_was_kept(name: str) -> None:
    target, chance = load(name), random.Random(7)
    inputs = [*target.seeds(), *corpora.kept(name)]
    for _ in range(CHANGES):
        target.check(change(inputs, target.PIECES, chance))


@pytest.mark.parametrize("name", TARGETS)
def test_target_says_its_invariant(name: str) -> None:
    assert (load(name).__doc__ or "").count(".") >= 1
