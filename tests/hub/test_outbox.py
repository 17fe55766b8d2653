"""Segments on their way into a stream that answers, does not answer, or has them and does not say so."""

import threading

import pytest

from relaytrap.errors import StoreError
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.outbox import NotTaken, Outbox
from relaytrap.hub.parcel import Segment, unpack
from relaytrap.hub.turns import HubBusy
from tests.storing import NOON_NS


class Wire:
    """Remembers what was sent: numbers of the segments, name, and whether marked. It answers when it is up."""

    def __init__(self):
        self.sent = []
        self.sizes = []
        self.is_up = True
        self.refuses = False
        self.may_go, self.begun = threading.Event(), threading.Event()
        self.may_go.set()

    def __call__(self, parcel, marked):
        self.begun.set()
        assert self.may_go.wait(30)
        self.sizes.append(len(parcel.payload))
        self.sent.append(([each.number for each in unpack(parcel.payload, NOON_NS)], parcel.token, marked))
        if self.refuses:
            raise NotTaken("too much")
        if not self.is_up:
            raise StoreError("no answer")


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def outbox(wire, ledger):
    return Outbox(wire, ledger, 1 << 20, apart_s=0.0)


def made(number, data=b"x"):
    return Segment(f"trap-{number}", "s", number, data)


def seen(ledger, segment):
    return ledger.look_up(segment.sensor, segment.spool, segment.number, segment.digest)


def put_together(outbox, wire, given, again=False):
    """Puts a first segment, then the others while it is on its way; gives what each of them raised."""
    raised = {}

    def put(segment):
        try:
            outbox.put(segment, again)
        except (StoreError, HubBusy) as error:
            raised[segment.number] = error

    wire.may_go.clear()
    wire.begun.clear()
    threads = [threading.Thread(target=put, args=[each]) for each in given]
    threads[0].start()
    assert wire.begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    groups = outbox._marked if again else outbox._new
    while len(groups._waiting) < len(given) - 1:
        threading.Event().wait(0.01)
    wire.may_go.set()
    for thread in threads:
        thread.join()
    return raised


def test_segments_that_wait_go_in_one_parcel_and_are_noted_when_it_is_there(outbox, wire, ledger):
    given = [made(n) for n in range(1, 6)]
    assert put_together(outbox, wire, given) == {}
    assert [(sorted(numbers), marked) for numbers, _, marked in wire.sent] == [([1], False), ([2, 3, 4, 5], False)]
    assert {seen(ledger, each) for each in given} == {"again"}


def test_a_parcel_without_an_answer_is_sent_again_as_it_was_and_then_all_of_it_is_noted(outbox, wire, ledger):
    given = [made(n) for n in range(1, 5)]
    wire.is_up = False
    assert sorted(put_together(outbox, wire, given)) == [1, 2, 3, 4]
    assert {seen(ledger, each) for each in given} == {"begun"}
    wire.is_up = True
    before = wire.sent.pop()
    wire.sent.clear()
    assert outbox.put(given[2], True)
    assert wire.sent == [(*before[:2], True)]
    assert [seen(ledger, each) for each in given] == ["begun", "again", "again", "again"]


def test_a_segment_in_doubt_is_in_no_other_parcel_however_often_it_comes(outbox, wire):
    wire.is_up = False
    for again in (False, True, True):
        with pytest.raises(StoreError):
            outbox.put(made(1), again)
    with pytest.raises(StoreError):
        outbox.put(made(2), False)
    wire.is_up = True
    assert outbox.put(made(2), True)
    assert outbox.put(made(1), True)
    assert [numbers for numbers, _, _ in wire.sent] == [[1], [1], [1], [2], [2], [1]]
    assert len({token for _, token, _ in wire.sent}) == 2


def test_while_a_parcel_is_asked_about_who_comes_for_it_too_is_sent_away(outbox, wire):
    wire.is_up = False
    put_together(outbox, wire, [made(1), made(2), made(3)])
    wire.is_up = True
    wire.may_go.clear()
    wire.begun.clear()
    first = threading.Thread(target=outbox.put, args=[made(2), True])
    first.start()
    assert wire.begun.wait(30)
    with pytest.raises(HubBusy):
        outbox.put(made(3), True)
    wire.may_go.set()
    first.join()


