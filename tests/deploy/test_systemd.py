"""The units: as systemd reads them, as it judges them, and whether what they allow is enough."""

import configparser
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from relaytrap.cli.main import COMMANDS, relaytrap
from tests.deploy.overlay import Machine, copied_machine
from tests.loopback import loopback
from tests.sensor.live import udp_client
from tests.sensor.talk import request

UNITS = Path(__file__).resolve().parents[2] / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSURE_MAX = 20
"""Tenths; systemd calls up to 4.9 good, and most services of a distribution have 9.6."""


def settings(unit: Path) -> dict[str, str]:
    """The [Service] section; of a repeated key the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # the documented way to keep case
    parser.read_string(unit.read_text(encoding="utf-8"))
    return dict(parser["Service"])


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, peer: Callable[[str], str]) -> Iterator[Machine]:
    """A copy of this machine with the units, their user and folders, and this interpreter's command in place."""
    peer("systemd-analyze")
    with copied_machine(tmp_path_factory.mktemp("machine")) as copy:
        copy.run("rm", "-rf", "/etc/relaytrap", "/opt/relaytrap", "/var/lib/relaytrap")
        copy.run("mkdir", "-p", "/opt/relaytrap/bin", "/etc/systemd/system", "/etc/relaytrap")
        copy.run("ln", "-s", str(Path(sys.executable).with_name("relaytrap")), "/opt/relaytrap/bin/relaytrap")
        for unit in SERVICES:
            copy.write(f"/etc/systemd/system/{unit.name}", unit.read_bytes())
        copy.write("/opt/sysusers.conf", (UNITS / "relaytrap.sysusers").read_bytes())
        copy.write("/opt/tmpfiles.conf", (UNITS / "relaytrap.tmpfiles").read_bytes())
        copy.run("systemd-sysusers", "/opt/sysusers.conf")
        copy.run("systemd-tmpfiles", "--create", "/opt/tmpfiles.conf")
        yield copy


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong(machine: Machine, unit: Path) -> None:
    done = machine.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{unit.name}")
    assert unit.name not in done.stdout + done.stderr


def test_addition_for_reading_along_is_valid(machine: Machine) -> None:
    machine.run("mkdir", "-p", "/etc/systemd/system/relaytrap-sensor.service.d")
    place = "/etc/systemd/system/relaytrap-sensor.service.d/listen-only.conf"
    machine.write(place, (UNITS / "listen-only.conf").read_bytes())
    done = machine.run("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/relaytrap-sensor.service")
    machine.run("rm", place)
    assert "relaytrap" not in done.stdout + done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_calls_it_well_shut_in(peer: Callable[[str], str], unit: Path) -> None:
    command = [peer("systemd-analyze"), "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_unit_runs_a_command_that_exists_as_its_own_user(unit: Path) -> None:
    service = settings(unit)
    program, word = service["ExecStart"].split()
    assert program == "/opt/relaytrap/bin/relaytrap"
    assert word in COMMANDS
    known = {parameter.envvar for parameter in relaytrap.params}
    assert {each.partition("=")[0] for each in service["Environment"].split()} <= known
    assert (service["User"], service["ProtectSystem"], service["NoNewPrivileges"]) == ("relaytrap", "strict", "yes")
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"


def test_settings_are_readable_for_the_service_alone(machine: Machine) -> None:
    shown = machine.run(
        "stat", "-c", "%a %U:%G", "/etc/relaytrap", "/etc/relaytrap/relaytrap.toml", "/var/lib/relaytrap"
    )
    assert shown.stdout.splitlines() == ["750 root:relaytrap", "640 root:relaytrap", "750 relaytrap:relaytrap"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_where_the_data_are_is_left_to_the_settings(unit: Path) -> None:
    """So that commands by hand, which read the same settings, see the service's data and no others."""
    assert settings(unit)["Environment"] == "RELAYTRAP_CONFIG=/etc/relaytrap/relaytrap.toml"


def test_sensor_does_not_wait_for_a_hub_of_the_same_machine() -> None:
    lines = (UNITS / "relaytrap-sensor.service").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "hub" in line and not line.startswith("#")]


@contextmanager
def confined(machine: Machine, *words: str, privilege: str = "net_bind_service") -> Iterator[str]:
    """A command on a read-only system but for its state, without any privilege but one; its first line."""
    command = (
        "mount --bind /var/lib/relaytrap /var/lib/relaytrap && mount -o remount,bind,ro / && "
        "mount -t tmpfs tmpfs /var/tmp && exec setpriv "
        f"--reuid relaytrap --regid relaytrap --clear-groups --no-new-privs --bounding-set=-all,+{privilege} "
        f"--inh-caps=-all,+{privilege} --ambient-caps=-all,+{privilege} env TMPDIR=/var/tmp "
        "RELAYTRAP_CONFIG=/etc/relaytrap/relaytrap.toml RELAYTRAP_DATA=/var/lib/relaytrap /opt/relaytrap/bin/relaytrap "
    ) + " ".join(words)
    # The root of a chroot is no mount of its own: make it one before it becomes read-only.
    process = machine.start("unshare", "--mount", "sh", "-c", f"mount --bind / / && exec chroot / sh -c '{command}'")
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said, said


def test_what_the_unit_allows_is_enough_for_a_sensor_on_a_low_port(machine: Machine) -> None:
    address = loopback(48, 1)
    machine.write("/etc/relaytrap/relaytrap.toml", f'[sensor]\nlisten = ["udp:{address}:506"]\n'.encode())
    with confined(machine, "sensor", "--name", "confined") as said:
        assert "sensor confined plays" in said
        with udp_client() as client:
            client.sendto(request(), (address, 506))
            assert client.recv(65535).startswith(b"SIP/2.0 ")
    assert machine.run("ls", "/var/lib/relaytrap/spool/confined").stdout.count(".pcapng") == 1


def test_what_the_addition_allows_is_enough_to_read_along(machine: Machine) -> None:
    assert settings(UNITS / "listen-only.conf")["CapabilityBoundingSet"] == "CAP_NET_RAW"
    machine.write("/etc/relaytrap/relaytrap.toml", b'[sensor]\nlisten_only = "lo"\nlisten_only_ports = [507]\n')
    with confined(machine, "sensor", "--name", "along", "--flush", "0.05", privilege="net_raw") as said:
        assert "answers nobody, reads lo" in said
        with udp_client() as client:
            client.sendto(request(), (loopback(48, 3), 507))
    assert "friendly-scanner" in machine.run("sh", "-c", "cat /var/lib/relaytrap/spool/along/*.pcapng").stdout


def test_what_the_unit_allows_is_enough_for_a_hub(machine: Machine) -> None:
    machine.write("/etc/relaytrap/relaytrap.toml", b"")
    with confined(machine, "hub", "--listen", f"{loopback(48, 2)}:0") as said:
        url = re.search(r"http://[0-9.:]+", said)
        assert url, said
        for path in ("/", "/sensors", "/api/span"):
            assert httpx.get(url[0] + path, timeout=60).status_code == 200
