"""The stretch of time that a page looks at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.clock import parse_rfc3339
from relaytrap.web.window import choose_window, step_for

NOW = parse_rfc3339("2026-11-21T14:35:12Z")
HOUR = 3_600_000_000_000


@pytest.mark.parametrize(("asked", "hours"), [("24h", 24), ("7d", 168), ("30d", 720)])
def test_window_has_its_length_and_full_steps(asked: str, hours: int) -> None:
    window = choose_window(asked, NOW, "2020-01-01T00:00:00Z", "2026-11-21T14:00:00Z")
    assert window.since is not None
    assert window.until is not None
    assert window.until - window.since == hours * HOUR
    assert window.since % (window.step_s * 10**9) == 0
    assert window.since < NOW <= window.until


def test_last_hour_is_cut_at_minutes() -> None:
    window = choose_window("1h", NOW, None, None)
    assert len(window.steps) == 60
    assert window.until == parse_rfc3339("2026-11-21T14:36:00Z")


def test_same_question_a_minute_later_is_the_same_window() -> None:
    first = choose_window("7d", NOW, None, None)
    assert choose_window("7d", NOW + 60 * 10**9, None, None) == first


def test_week_is_usual_when_something_arrived_in_it() -> None:
    assert choose_window("", NOW, "2020-01-01T00:00:00Z", "2026-11-20T00:00:00Z").name == "7d"


def test_everything_is_shown_when_the_week_is_empty() -> None:
    window = choose_window("", NOW, "2010-05-01T18:00:00Z", "2010-05-01T18:00:00Z")
    assert (window.name, window.fallback) == ("all", True)
    assert window.filter().narrowed == frozenset()


def test_empty_store_has_the_usual_window() -> None:
    assert choose_window("", NOW, None, None).name == "7d"


def test_all_of_an_empty_store_has_no_steps() -> None:
    assert choose_window("all", NOW, None, None).steps == []


def test_window_becomes_conditions_of_the_messages_page() -> None:
    assert choose_window("24h", NOW, None, None).query == {"since": "24h"}
    assert choose_window("all", NOW, None, None).query == {}


@given(st.integers(min_value=1, max_value=40 * 365 * 86_400))
def test_no_span_has_more_columns_than_a_reader_can_tell_apart(span_s: int) -> None:
    assert span_s / step_for(span_s) <= 180


@pytest.mark.parametrize(
    ("first", "wanted"), [("2026-11-01T00:00:00Z", True), ("2026-11-18T00:00:00Z", False), (None, False)]
)
def test_windows_are_compared_only_when_the_store_knows_both(first: str | None, wanted: bool) -> None:
    assert choose_window("7d", NOW, first, "2026-11-21T14:00:00Z").has_before(first) is wanted


def test_all_time_has_nothing_before_it() -> None:
    assert not choose_window("all", NOW, "2020-01-01T00:00:00Z", "2026-11-21T14:00:00Z").has_before(
        "2020-01-01T00:00:00Z"
    )
