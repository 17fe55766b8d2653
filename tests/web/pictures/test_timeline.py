"""Counts over time as stacked columns."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.web.pictures.timeline import nice_top, stack_timeline

HOURS = list(range(1_800_000_000 // 3600 * 3600, 1_800_000_000 // 3600 * 3600 + 24 * 3600, 3600))


def row(step: int, value: str, messages: int) -> dict[str, object]:
    start = datetime.fromtimestamp(HOURS[step], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"start": start, "value": value, "messages": messages}


def test_column_stacks_its_values_from_the_ground() -> None:
    picture = stack_timeline([row(0, "INVITE", 60), row(0, "ACK", 40)], HOURS, 3600, height=100)
    assert picture.bars == ("M0.07 100.0v-60.0h0.86v60.0z", "M0.07 40.0v-40.0h0.86v40.0z")


def test_little_beside_much_is_still_a_pixel_high() -> None:
    picture = stack_timeline([row(0, "INVITE", 1), row(1, "INVITE", 100_000)], HOURS, 3600, height=100)
    assert picture.bars[0].startswith("M0.07 100.0v-1.0h")


def test_values_beyond_the_colours_are_joined() -> None:
    rows = [row(0, f"M{number}", 10 - number) for number in range(9)]
    picture = stack_timeline(rows, HOURS, 3600)
    assert len(picture.series) == 6
    assert picture.series[-1] == ("others", 5 + 4 + 3 + 2)
    assert picture.columns[0].total == sum(10 - number for number in range(9))


def test_rows_outside_the_window_are_left_out() -> None:
    outside = {"start": "2001-01-01T00:00:00Z", "value": "x", "messages": 5}
    assert sum(column.total for column in stack_timeline([outside], HOURS, 3600).columns) == 0


def test_column_carries_its_span_for_a_link() -> None:
    column = stack_timeline([row(3, "x", 1)], HOURS, 3600).columns[3]
    assert datetime.fromisoformat(column.until).timestamp() - datetime.fromisoformat(column.since).timestamp() == 3600


def test_empty_window_draws_nothing() -> None:
    assert stack_timeline([], [], 3600).columns == ()


@pytest.mark.parametrize("days", [1, 7, 30, 400, 6000])
def test_axis_has_a_handful_of_labels(days: int) -> None:
    step = 86_400 if days > 30 else 3600
    steps = list(range(1_700_000_000 // 86_400 * 86_400, 1_700_000_000 // 86_400 * 86_400 + days * 86_400, step))
    ticks = stack_timeline([], steps, step).across
    assert 2 <= len(ticks) <= 13
    assert all(0 <= tick.at < 100 for tick in ticks)


@given(st.integers(0, 10**12))
def test_axis_ends_above_every_value_and_not_far_above(value: int) -> None:
    top = nice_top(value)
    assert top >= value
    assert top <= max(4, 2.01 * value)
    assert top % 2 == 0


@pytest.mark.parametrize(
    ("step_s", "said"),
    [(60, "4 a minute"), (300, "4 in 5 minutes"), (3600, "4 an hour"), (21_600, "4 in 6 hours"), (86_400, "4 a day")],
)
def test_topmost_label_says_what_a_column_is_of(step_s: int, said: str) -> None:
    rows = [{"start": "1970-01-01T00:00:00Z", "value": "INVITE", "messages": 3}]
    labels = [tick.label for tick in stack_timeline(rows, [0, step_s], step_s).up]
    assert labels == ["2", said]