def test_what_an_earlier_life_began_goes_marked_and_apart_from_the_rest(wire, ledger):
    outbox = Outbox(wire, ledger, 1 << 20, apart_s=0.0)
    wire.is_up = False
    with pytest.raises(StoreError):
        outbox.put(made(1), False)
    wire.is_up = True
    later = Outbox(wire, ledger, 1 << 20, apart_s=0.0)
    assert seen(ledger, made(1)) == "begun"
    assert later.put(made(1), True)
    assert later.put(made(2), False)
    assert [(numbers, marked) for numbers, _, marked in wire.sent[1:]] == [([1], True), ([2], False)]


def test_a_ledger_that_cannot_note_leaves_the_parcel_in_doubt(wire, tmp_path, monkeypatch):
    database = HubDatabase(tmp_path / "own")
    ledger = Ledger(database)
    outbox = Outbox(wire, ledger, 1 << 20, apart_s=0.0)
    noting = ledger.record_passed

    def fail(_):
        raise StoreError("no room")

    monkeypatch.setattr(ledger, "record_passed", fail)
    with pytest.raises(StoreError):
        outbox.put(made(1), False)
    monkeypatch.setattr(ledger, "record_passed", noting)
    assert outbox.put(made(1), True)
    assert seen(ledger, made(1)) == "again"
    assert len({token for _, token, _ in wire.sent}) == 1
    database.close()


def test_a_segment_that_no_message_can_hold_is_left_to_the_caller(wire, ledger):
    outbox = Outbox(wire, ledger, 100, apart_s=0.0)
    assert not outbox.put(made(1, bytes(range(256))), False)
    assert wire.sent == []
    assert seen(ledger, made(1, bytes(range(256)))) == "new"


def test_parcels_stay_within_a_message(wire, ledger):
    outbox = Outbox(wire, ledger, 300, apart_s=0.0)
    put_together(outbox, wire, [made(n) for n in range(10, 20)])
    assert sorted(number for numbers, _, _ in wire.sent for number in numbers) == list(range(10, 20))
    assert [len(numbers) for numbers, _, _ in wire.sent] == [1, 4, 4, 1]
    assert max(wire.sizes) <= 300


@pytest.mark.parametrize("told", ["begun", "new"])
def test_a_segment_whose_parcel_is_noted_after_its_thread_asked_the_ledger_goes_in_no_second_one(
    outbox, wire, ledger, told
):
    wire.is_up = False
    put_together(outbox, wire, [made(1), made(2), made(3)])
    wire.is_up = True
    assert seen(ledger, made(3)) == "begun"  # so finds the thread that brings it again; "new" between two questions
    assert outbox.put(made(2), True)  # another thread's: it notes the parcel, and lets it go
    sent = len(wire.sent)
    assert outbox.put(made(3), told == "begun")
    assert len(wire.sent) == sent
    assert len({token for numbers, token, _ in wire.sent if 3 in numbers}) == 1


def test_what_the_stream_refuses_is_not_in_doubt_and_may_go_with_others(outbox, wire, ledger):
    wire.refuses = True
    assert sorted(put_together(outbox, wire, [made(1), made(2), made(3)])) == [1, 2, 3]
    assert (outbox._sending, outbox._parcels) == ({}, {})
    wire.refuses = False
    wire.sent.clear()
    assert outbox.put(made(2), seen(ledger, made(2)) == "begun")
    assert [(numbers, marked) for numbers, _, marked in wire.sent] == [([2], True)]


def test_a_refusal_of_what_is_in_doubt_already_leaves_it_there(outbox, wire):
    wire.is_up = False
    put_together(outbox, wire, [made(1), made(2), made(3)])
    wire.refuses = True
    with pytest.raises(NotTaken):
        outbox.put(made(2), True)
    wire.refuses, wire.is_up = False, True
    assert outbox.put(made(3), True)
    assert len({token for numbers, token, _ in wire.sent if 3 in numbers}) == 1


def test_parcels_in_doubt_are_bounded_and_the_oldest_makes_room(outbox, wire, ledger, monkeypatch):
    monkeypatch.setattr("relaytrap.hub.outbox.IN_DOUBT_MAX", 3)
    wire.is_up = False
    for number in range(1, 7):
        with pytest.raises(StoreError):
            outbox.put(made(number), False)
    assert len(outbox._parcels) == 3
    wire.is_up = True
    wire.sent.clear()
    assert outbox.put(made(9), False)
    assert [numbers for numbers, _, _ in wire.sent] == [[1], [9]]
    assert [seen(ledger, made(n)) for n in (1, 2, 9)] == ["again", "begun", "again"]
