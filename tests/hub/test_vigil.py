"""What heartbeats give away: losses, clocks, doubles, what was set back; and nothing where nothing is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.clock import now_ns
from relaytrap.hub.fares import Fares
from relaytrap.hub.keys import Keys
from relaytrap.hub.vigil import RUNS_MAX, Run, Vigil, judge_clock, judge_heartbeat, judge_runs
from relaytrap.observation import FORMAT_VERSION

S = 1_000_000_000
HUB = "this hub"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def status(**spool: Any) -> dict[str, Any]:
    """A well sensor's heartbeat; keywords go into its spool."""
    return {
        "sensor": "cellar",
        "run": "r1",
        "beat": 1,
        "format": FORMAT_VERSION,
        "clock_steps": 0,
        "spool": {"id": "s1", "hub": HUB, "next_segment": 11, "acknowledged": 10, "waiting_segments": 0} | spool,
    }


def found(now: dict[str, Any], before: dict[str, Any] | None = None, *, highest: int = 10) -> dict[str, str]:
    incidents = judge_heartbeat("cellar", before or status(), now, hub_id=HUB, highest=highest)
    return {each.kind: each.text for each in incidents}


def test_nothing_is_wrong_with_a_well_sensor() -> None:
    assert found(status()) == {}


def test_older_sensor_that_says_little_is_not_judged() -> None:
    assert found({"version": "0"}, {}) == {}


def test_loss_is_told_once_with_its_reasons() -> None:
    lossy = status(lost_observations=3, dropped_observations=1_200)
    text = found(lossy)["loss"]
    assert "1,203 messages" in text
    assert found(lossy, lossy) == {}


def test_loss_of_a_spool_that_began_anew_is_told() -> None:
    assert "loss" in found(status(id="s2", dropped_observations=5), status(dropped_observations=5))


def test_full_disk_is_told() -> None:
    assert "disk-full" in found(status(is_full=True))


def test_newer_segment_format_names_both_versions() -> None:
    text = found(status() | {"format": FORMAT_VERSION + 1})["format-newer"]
    assert f"format {FORMAT_VERSION + 1}" in text
    assert f"up to {FORMAT_VERSION}" in text


def test_spool_from_a_snapshot_shows_by_numbers_that_are_here_already() -> None:
    text = found(status(next_segment=6, acknowledged=5), status(waiting_segments=2))["spool-set-back"]
    assert "segment 6" in text
    assert "2 segments waited" in text


def test_spool_that_lost_its_memory_is_not_taken_for_a_machine_from_a_snapshot() -> None:
    said = found(status(next_segment=1, acknowledged=0, begun_anew=True))
    assert list(said) == ["spool-begun-anew"]
    assert "segment 1, and 10 is here already" in said["spool-begun-anew"]


def test_hub_from_a_backup_names_what_comes_again_and_what_is_lost() -> None:
    text = found(status(kept=[8, 10]), highest=5)["hub-set-back"]
    assert "8 to 10 and ships them again; 6 to 7 are lost" in text


def test_hub_from_a_backup_loses_nothing_that_is_kept() -> None:
    text = found(status(kept=[1, 10]), highest=5)["hub-set-back"]
    assert "6 to 10 and ships them again." in text
    assert "lost" not in text


def test_hub_from_a_backup_says_when_nothing_is_kept() -> None:
    assert "6 to 10 are lost" in found(status(kept=None), highest=5)["hub-set-back"]


def test_what_another_hub_acknowledged_is_not_missed_here() -> None:
    assert found(status(hub="other"), highest=0) == {}


def test_token_of_another_sensor_is_told_and_its_numbers_are_not_compared() -> None:
    assert list(found(status() | {"sensor": "attic"}, highest=5)) == ["name-differs"]


def test_clock_that_was_set_names_the_step() -> None:
    text = found(status() | {"clock_steps": 1, "clock_last_step_s": -86_400})["clock-set"]
    assert "-86,400 s" in text


def run(name: str = "r1", *, first: int = 0, last: int = 0, beat: int = 1, at: str = "t", address: str = "a") -> Run:
    return Run(name, first * S, last * S, beat, at, address)


def test_sensor_that_restarts_is_one_machine() -> None:
    before = [run("r1", first=0, last=50, beat=11)]
    assert list(judge_runs("cellar", run("r2", first=60, last=60), before)) == []


def test_two_processes_that_take_turns_are_two_machines() -> None:
    before = [run("r1", first=0, last=100, address="192.0.2.1"), run("r2", first=50, last=103, address="192.0.2.2")]
    (incident,) = judge_runs("cellar", run("r1", last=105, beat=2, address="192.0.2.1"), before)
    assert incident.kind == "two-machines"
    assert "192.0.2.1 and 192.0.2.2" in incident.text


def test_clones_of_one_running_machine_are_two_machines() -> None:
    known = [run("r1", first=0, last=100, beat=20)]
    assert [each.kind for each in judge_runs("cellar", run("r1", last=102, beat=7), known)] == ["two-machines"]
    same_beat = run("r1", last=102, beat=20, at="another time")
    assert [each.kind for each in judge_runs("cellar", same_beat, known)] == ["two-machines"]


