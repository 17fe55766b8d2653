"""Hubs that are killed, away, or set back by a backup: what sensors recorded is there once, or counted as lost."""

import shutil
import signal
import time
from pathlib import Path

from tests.fleet.fleet import Fleet, running, until


def test_hub_killed_while_sensors_ship_has_all_of_it_once(fleet: Fleet) -> None:
    sensor = fleet.sensor("steady")
    with running(sensor):
        for _ in range(2):
            sensor.send(40)
            fleet.stop_hub(signal.SIGKILL)
            sensor.send(10)
            fleet.start_hub()
        until(sensor.is_shipped, "shipping")
    assert fleet.counts("steady") == (100, 0)
    assert fleet.incidents("steady") == {}


def test_hub_away_too_long_costs_the_oldest_and_everybody_sees_how_many(fleet: Fleet) -> None:
    sensor = fleet.sensor("small", spool_max_bytes=60_000, segment_max_bytes=6_000)
    with running(sensor):
        sensor.send(10, raw_bytes=500)
        until(sensor.is_shipped, "shipping")
        kept = list(sensor.data.glob("spool/*/*.acked"))
        fleet.stop_hub()
        for _ in range(10):
            sensor.send(10, raw_bytes=500)
            time.sleep(0.4)  # a segment each
        until(lambda: sensor.state["dropped_segments"] > 3, "dropping")
        assert kept
        assert not list(sensor.data.glob("spool/*/*.acked"))  # they went first
        fleet.start_hub()
        until(sensor.is_shipped, "shipping")
        told = until(lambda: fleet.incidents("small").get("loss"), "a word")
        stored, doubled = fleet.counts("small")
        shown = fleet.status("small")
    lost = sensor.state["dropped_observations"]
    answers = len(fleet.hub.rows("messages", sensor="small", direction="out", limit=1000))
    assert (stored + answers + lost, doubled) == (2 * 110, 0)
    assert (shown["lost"], f"{lost:,} messages" in told) == (lost, True)


def test_hub_restored_from_a_backup_gets_again_what_came_after_it(fleet: Fleet, tmp_path: Path) -> None:
    sensor = fleet.sensor("patient")
    with running(sensor):
        sensor.send(10, mark="before")
        until(sensor.is_shipped, "shipping")
        fleet.run("hub", "backup", str(tmp_path / "hub.tar"))
        for _ in range(3):
            sensor.send(10, mark="after")
            until(sensor.is_shipped, "shipping")
        fleet.stop_hub()
        fleet.data.rename(tmp_path / "broken")
        fleet.run("hub", "restore", str(tmp_path / "hub.tar"))
        fleet.start_hub()
        until(lambda: fleet.counts("patient") == (40, 0), "shipping again")
        told = until(lambda: fleet.incidents("patient").get("hub-set-back"), "noticing")
    assert "ships them again." in told
    assert "lost" not in told


def test_hub_restored_from_a_backup_names_what_nobody_kept(fleet: Fleet, tmp_path: Path) -> None:
    sensor = fleet.sensor("forgetful", spool_kept_bytes=0)
    with running(sensor):
        sensor.send(10, mark="before")
        until(sensor.is_shipped, "shipping")
        fleet.stop_hub()
        shutil.copytree(fleet.data, tmp_path / "copy", symlinks=True)
        fleet.start_hub()
        sensor.send(10, mark="lost")
        until(sensor.is_shipped, "shipping")
        fleet.stop_hub()
        shutil.rmtree(fleet.data)
        shutil.copytree(tmp_path / "copy", fleet.data, symlinks=True)
        sensor.send(10, mark="after")
        fleet.start_hub()
        until(lambda: fleet.counts("forgetful") == (20, 0), "shipping on")
        told = until(lambda: fleet.incidents("forgetful").get("hub-set-back"), "noticing")
    assert "are lost" in told
