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
    clock.now += 5
    assert answers.get("k", ask) == 2


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