def test_heartbeat_that_arrives_twice_is_no_second_machine() -> None:
    known = [run("r1", first=0, last=100, beat=20)]
    assert list(judge_runs("cellar", run("r1", last=101, beat=20), known)) == []


def test_machine_restored_while_it_ran_is_told_apart_from_two() -> None:
    before = [run("r1", first=0, last=100, beat=20), run("r2", first=101, last=5_000, beat=900)]
    (incident,) = judge_runs("cellar", run("r1", last=9_000, beat=21), before)
    assert incident.kind == "run-set-back"


@pytest.fixture
def vigil(database, ledger):
    return Vigil(database, Keys(database), ledger)


def test_answer_tells_which_hub_this_is_and_what_it_has(vigil, database, ledger) -> None:
    Keys(database).add("cellar")
    ledger.record("cellar", "s1", 7, b"x", 1)
    answer = vigil.take("cellar", status(), None, "192.0.2.1")
    assert (answer["hub"], answer["sensor"], answer["highest_segment"]) == (ledger.hub_id, "cellar", 7)


def test_sensor_that_starts_again_and_again_leaves_few_processes_to_look_at(vigil, database) -> None:
    Keys(database).add("cellar")
    for number in range(3 * RUNS_MAX):
        vigil.take("cellar", status() | {"run": f"r{number}"}, None, "192.0.2.1")
    with database.transaction() as connection:
        runs = {run for (run,) in connection.execute("SELECT run FROM runs")}
    assert runs == {f"r{number}" for number in range(2 * RUNS_MAX, 3 * RUNS_MAX)}


def test_wrong_clock_is_told_in_minutes(vigil, database, ledger) -> None:
    Keys(database).add("cellar")
    for _ in range(2):
        vigil.take("cellar", status(), now_ns() - 3_600 * S, "192.0.2.1")
    (incident,) = ledger.list_incidents()
    assert incident["kind"] == "clock-off"
    assert "60 minutes behind" in incident["text"]


@pytest.mark.parametrize("ahead_s", [[-11, 0], [0, -11, 0], [20, -11]])
def test_heartbeat_that_came_late_is_no_clock_that_is_behind(vigil, database, ledger, ahead_s: list[int]) -> None:
    Keys(database).add("cellar")
    for seconds in ahead_s:
        vigil.take("cellar", status(), now_ns() + seconds * S, "192.0.2.1")
    assert not any("behind" in each["text"] for each in ledger.list_incidents())


def test_clock_that_is_ahead_is_told_at_once(vigil, database, ledger) -> None:
    Keys(database).add("cellar")
    vigil.take("cellar", status(), now_ns() + 20 * S, "192.0.2.1")
    (incident,) = ledger.list_incidents()
    assert "20 s ahead" in incident["text"]


HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("heard", "is_hubs"),
    [
        ([HOUR_MS] * 3, True),
        ([HOUR_MS, HOUR_MS + 4_000, HOUR_MS - 4_000, 0, 0], True),
        ([HOUR_MS] * 2, False),
        ([HOUR_MS] * 3 + [0] * 3, False),
        ([HOUR_MS, 2 * HOUR_MS, -HOUR_MS, 5 * HOUR_MS], False),
        ([HOUR_MS, -HOUR_MS, -HOUR_MS, -HOUR_MS], False),
        ([], False),
    ],
)
def test_a_clock_that_most_sensors_contradict_in_the_same_way_is_the_hubs(heard: list[int], is_hubs: bool) -> None:
    (incident,) = judge_clock("cellar", HOUR_MS, heard)
    assert incident.kind == "clock-off"
    assert "60 minutes ahead of this hub's" in incident.text
    assert ("Set it here" in incident.text) == is_hubs


def test_clocks_that_agree_with_the_hub_are_no_incident() -> None:
    assert list(judge_clock("cellar", 4_900, [4_900] * 9)) == []


def test_a_hub_with_a_wrong_clock_hears_so_from_its_sensors_but_not_from_the_one_on_its_machine(
    vigil, database, ledger
) -> None:
    for name, trust, ahead_s in (("own", "loopback", 0), ("one", "pinned x", 60), ("two", "", 61), ("three", "", 59)):
        Keys(database).add(name)
        vigil.take(name, status() | {"sensor": name, "hub_trust": trust}, now_ns() + ahead_s * S, "192.0.2.1")
    said = {each["sensor"]: each["text"] for each in ledger.list_incidents()}
    assert sorted(said) == ["one", "three", "two"]
    assert "it is likely this hub's that is wrong" in said["three"]


def test_what_goes_on_is_one_incident(vigil, database, ledger) -> None:
    Keys(database).add("cellar")
    for lost in (1, 2, 3):
        vigil.take("cellar", status(dropped_observations=lost), None, "192.0.2.1")
    (incident,) = ledger.list_incidents()
    assert "lost 3 messages" in incident["text"]


@given(st.dictionaries(st.sampled_from([*status(), "listen", "last_message", "hub_trust"]), JSON), JSON)
def test_no_heartbeat_breaks_the_judgement(said: dict[str, Any], spool: Any) -> None:
    said = said | {"spool": spool}
    list(judge_heartbeat("cellar", said, said, hub_id=HUB, highest=3))
    fares = Fares.of(said)
    assert all(isinstance(place, str) for place in fares.listen)
