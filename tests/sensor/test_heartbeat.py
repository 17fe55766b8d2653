"""What a sensor says of itself: who speaks, how fast, and whether the clock was set."""

import json
from typing import Any

from relaytrap.sensor.heartbeat import Heartbeat

NOW_NS = 1_767_225_600_000_000_000
S = 1_000_000_000


class Beating:
    """A heartbeat with a count of messages and both clocks in the test's hand."""

    def __init__(self) -> None:
        self.received = 0
        self.now, self.now_ns = 100.0, NOW_NS
        self._heartbeat = Heartbeat(lambda: {"messages": {"received": self.received}}, "authority")

    def say(self, *, after_s: float = 5.0, received: int = 0, step_s: int = 0) -> dict[str, Any]:
        self.now += after_s
        self.now_ns += int(after_s * S) + step_s * S
        self.received += received
        said: dict[str, Any] = json.loads(self._heartbeat.body(self.now_ns, self.now))
        return said


def test_words_of_one_process_are_counted_and_no_other_has_its_name() -> None:
    one, other = Beating(), Beating()
    first, second = one.say(), one.say()
    assert (first["beat"], second["beat"]) == (1, 2)
    assert first["run"] == second["run"] != other.say()["run"]


def test_pace_is_that_of_the_last_minute() -> None:
    beating = Beating()
    assert beating.say()["messages_a_minute"] == 0
    assert beating.say(received=5)["messages_a_minute"] == 60
    for _ in range(20):
        said = beating.say(received=1)
    assert said["messages_a_minute"] == 12


def test_clock_that_is_set_shows_with_its_step() -> None:
    beating = Beating()
    beating.say()
    assert beating.say()["clock_steps"] == 0
    assert {key: beating.say(step_s=-86_400)[key] for key in ("clock_steps",)} == {"clock_steps": 1}
    said = beating.say(step_s=30)
    assert (said["clock_steps"], said["clock_last_step_s"]) == (2, 30)


def test_slow_drift_is_no_step() -> None:
    beating = Beating()
    for _ in range(10):
        said = beating.say(step_s=1)
    assert said["clock_steps"] == 0
