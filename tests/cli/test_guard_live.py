"""A guard on live traffic, without sockets."""

from pathlib import Path

from relaytrap import clock
from relaytrap.cli.guard_live import Live
from relaytrap.config import Config
from relaytrap.guard import Guard, Policy
from relaytrap.observation import Observation
from tests.guard.edge import EDGE, STRANGER, ask


def test_agent_whose_clock_is_ahead_does_not_set_the_clock_of_a_live_guard(tmp_path: Path) -> None:
    guard = Guard(Policy.of(Config(data_dir=tmp_path)))
    live = Live(Config(data_dir=tmp_path), guard, lambda finding: None, lambda: None, every_s=0)
    now_ns = clock.now_ns()
    raw = ask().wire()
    live._take_batch([Observation(now_ns * 2, "", "in", "udp", STRANGER, 5060, EDGE, 5060, raw, "", 0)], "")
    assert now_ns <= guard.summary().last_ns <= clock.now_ns()
