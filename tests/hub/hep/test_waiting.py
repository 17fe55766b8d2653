"""The bounded list between sockets and store."""

import threading
from collections.abc import Sequence

from relaytrap.errors import StoreError
from relaytrap.hub.hep import waiting
from relaytrap.hub.hep.waiting import Waiting
from relaytrap.hub.turns import HubBusy
from relaytrap.observation import Observation
from tests.hub.traffic import request, seen


class Shelf:
    """A store that takes batches, unless it is told to fail first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.batches: dict[str, list[Observation]] = {}
        self.tokens: list[str] = []
        self.asked = threading.Event()

    def take(self, batch: Sequence[Observation], token: str) -> int:
        self.tokens.append(token)
        self.asked.set()
        if self.failures:
            raise self.failures.pop(0)
        self.batches[token] = list(batch)
        return len(batch)

    @property
    def numbers(self) -> list[bytes]:
        return [each.raw for batch in self.batches.values() for each in batch]


def filled(shelf: Shelf, count: int, *, bytes_max: int = 1 << 20) -> Waiting:
    made = Waiting(shelf.take, bytes_max=bytes_max)
    for number in range(count):
        made.put(seen(request(number), number))
    return made


def test_everything_is_stored_in_order_by_the_time_it_stopped() -> None:
    shelf = Shelf()
    made = filled(shelf, 10_000, bytes_max=1 << 30)
    made.start()
    made.stop()
    assert shelf.numbers == [request(number) for number in range(10_000)]
    assert (made.lost, made.stored, made.size_bytes) == (0, 10_000, 0)
    assert all(len(batch) <= waiting.BATCH_MAX for batch in shelf.batches.values())


def test_batch_that_failed_is_tried_again_under_the_same_token(monkeypatch) -> None:
    monkeypatch.setattr(waiting, "RETRY_S", 0.01)
    monkeypatch.setattr(HubBusy, "retry_after_s", 0.01)
    shelf = Shelf(StoreError("away"), HubBusy(), StoreError("still away"))
    made = filled(shelf, 5)
    made.start()
    while not shelf.batches:
        assert shelf.asked.wait(10)
    made.stop()
    assert len(set(shelf.tokens)) == 1
    assert len(shelf.numbers) == 5
    assert made.complaint == ""


def test_full_list_refuses_and_says_when_there_is_room() -> None:
    shelf = Shelf()
    room = threading.Event()
    made = Waiting(shelf.take, bytes_max=3000, on_room=room.set)
    taken = [made.put(seen(request(number), number)) for number in range(10)]
    assert taken.count(True) == len(taken) - taken.count(False) < 5
    made.start()
    assert room.wait(10)
    assert made.put(seen(request(11), 11))
    made.stop()
    assert len(shelf.numbers) == taken.count(True) + 1


def test_what_no_store_took_until_the_end_is_counted_as_lost() -> None:
    shelf = Shelf(*[StoreError("away")] * 100)
    made = filled(shelf, 7)
    made.start()
    made._wake.set()
    assert shelf.asked.wait(10)
    made.stop()
    assert made.lost == 7


def test_a_fault_costs_one_batch_and_not_the_thread() -> None:
    shelf = Shelf(ZeroDivisionError())
    made = filled(shelf, 3)
    made.start()
    made._wake.set()
    assert shelf.asked.wait(10)
    made.put(seen(request(4), 4))
    made.stop()
    assert made.lost in (3, 4)  # the fourth may have joined the failing batch
    assert made.lost + made.stored == 4
