"""The fuzz target's invariant holds for its corpus and for some thousand changes to it."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "fuzz"


@pytest.fixture(scope="module")
def target() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_sip", FOLDER / "fuzz_sip.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_invariant_holds_for_the_corpus(target: ModuleType) -> None:
    for path in sorted((FOLDER / "corpus" / "sip").iterdir()):
        target.check(path.read_bytes())


def test_invariant_holds_for_changes_to_the_corpus(target: ModuleType) -> None:
    chance = random.Random(7)
    corpus = [path.read_bytes() for path in sorted((FOLDER / "corpus" / "sip").iterdir())]
    for _ in range(2000):
        target.check(target.change(chance.choice(corpus), chance))
