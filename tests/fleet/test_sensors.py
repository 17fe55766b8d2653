"""Sensors that join, lose their hub's certificate, run twice, are set back, or live by a wrong clock: real processes.

Each ends with the sum: what was answered is in the store once, and what is wrong was said.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from relaytrap.hub.certificate import make_own_certificate
from tests.fleet.fleet import Fleet, running, until


def test_sensor_that_joins_is_shown_with_all_that_matters(fleet: Fleet) -> None:
    sensor = fleet.sensor("joined")
    with running(sensor):
        sensor.send(3)
        until(lambda: fleet.counts("joined") == (3, 0), "shipping")
        shown = until(lambda: (row := fleet.status("joined"))["a_minute"] and row, "a heartbeat")
        page = fleet.hub.get("/sensors").text
    assert shown["listen"] == [f"udp:127.0.0.1:{sensor.port}"]
    assert (shown["persona"], shown["waiting"], shown["lost"], shown["incidents"]) == ("asterisk", 0, 0, [])
    assert shown["hub_trust"].startswith("pinned ")
    assert f"udp:127.0.0.1:{sensor.port}" in page


def test_revoked_sensor_keeps_what_it_records_until_it_may_send_again(fleet: Fleet) -> None:
    sensor = fleet.sensor("revoked")
    fleet.run("sensor", "revoke", "revoked")
    with running(sensor):
        sensor.send(2)
        until(lambda: "does not know this token" in (sensor.data / "log").read_text(), "a word in the log")
        assert sensor.waiting
    assert fleet.counts("revoked") == (0, 0)


def test_two_machines_with_one_token_are_told_apart_and_nothing_is_lost(fleet: Fleet) -> None:
    sensor = fleet.sensor("twin")
    with running(sensor):
        sensor.send(5, mark="first")
        until(sensor.is_shipped, "shipping")
    twin = fleet.sensor("other")  # a copy of the machine: the same token, the same spool
    twin.data = twin.data.with_name("twin-copy")
    shutil.copytree(sensor.data, twin.data)
    with running(sensor), running(twin):
        sensor.send(20, mark="one")
        twin.send(20, mark="two")
        until(lambda: "two-machines" in fleet.incidents("twin"), "noticing two machines")
        until(lambda: fleet.counts("twin") == (45, 0), "shipping both")
    assert "Two machines speak as twin" in fleet.incidents("twin")["two-machines"]


def test_sensor_set_back_by_a_snapshot_is_noticed_and_stores_nothing_twice(fleet: Fleet) -> None:
    sensor = fleet.sensor("restored")
    with running(sensor):
        sensor.send(5, mark="before")
        until(sensor.is_shipped, "shipping")
    snapshot = sensor.data.with_name("snapshot")
    shutil.copytree(sensor.data, snapshot)
    with running(sensor):
        for _ in range(3):
            sensor.send(5, mark="between")
            until(sensor.is_shipped, "shipping")
    shutil.rmtree(sensor.data)
    snapshot.rename(sensor.data)
    with running(sensor):
        until(lambda: "spool-set-back" in fleet.incidents("restored"), "noticing")
        sensor.send(5, mark="after")
        until(lambda: fleet.counts("restored") == (25, 0), "shipping on")
    assert "segment-number-reused" not in fleet.incidents("restored")


@pytest.mark.peer
@pytest.mark.parametrize("step", ["+3600", "-3600"])
def test_clock_that_jumps_loses_nothing_and_is_said(fleet: Fleet, peer: Callable[[str], str], step: str) -> None:
    name = f"jumps{step}".replace("+", "-ahead-").replace("--", "-behind-")
    sensor = fleet.sensor(name, spool_max_days=0.01)
    file = sensor.data / "clock"
    file.write_text("+0")
    wrapped = (
        *("env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_NO_CACHE=1", f"FAKETIME_TIMESTAMP_FILE={file}"),
        *(f"LD_PRELOAD={library(peer('faketime'))}",),
    )
    with running(sensor, wrapped=wrapped):
        sensor.send(5, mark="before")
        until(sensor.is_shipped, "shipping")
        file.write_text(step)
        sensor.send(5, mark="after")
        until(lambda: fleet.counts(name) == (10, 0), "shipping on")
        told = until(lambda: (row := fleet.status(name))["incidents"] and row, "noticing")
    assert any("was set by" in text for text in told["incidents"])
    assert told["lost"] == 0


def library(faketime: str) -> str:
    """The library that the faketime program preloads."""
    return str(next(Path(faketime).parents[1].glob("lib/*/faketime/libfaketime.so.1")))


def test_sensor_keeps_all_when_the_hubs_certificate_was_replaced_until_it_is_told(fleet: Fleet) -> None:
    sensor = fleet.sensor("pinning")
    with running(sensor):
        sensor.send(2)
        until(sensor.is_shipped, "shipping")
        fleet.stop_hub()
        make_own_certificate(fleet.data)
        fleet.start_hub()
        sensor.send(3)
        said = until(lambda: "shows a certificate" in (text := (sensor.data / "log").read_text()) and text, "a word")
        assert fleet.counts("pinning") == (2, 0)
    pin = said.partition("--pin ")[2].split()[0]
    assert pin in fleet.run("hub", "certificate")
    sensor.join("--pin", pin)
    with running(sensor):
        until(lambda: fleet.counts("pinning") == (5, 0), "shipping on")
