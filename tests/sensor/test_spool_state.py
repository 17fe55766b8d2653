"""What a spool remembers of itself, also when its memory cannot be read."""

import json
from pathlib import Path

import pytest

from relaytrap.sensor.spool_state import SpoolState

NAME = "state.json"


def test_state_is_the_same_after_it_was_saved(tmp_path: Path) -> None:
    state = SpoolState.load(tmp_path)
    state.hub_id, state.acknowledged, state.next_segment = "hub", 4, 6
    assert not state.begun_anew
    state.save(tmp_path)
    assert SpoolState.load(tmp_path) == state


@pytest.mark.parametrize("left", ["", "{nonsense", "[]", "[" * 100_000])
def test_spool_whose_memory_was_lost_keeps_its_name_and_says_so(
    tmp_path: Path, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = SpoolState.load(tmp_path)
    before.save(tmp_path)
    (tmp_path / NAME).write_text(left, encoding="utf-8")
    state = SpoolState.load(tmp_path)
    assert (state.spool_id, state.begun_anew) == (before.spool_id, True)
    state.save(tmp_path)
    assert SpoolState.load(tmp_path).begun_anew
    assert "its counts begin anew" in caplog.text


def test_spool_from_before_names_were_kept_apart_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"spool_id": "of-old"}), encoding="utf-8")
    assert SpoolState.load(tmp_path).spool_id == "of-old"
    (tmp_path / NAME).unlink()
    assert SpoolState.load(tmp_path).spool_id == "of-old"


@pytest.mark.parametrize("wrong", ["a\nb", "a b", "ü", "a" * 65, 7, None])
def test_names_that_no_request_can_carry_are_forgotten(tmp_path: Path, wrong: object) -> None:
    (tmp_path / NAME).write_text(json.dumps({"spool_id": wrong, "hub_id": wrong}), encoding="utf-8")
    state = SpoolState.load(tmp_path)
    assert state.hub_id == ""
    assert state.spool_id != wrong
    assert len(state.spool_id) == 16
