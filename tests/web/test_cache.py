"""Answers kept for a few seconds."""

import threading

import pytest

from relaytrap.web.cache import Answers


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_answer_is_kept_and_then_asked_again() -> None:
    clock, asked = Clock(), list[int]()
    answers = Answers(keep_s=5, now=clock)

    def ask() -> int:
        asked.append(1)
        return len(asked)

    assert [answers.get("k", ask), answers.get("k", ask)] == [1, 1]
    clock.now += 60
    assert answers.get("k", ask) == 2


def test_answer_that_grows_old_is_given_while_a_new_one_is_fetched() -> None:
    clock, asked, done = Clock(), list[int](), threading.Event()
    answers = Answers(keep_s=5, stale_s=60, now=clock)

    def ask() -> int:
        asked.append(1)
        if len(asked) == 2:
            done.set()
        return len(asked)

    answers.get("k", ask)
    clock.now += 6
    assert answers.get("k", ask) == 1
    assert done.wait(5)
    answers.close()
    assert answers.get("k", ask) == 2


def test_renewal_that_fails_leaves_the_old_answer() -> None:
    clock, asked, failed = Clock(), list[int](), threading.Event()
    answers = Answers(keep_s=5, stale_s=60, now=clock)

    def ask() -> int:
        asked.append(1)
        if len(asked) > 1:
            failed.set()
            raise ValueError("no")
        return 1

    answers.get("k", ask)
    clock.now += 6
    assert answers.get("k", ask) == 1
    assert failed.wait(5)
    clock.now -= 6
    assert answers.get("k", ask) == 1


def test_same_question_at_the_same_time_is_asked_once() -> None:
    asked, answers, begun, go_on = list[int](), Answers(), threading.Event(), threading.Event()

    def ask() -> str:
        asked.append(1)
        begun.set()
        go_on.wait(5)
        return "answer"

    threads = [threading.Thread(target=lambda: answers.get("k", ask)) for _ in range(5)]
    for thread in threads:
        thread.start()
    begun.wait(5)
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert len(asked) == 1


def test_failure_is_not_kept() -> None:
    answers = Answers()

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        answers.get("k", fail)
    assert answers.get("k", lambda: "yes") == "yes"


def test_oldest_answers_go_first() -> None:
    answers = Answers(at_most=2)
    for key in "abc":
        answers.get(key, lambda: key)  # noqa: B023 - called at once
    assert answers.get("a", lambda: "again") == "again"
    assert answers.get("c", lambda: "again") == "c"


def test_forgetting_reaches_the_store_again() -> None:
    answers = Answers()
    answers.get("k", lambda: 1)
    answers.forget()
    assert answers.get("k", lambda: 2) == 2
