import pytest

from relaytrap.observation import Observation
from relaytrap.sample.timeline import Anchors, Stay, Timeline

HOUR_NS = 3600 * 10**9
BEGAN_NS = 1_700_000_000 * 10**9
END_NS = BEGAN_NS + 1000 * HOUR_NS


def seen(second: float, call_id: str = "", source: str = "198.51.100.1", sensor: str = "sample-x") -> Observation:
    raw = f"OPTIONS sip:a SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n".encode() if call_id else b"\x00junk"
    moment_ns = BEGAN_NS + round(second * 1e9)
    return Observation(moment_ns, sensor, "in", "udp", source, 5060, "192.0.2.1", 5060, raw)


def told_hours(line: Timeline, *observations: Observation) -> list[float]:
    return [round((moved.received_at_ns - END_NS) / HOUR_NS, 6) for moved in line.tell(observations, END_NS)]


def test_seconds_of_recording_become_hours_of_story() -> None:
    line = Timeline(BEGAN_NS, (((0.0, 20.0), {"": Stay(0, 10, -4, -2)}),))
    assert told_hours(line, seen(0), seen(5), seen(10)) == [-4, -3, -2]


def test_a_dialogue_keeps_its_rhythm() -> None:
    line = Timeline(BEGAN_NS, (((0.0, 20.0), {"": Stay(0, 10, -4, -2)}),))
    first, answer = list(line.tell([seen(5, "one"), seen(5.25, "one")], END_NS))
    assert answer.received_at_ns - first.received_at_ns == 250_000_000


def test_a_call_id_that_two_sources_share_is_two_dialogues() -> None:
    anchors = Anchors()
    assert anchors.anchor_ns(seen(1, "50000")) != anchors.anchor_ns(seen(2, "50000", source="198.51.100.2"))
    assert anchors.anchor_ns(seen(3, "50000", sensor="sample-y")) == seen(3).received_at_ns


def test_a_source_with_a_stay_of_its_own_is_told_by_that() -> None:
    stays = {"": Stay(0, 10, -4, -2), "198.51.100.2": Stay(0, 10, -100, -90)}
    line = Timeline(BEGAN_NS, (((0.0, 20.0), stays),))
    assert told_hours(line, seen(5), seen(5, source="198.51.100.2")) == [-3, -95]


def test_what_happened_once_is_told_at_the_beginning_of_its_stay() -> None:
    line = Timeline(BEGAN_NS, (((0.0, 20.0), {"": Stay(5, 5, -4, -2)}),))
    assert told_hours(line, seen(5)) == [-4]


def test_a_message_that_the_truth_does_not_place_is_an_error() -> None:
    line = Timeline(BEGAN_NS, (((0.0, 20.0), {"198.51.100.2": Stay(0, 10, -4, -2)}),))
    with pytest.raises(LookupError, match=r"198\.51\.100\.1"):
        list(line.tell([seen(5)], END_NS))
