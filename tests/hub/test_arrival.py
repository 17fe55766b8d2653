from msgspec.structs import replace

from relaytrap.hub.arrival import (
    DAYS_MAX,
    EPOCH_MAX_NS,
    NOTE,
    NS_PER_DAY,
    Calendar,
    dated,
    given_ns,
    note_of,
    own_ns,
    stored_note,
)
from relaytrap.hub.columns import message_id, seen_columns
from relaytrap.store.schema import NAMES
from tests.hub.traffic import request, seen
from tests.storing import NOON_NS

MESSAGE = seen(request())


def at(moment_ns, *notes):
    return replace(MESSAGE, received_at_ns=moment_ns, notes=notes)


def test_a_clock_that_is_off_by_a_day_or_an_old_spool_is_believed():
    for days in (-365, -30, -1, 0, 1, 2):
        message = at(NOON_NS + days * NS_PER_DAY)
        assert Calendar(NOON_NS).dated(message) is message


def test_a_time_that_cannot_be_gives_way_to_that_of_arrival_and_stays_in_a_note():
    for moment_ns in (1, NOON_NS - 400 * NS_PER_DAY, NOON_NS + 4 * NS_PER_DAY, EPOCH_MAX_NS):
        message = Calendar(NOON_NS).dated(at(moment_ns, "cut"))
        assert NOON_NS < message.received_at_ns < NOON_NS + 1000
        assert message.notes == ("cut", note_of(moment_ns))
        assert given_ns(message) == moment_ns


def test_messages_whose_times_are_not_believed_keep_their_order():
    calendar = Calendar(NOON_NS)
    times = [calendar.dated(at(number)).received_at_ns for number in (5, 7, 6)]
    assert times == sorted(set(times))


def test_a_segment_lies_on_a_few_days_however_many_it_names():
    calendar = Calendar(NOON_NS)
    messages = [calendar.dated(at(NOON_NS - number * NS_PER_DAY)) for number in range(300)]
    assert len({message.received_at_ns // NS_PER_DAY for message in messages}) <= DAYS_MAX + 1
    assert [given_ns(message) for message in messages] == [NOON_NS - number * NS_PER_DAY for number in range(300)]


def test_what_is_believed_of_a_message_does_not_change_its_identifier():
    message = at(EPOCH_MAX_NS)
    early, late = (Calendar(moment_ns).dated(message) for moment_ns in (NOON_NS, NOON_NS + NS_PER_DAY))
    assert early.received_at_ns != late.received_at_ns
    assert message_id(message) == message_id(early) == message_id(late)
    assert message_id(message) != message_id(at(EPOCH_MAX_NS - 1))


def test_a_sensor_that_writes_such_notes_itself_is_read_by_them():
    assert given_ns(at(NOON_NS, note_of(5))) == 5
    assert given_ns(at(NOON_NS, NOTE + "yesterday", NOTE + "9999-01-01T00:00:00Z")) == EPOCH_MAX_NS
    assert given_ns(dated(at(NOON_NS, note_of(5)), NOON_NS)) == 5


def test_a_time_of_zero_is_told_from_none():
    assert own_ns(dated(at(0), NOON_NS)) == given_ns(at(0)) == 1
    assert own_ns(at(0, "cut")) == 0


def test_a_captures_packet_of_1970_keeps_its_time():
    assert seen_columns(at(0), 1)[NAMES.index("received_at")] == 0


def test_the_store_has_one_note_for_all_times():
    assert {stored_note(note_of(moment_ns)) for moment_ns in (1, NOON_NS)} == {NOTE.removesuffix(": ")}
    assert stored_note("cut") == "cut"
