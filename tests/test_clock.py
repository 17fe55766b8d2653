"""Times: nanoseconds inside, RFC 3339 outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.clock import parse_rfc3339, rfc3339


def test_nanoseconds_survive() -> None:
    assert rfc3339(1_795_290_767_000_000_001) == "2026-11-21T19:52:47.000000001Z"


@given(st.integers(min_value=0, max_value=4_102_444_800 * 10**9))
def test_text_and_back_is_the_same_moment(moment_ns: int) -> None:
    assert parse_rfc3339(rfc3339(moment_ns)) == moment_ns


def test_other_zones_are_understood() -> None:
    assert parse_rfc3339("2026-01-01T01:00:00.5+01:00") == parse_rfc3339("2026-01-01T00:00:00.5Z")


@pytest.mark.parametrize("text", ["2026-01-01t00:00:00.5z", "2026-01-01 00:00:00.5Z"])
def test_small_letters_and_a_space_are_understood(text: str) -> None:
    assert parse_rfc3339(text) == parse_rfc3339("2026-01-01T00:00:00.5Z")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00",
        "yesterday",
        "2026-01-01T00:00:00.Z",
        "",
        "2026-W01-1T00Z",
        "20260102T030405Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-01-02T03:04:05+00:00:00.5",
        "2026-01-02T03:04:05+24:00",
        "2026-13-02T03:04:05Z",
        "２026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n",
    ],
)
def test_text_without_a_zone_or_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)
