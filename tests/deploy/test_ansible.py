"""The Ansible role, run by the real Ansible against a copy of this machine: a hub, then a sensor that joins it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from relaytrap.config import load_config
from relaytrap.hub.sensor_wheel import sensor_wheel
from tests.deploy.overlay import Machine, copied_machine
from tests.loopback import loopback
from tests.sensor.live import udp_client
from tests.sensor.talk import request

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "deploy/ansible/roles/relaytrap"
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
HUB, SENSOR = loopback(47, 1), loopback(47, 2)
URL = f"https://{HUB}:8061"
COMMAND = str(Path(sys.executable).with_name("relaytrap"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if not ANSIBLE.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("ansible-core is not installed")
    with copied_machine(tmp_path_factory.mktemp("machine")) as copy:
        wheel = sensor_wheel()
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hub = {
            "relaytrap_parts": ["hub"],
            "relaytrap_install": False,
            "relaytrap_command": COMMAND,
            "relaytrap_settings": {
                "web": {"listen": f"{HUB}:8060"},
                "hub": {"uplink_listen": f"{HUB}:8061"},
                "network": {"known_proxies": ["203.0.113.7"]},
            },
        }
        sensor = {
            "relaytrap_wheel": f"/opt/{wheel.name}",
            "relaytrap_system_packages": [],
            "relaytrap_pip_arguments": f"--constraint {ROOT}/constraints.txt",
            "relaytrap_hub_host": "hub",
            "relaytrap_hub_url": URL,
            "relaytrap_sensor_name": "cellar",
            "relaytrap_settings": {"sensor": {"listen": [f"udp:{SENSOR}:5060"], "persona": "freepbx"}},
        }
        inventory = {
            "relaytrap_hub": {"hosts": {"hub": local | hub}},
            "relaytrap_sensors": {"hosts": {"sensor": local | sensor}},
        }
        copy.run("rm", "-rf", "/etc/relaytrap", "/opt/relaytrap", "/var/lib/relaytrap")  # of the copy, that is
        copy.write("/opt/inventory.json", json.dumps(inventory).encode())
        copy.write(f"/opt/{wheel.name}", wheel.data)
        yield copy


def play(machine: Machine, *arguments: str) -> dict[str, int]:
    """Run the playbook; how many tasks changed something on each host."""
    done = machine.run(
        *("env", "ANSIBLE_PIPELINING=1", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=0"),
        *("ANSIBLE_DEPRECATION_WARNINGS=0", "LC_ALL=C.UTF-8", str(ANSIBLE)),
        *("-i", "/opt/inventory.json", str(ROOT / "deploy/ansible/fleet.yml"), *arguments),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0", done.stdout, re.MULTILINE)
    return {host: int(changed) for host, changed in found}


def as_relaytrap(machine: Machine, command: str, *arguments: str) -> list[str]:
    given = ["env", "RELAYTRAP_CONFIG=/etc/relaytrap/relaytrap.toml", "RELAYTRAP_DATA=/var/lib/relaytrap", command]
    return ["runuser", "-u", "relaytrap", "--", *given, *arguments]


def hosts(group: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The hosts of an inventory's groups, each with the variables that it inherits."""
    for each in group.values():
        for name, own in each.get("hosts", {}).items():
            yield name, each.get("vars", {}) | (own or {})


def test_example_inventory_holds_settings_and_variables_that_there_are() -> None:
    inventory = yaml.safe_load((ROLE.parents[1] / "inventory.example.yml").read_text(encoding="utf-8"))
    known = set(yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8")))
    found = dict(hosts(inventory))
    assert len(found) == 4
    for given in (*found.values(), inventory["all"]["vars"]):
        assert set(given) <= known
        settings = given.get("relaytrap_settings", {})
        flags = {f"{section}.{key}": value for section, keys in settings.items() for key, value in keys.items()}
        load_config(None, environ={}, flags=flags)


def test_pip_is_given_what_it_understands(tmp_path: Path) -> None:
    if not ANSIBLE.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("ansible-core is not installed")
    cases = {
        "/opt/relaytrap/r.whl": {"relaytrap_parts": ["sensor"], "relaytrap_wheel": "dist/r.whl"},
        "/opt/relaytrap/r.whl[hub]": {"relaytrap_parts": ["hub"], "relaytrap_wheel": "dist/r.whl"},
        "relaytrap==1": {"relaytrap_parts": ["sensor"], "relaytrap_package": "relaytrap==1"},
        "relaytrap[hub] @ https://h/r.whl": {"relaytrap_parts": ["hub"], "relaytrap_package": "https://h/r.whl"},
    }
    loaded = [str(ROLE / name / "main.yml") for name in ("defaults", "vars")]
    checks = [
        {"ansible.builtin.assert": {"that": f"relaytrap_requirement == {wanted!r}"}, "vars": given}
        for wanted, given in cases.items()
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars_files": loaded, "tasks": checks}
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run(
        [ANSIBLE, "-i", "localhost,", tmp_path / "play.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(500)  # three runs of Ansible and a real installation, on a machine that does other things, too
def test_fleet_is_installed_joined_and_left_alone_the_second_time(machine: Machine) -> None:
    assert play(machine, "--limit", "hub")["hub"] > 0
    settings = machine.read("/etc/relaytrap/relaytrap.toml")
    assert 'known_proxies = ["203.0.113.7"]' in settings
    hub = machine.start(*as_relaytrap(machine, COMMAND, "hub"))
    try:
        assert hub.stdout is not None
        assert URL in hub.stdout.readline()
        # One machine plays both parts here, so the sensor's settings take the place of the hub's.
        assert play(machine, "--limit", "sensor")["sensor"] > 0
        assert machine.run("stat", "-c", "%a %U:%G", "/etc/relaytrap/relaytrap.toml").stdout == "640 root:relaytrap\n"
        assert machine.run("stat", "-c", "%a %U", "/var/lib/relaytrap/joined.toml").stdout == "600 relaytrap\n"
        assert play(machine, "--limit", "sensor") == {"sensor": 0}
        sensor = machine.start(*as_relaytrap(machine, "/opt/relaytrap/bin/relaytrap", "sensor"))
        try:
            assert sensor.stdout is not None
            assert "sensor cellar plays freepbx" in sensor.stdout.readline()
            with udp_client() as client:
                client.sendto(request(), (SENSOR, 5060))
                assert client.recv(65535).startswith(b"SIP/2.0 ")
            assert wait_until_heard(machine)["version"]
        finally:
            end(sensor)
    finally:
        end(hub)


def wait_until_heard(machine: Machine) -> dict[str, object]:
    """What the hub knows of the sensor, once it has heard of it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        listed = machine.run(*as_relaytrap(machine, COMMAND, "sensor", "list", "--json")).stdout
        (row,) = map(json.loads, listed.splitlines())
        if row["last_message"]:
            return dict(row)
        time.sleep(0.3)
    raise AssertionError(listed)


def end(process: "subprocess.Popen[str]") -> None:
    """Both programs end by themselves when asked; what they printed is read, lest they wait for that."""
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
