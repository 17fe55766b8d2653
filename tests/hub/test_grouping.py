import threading
import time

import pytest

from relaytrap.errors import StoreError
from relaytrap.hub.grouping import Grouping


class Store:
    """Remembers groups; the first waits until it is let go, so that the others gather."""

    def __init__(self):
        self.groups = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, group):
        self.groups.append(list(group))
        if len(self.groups) == 1:
            self.begun.set()
            assert self.go.wait(30)
        if "bad" in group:
            raise StoreError("no room")


def run(store, items, most_rows=1000):
    """Adds a first item, then the others while it is being stored; gives what each of the others raised."""
    groups = Grouping(store, most_rows)
    raised = {}

    def add(item):
        try:
            groups.add(item, 10)
        except StoreError as error:
            raised[item] = str(error)

    threads = [threading.Thread(target=add, args=[item]) for item in ("first", *items)]
    threads[0].start()
    assert store.begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len(groups._waiting) < len(items):
        threading.Event().wait(0.01)
    store.go.set()
    for thread in threads:
        thread.join()
    return raised


def test_what_comes_during_an_insert_goes_into_the_next_together():
    store = Store()
    assert run(store, list("abcde")) == {}
    assert [sorted(group) for group in store.groups] == [["first"], list("abcde")]


def test_a_group_has_no_more_rows_than_wanted():
    store = Store()
    run(store, list("abcde"), most_rows=20)
    assert [len(group) for group in store.groups] == [1, 2, 2, 1]


def test_an_item_larger_than_a_group_goes_alone():
    store = Store()
    run(store, list("abc"), most_rows=5)
    assert [len(group) for group in store.groups] == [1, 1, 1, 1]


def test_an_error_reaches_everybody_of_the_group_and_nobody_else():
    store = Store()
    assert run(store, ["bad", "unlucky"]) == {"bad": "no room", "unlucky": "no room"}


def test_after_an_error_the_next_is_stored():
    store = Store()
    store.go.set()
    groups = Grouping(store)
    with pytest.raises(StoreError):
        groups.add("bad", 1)
    groups.add("good", 1)
    assert store.groups == [["bad"], ["good"]]


def test_groups_that_are_to_leave_apart_collect_meanwhile_and_the_first_leaves_at_once():
    left = []
    groups = Grouping(lambda group: left.append((time.monotonic(), sorted(group))), apart_s=0.5)
    began = time.monotonic()
    groups.add("first", 1)
    threads = [threading.Thread(target=groups.add, args=[item, 1]) for item in "abc"]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    (first_at, first), (next_at, others) = left
    assert (first, others) == (["first"], ["a", "b", "c"])
    assert first_at - began < 0.4
    assert next_at - first_at >= 0.5


@pytest.mark.parametrize("given", [{"most_rows": 20}, {"enough": 2}])
def test_a_group_that_is_full_or_enough_leaves_at_once(given):
    left = []
    groups = Grouping(lambda group: left.append(sorted(group)), apart_s=60.0, **given)
    groups.add("first", 10)
    threads = [threading.Thread(target=groups.add, args=[item, 10]) for item in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert left == [["first"], ["a", "b"]]
