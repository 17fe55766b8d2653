"""Schedules as they are kept, and when two results differ."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.errors import InputError
from relaytrap.probe.records import Records
from relaytrap.probe.report import not_run
from relaytrap.probe.schedule import PER_USER, Notice, Schedules, has_changed, parse_every, weigh_change

NOW = 1_800_000_000_000_000_000
DAY_S = 86400


def add(schedules: Schedules, target: str = "pbx.example", user: str = "192.0.2.1", every_s: int = DAY_S) -> str:
    return schedules.add(target, user, "a TXT record", {"domain": ""}, every_s, NOW, NOW + every_s * 10**9)


@pytest.fixture
def schedules(tmp_path: Path) -> Schedules:
    return Schedules(Records(tmp_path))


def test_schedule_is_due_when_its_time_has_come_and_once_however_late(schedules: Schedules) -> None:
    secret = add(schedules)
    assert schedules.due(NOW + DAY_S * 10**9 - 1) == []
    assert [each.secret for each in schedules.due(NOW + 30 * DAY_S * 10**9)] == [secret]


def test_who_asks_again_changes_the_schedule_that_is_there(schedules: Schedules) -> None:
    first = add(schedules)
    assert add(schedules, every_s=7 * DAY_S) == first
    assert add(schedules, user="192.0.2.2") != first
    assert [each.every_s for each in schedules.list_schedules() if each.secret == first] == [7 * DAY_S]


def test_one_user_has_only_so_many(schedules: Schedules) -> None:
    for number in range(PER_USER):
        add(schedules, f"h{number}.example")
    with pytest.raises(InputError, match="end one of them first"):
        add(schedules, "one-more.example")
    add(schedules, "one-more.example", user="192.0.2.2")


def test_schedule_is_found_by_its_secret_alone_and_ends(schedules: Schedules) -> None:
    secret = add(schedules)
    assert schedules.find(secret[:-1] + "!") is None
    schedules.remove(secret)
    assert schedules.find(secret) is None


def test_problem_is_kept_until_the_next_run(schedules: Schedules) -> None:
    secret = add(schedules)
    schedules.set_next(secret, NOW + 1, "the name does not resolve")
    assert [each.problem for each in schedules.list_schedules()] == ["the name does not resolve"]
    schedules.set_next(secret, NOW + 2)
    assert [each.problem for each in schedules.list_schedules()] == [""]


def test_notices_come_newest_first(schedules: Schedules) -> None:
    secret = add(schedules)
    for number, after in enumerate(("open", "refused")):
        schedules.add_notice(secret, Notice(NOW + number, "x", after, "A sentence.", "t"))
    assert [each.after for each in schedules.notices(secret)] == ["refused", "open"]


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("12h", 43200), (" 1d ", DAY_S), ("2w", 14 * DAY_S)])
def test_interval_in_hours_days_or_weeks(text: str, seconds: int) -> None:
    assert parse_every(text) == seconds


@given(st.text(max_size=8))
def test_no_interval_is_under_an_hour(text: str) -> None:
    try:
        every_s = parse_every(text)
    except InputError:
        return
    assert every_s >= 3600


def report(*classes: tuple[str, str], exit_status: int = 0) -> dict[str, Any]:
    return {"classes": [list(each) for each in classes], "exit_status": exit_status}


REFUSED = report(("refused", "This server forwards nothing for strangers."))


def test_same_classes_are_no_change() -> None:
    assert not has_changed(REFUSED, report(("refused", "This server forwards nothing for strangers.")))


@pytest.mark.parametrize(
    "after",
    [
        report(("open", "Anybody can."), exit_status=1),
        report(("refused", "This server forwards nothing for strangers."), ("open in-dialog", "x"), exit_status=1),
    ],
)
def test_another_class_or_one_more_is_a_change(after: dict[str, Any]) -> None:
    assert has_changed(REFUSED, after)


def test_test_that_was_not_run_changes_nothing() -> None:
    assert not has_changed(REFUSED, not_run("pbx.example", "It does not resolve.", ""))
    assert not has_changed(not_run("pbx.example", "It does not resolve.", ""), REFUSED)


OPEN = report(("open", "Anybody can."), exit_status=1)
UNDECIDED = report(("undecided", "Neither forwarded nor refused."), exit_status=2)


def test_open_and_closed_are_news_at_once() -> None:
    assert weigh_change(REFUSED, REFUSED, OPEN) == "certain"
    assert weigh_change(OPEN, OPEN, REFUSED) == "certain"


def test_undecided_is_news_when_it_comes_twice_in_a_row() -> None:
    assert weigh_change(REFUSED, REFUSED, UNDECIDED) == "doubtful"
    assert weigh_change(REFUSED, UNDECIDED, UNDECIDED) == "certain"
    assert weigh_change(REFUSED, OPEN, UNDECIDED) == "doubtful"


def test_what_is_known_already_is_no_news() -> None:
    assert weigh_change(None, None, OPEN) == "none"
    assert weigh_change(UNDECIDED, UNDECIDED, UNDECIDED) == "none"
    assert weigh_change(REFUSED, UNDECIDED, REFUSED) == "none"
