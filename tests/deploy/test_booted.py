"""The units in a system that systemd has booted: they start, hear, join, come back, and stop without a loss."""

import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.booted import booted_machine
from tests.deploy.overlay import Machine
from tests.deploy.traffic import Traffic
from tests.namespaces import udp_socket_of
from tests.sensor.talk import request

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy/systemd"
SETTINGS = b"""
[hub]
uplink_listen = "127.0.0.1:8061"

[sensor]
name = "cellar"
persona = "freepbx"
listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "tls:127.0.0.1:443"]
"""
PLACES = {
    "relaytrap.sysusers": "/usr/lib/sysusers.d/relaytrap.conf",
    "relaytrap.tmpfiles": "/usr/lib/tmpfiles.d/relaytrap.conf",
    "relaytrap-hub.service": "/etc/systemd/system/relaytrap-hub.service",
    "relaytrap-sensor.service": "/etc/systemd/system/relaytrap-sensor.service",
}
pytestmark = pytest.mark.timeout(300)


class Services:
    """A booted machine with hub and sensor, installed as the how-to says."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def systemctl(self, *arguments: str) -> str:
        return self.machine.run("systemctl", *arguments).stdout.strip()

    def by_hand(self, *arguments: str) -> str:
        """A command as the how-to has operators run it."""
        words = ["RELAYTRAP_CONFIG=/etc/relaytrap/relaytrap.toml", "/opt/relaytrap/bin/relaytrap", *arguments]
        return self.machine.run("runuser", "-u", "relaytrap", "--", "env", *words).stdout

    def main_process(self, unit: str) -> str:
        return self.systemctl("show", "--property=MainPID", "--value", unit)

    def traffic(self, name: str) -> Traffic:
        """Somebody on this machine who sends to the sensor."""
        return Traffic(udp_socket_of(self.machine.keeper), "127.0.0.1", name)

    def stored(self, name: str) -> list[str]:
        """Call-IDs that begin so, as often as the hub has them."""
        rows = self.by_hand("messages", "--json", "--limit", "10000", "--direction", "in").splitlines()
        return [found for row in rows if (found := str(json.loads(row)["call_id"])).startswith(name)]

    def wait_until_stored(self, traffic: Traffic, name: str) -> list[str]:
        """What the hub has once everything answered is there, or after a minute."""
        end = time.monotonic() + 60
        while traffic.answered - set(found := self.stored(name)) and time.monotonic() < end:
            time.sleep(0.5)
        return found


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, peer: Callable[[str], str]) -> Iterator[Services]:
    with booted_machine(tmp_path_factory.mktemp("booted"), peer) as machine:
        machine.run("rm", "-rf", "/etc/relaytrap", "/opt/relaytrap", "/var/lib/relaytrap")  # of the copy, that is
        machine.run("mkdir", "-p", "/opt/relaytrap/bin")
        machine.run("ln", "-s", str(Path(sys.executable).with_name("relaytrap")), "/opt/relaytrap/bin/relaytrap")
        for name, place in PLACES.items():
            machine.write(place, (UNITS / name).read_bytes())
        machine.run("systemd-sysusers")
        machine.run("systemd-tmpfiles", "--create", PLACES["relaytrap.tmpfiles"])
        machine.write("/etc/relaytrap/relaytrap.toml", SETTINGS)
        machine.run("systemctl", "daemon-reload")
        services = Services(machine)
        services.systemctl("start", "relaytrap-hub", "relaytrap-sensor")
        # The line that the hub prints, without the installation that it begins with.
        line = services.by_hand("sensor", "add", "cellar")
        joining = re.search(r"sensor join (\S+ --pin \S+ --token \S+)", line)
        assert joining, line
        services.by_hand("sensor", "join", *shlex.split(joining[1]))
        services.systemctl("restart", "relaytrap-sensor")
        yield services


def test_what_a_sensor_hears_is_in_the_hub_that_it_joined_by_hand(services: Services) -> None:
    traffic = services.traffic("first")
    traffic.start()
    traffic.wait_for_more(20)
    traffic.end()
    found = services.wait_until_stored(traffic, "first")
    assert traffic.answered <= set(found)
    (known,) = map(json.loads, services.by_hand("sensor", "list", "--json").splitlines())
    assert (known["sensor"], known["persona"], known["incidents"]) == ("cellar", "freepbx", [])


@pytest.mark.parametrize("unit", ["relaytrap-hub", "relaytrap-sensor"])
def test_service_has_one_privilege_and_a_filter_of_system_calls(services: Services, unit: str) -> None:
    status = services.machine.read(f"/proc/{services.main_process(unit)}/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    net_bind_service = 1 << 10
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {net_bind_service}
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")
    assert fields["Uid"].split()[0] != "0"


def test_doctor_finds_nothing_wrong_in_what_was_installed_by_hand(services: Services) -> None:
    found = [json.loads(line) for line in services.by_hand("doctor", "--json").splitlines()]
    assert [each for each in found if each["state"] == "wrong"] == []
    (data,) = [each["text"] for each in found if each["check"] == "data"]
    assert data.startswith("/var/lib/relaytrap,")


@pytest.mark.parametrize("unit", ["relaytrap-hub", "relaytrap-sensor"])
def test_service_that_was_killed_is_back(services: Services, unit: str) -> None:
    killed = services.main_process(unit)
    services.machine.run("kill", "-KILL", killed)
    end = time.monotonic() + 60
    while services.main_process(unit) in (killed, "0") or services.systemctl("show", "-PActiveState", unit) != "active":
        assert time.monotonic() < end, services.machine.run("journalctl", "--no-pager", "-u", unit).stdout[-2000:]
        time.sleep(0.3)
    assert "Traceback" not in services.machine.run("journalctl", "--no-pager", "--boot", "-u", unit).stdout


def test_nothing_answered_is_lost_or_doubled_when_services_stop_and_start(services: Services) -> None:
    traffic = services.traffic("restarts")
    traffic.start()
    try:
        traffic.wait_for_more(60)
        services.systemctl("stop", "relaytrap-sensor")
        services.systemctl("start", "relaytrap-sensor")
        traffic.wait_for_more(60)
        services.systemctl("restart", "relaytrap-hub", "relaytrap-sensor")
        traffic.wait_for_more(60)
    finally:
        traffic.end()
    found = services.wait_until_stored(traffic, "restarts")
    assert traffic.answered <= set(found)
    assert len(found) == len(set(found))


def test_sensor_hears_while_a_hub_of_the_same_machine_does_not_get_up(services: Services) -> None:
    place = "/etc/systemd/system/relaytrap-hub.service.d"
    services.systemctl("stop", "relaytrap-hub", "relaytrap-sensor")
    services.machine.run("mkdir", "-p", place)
    services.machine.write(f"{place}/slow.conf", b"[Service]\nExecStartPre=/bin/sleep 30\n")
    services.systemctl("daemon-reload")
    try:
        services.systemctl("start", "--no-block", "relaytrap-hub", "relaytrap-sensor")
        traffic = services.traffic("alone")
        traffic.start()
        traffic.wait_for_more(10)
        traffic.end()
        assert services.systemctl("show", "--property=ActiveState", "--value", "relaytrap-hub") == "activating"
    finally:
        services.machine.run("rm", "-r", place)
        services.systemctl("daemon-reload")
        services.systemctl("restart", "relaytrap-hub")
    assert traffic.answered <= set(services.wait_until_stored(traffic, "alone"))


def test_data_directory_elsewhere_takes_what_the_how_to_says(services: Services) -> None:
    place = "/etc/systemd/system/relaytrap-hub.service.d"
    services.systemctl("stop", "relaytrap-hub", "relaytrap-sensor")
    services.machine.run("install", "-d", "-o", "relaytrap", "-g", "relaytrap", "-m", "0750", "/srv/relaytrap")
    services.machine.run("mkdir", "-p", place)
    services.machine.write(f"{place}/override.conf", b"[Service]\nReadWritePaths=/srv/relaytrap\n")
    services.machine.write("/etc/relaytrap/relaytrap.toml", b'data_dir = "/srv/relaytrap"\n' + SETTINGS)
    services.systemctl("daemon-reload")
    try:
        services.systemctl("start", "relaytrap-hub")
        assert "--token" in services.by_hand("sensor", "add", "attic")
        assert services.machine.run("test", "-e", "/srv/relaytrap/hub.json").returncode == 0
    finally:
        services.systemctl("stop", "relaytrap-hub")
        services.machine.run("rm", "-r", place)
        services.machine.write("/etc/relaytrap/relaytrap.toml", SETTINGS)
        services.systemctl("daemon-reload")
        services.systemctl("start", "relaytrap-hub", "relaytrap-sensor")


def test_sensor_with_the_addition_reads_along(services: Services) -> None:
    place = "/etc/systemd/system/relaytrap-sensor.service.d"
    services.machine.run("mkdir", "-p", place)
    services.machine.write(f"{place}/listen-only.conf", (UNITS / "listen-only.conf").read_bytes())
    only = b'[sensor]\nname = "along"\nlisten_only = "lo"\nlisten_only_ports = [5060]\nflush_interval_s = 0.0\n'
    services.machine.write("/etc/relaytrap/relaytrap.toml", only)
    services.systemctl("daemon-reload")
    services.systemctl("restart", "relaytrap-sensor")
    with udp_socket_of(services.machine.keeper) as sock:
        sock.sendto(request(call_id="passing"), ("127.0.0.1", 5060))
    end = time.monotonic() + 20
    spool = ("sh", "-c", "cat /var/lib/relaytrap/spool/along/*.pcapng*")
    while "passing" not in services.machine.run(*spool, check=False).stdout:
        assert time.monotonic() < end
        time.sleep(0.2)
