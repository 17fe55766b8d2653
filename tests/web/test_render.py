"""What values look like on a page."""

from typing import get_args

import pytest

from relaytrap.evidence.path import Verdict
from relaytrap.web import render

NOW = 1_800_000_000_000_000_000


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (12_345, "12.3k"), (999_600, "1.0M"), (4_500_000, "4.5M"), (None, "–")],
)
def test_compact_numbers(value: int | None, wanted: str) -> None:
    assert render.compact(value) == wanted


@pytest.mark.parametrize(("value", "wanted"), [(1_234_567, "1,234,567"), (None, "–"), (0.25, "0.2")])
def test_amounts_are_grouped(value: float | None, wanted: str) -> None:
    assert render.amount(value) == wanted


@pytest.mark.parametrize(
    ("part", "whole", "wanted"), [(0, 0, "–"), (0, 5, "0 %"), (1, 2000, "<0.1 %"), (1, 40, "2.5 %"), (1, 2, "50 %")]
)
def test_shares(part: int, whole: int, wanted: str) -> None:
    assert render.percent(part, whole) == wanted


@pytest.mark.parametrize(
    ("now", "before", "wanted"),
    [
        (5, None, ""),
        (5, 0, "none before"),
        (0, 0, "as before"),
        (1000, 1001, "as before"),
        (150, 100, "50 %</span> more than before"),
        (50, 100, "50 %</span> less than before"),
        (5000, 100, "50 times</span> more than before"),
    ],
)
def test_change_is_said_in_words(now: int, before: int | None, wanted: str) -> None:
    assert wanted in render.change(now, before)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (-5, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (86_400, "1 day ago"),
        (40_000_000, "462 days ago"),
        (200_000_000, "6 years ago"),
    ],
)
def test_ages(seconds: int, wanted: str) -> None:
    from relaytrap.clock import rfc3339

    assert render.ago(rfc3339(NOW - seconds * 10**9), NOW) == wanted


def test_never_seen_is_said() -> None:
    assert render.ago(None, NOW) == "never"


def test_time_keeps_all_its_digits_in_the_attribute() -> None:
    made = render.when("2026-01-02T03:04:05.123456789Z", 3)
    assert made == (
        '<time datetime="2026-01-02T03:04:05.123456789Z" title="2026-01-02T03:04:05.123456789Z">'
        "2026-01-02 03:04:05.123</time>"
    )


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (render.url("/"), "/"),
        (render.url("/messages", text="a b&c", method="", since=None), "/messages?text=a+b%26c"),
        (render.url("/sources", "2001:db8::1"), "/sources/2001%3Adb8%3A%3A1"),
        (render.url("/sources", "../x"), "/sources/..%2Fx"),
    ],
)
def test_addresses_quote_their_parts(made: str, wanted: str) -> None:
    assert made == wanted


def test_unknown_name_in_a_template_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render.environment().from_string("{{ nonsense }}").render()


@pytest.mark.parametrize(("size", "wanted"), [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (5_000_000, "5.0 MB")])
def test_sizes(size: int, wanted: str) -> None:
    assert render.bytesize(size) == wanted


def test_every_verdict_of_a_path_is_told_in_words() -> None:
    assert set(render.VERDICTS) == set(get_args(Verdict)) - {""}
