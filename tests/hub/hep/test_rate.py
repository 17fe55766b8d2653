"""Counting a minute."""

from relaytrap.hub.hep.rate import Rate

S = 10**9


def test_only_the_last_minute_counts() -> None:
    rate = Rate()
    for second in range(1000, 1090):
        rate.count(second * S)
    assert rate.a_minute(1089 * S) == 60
    assert rate.a_minute(1119 * S) == 30
    assert rate.a_minute(5000 * S) == 0


def test_clock_that_steps_back_loses_nothing() -> None:
    rate = Rate()
    rate.count(1000 * S)
    rate.count(900 * S)
    assert rate.a_minute(1000 * S) == 2
    assert rate.a_minute(900 * S) == 2
