"""The images, built and run by a container engine; only where RELAYTRAP_TEST_ENGINE names one, for it takes minutes."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.test_docker import SERVICES
from tests.deploy.traffic import Traffic
from tests.namespaces import udp_socket_of

ROOT = Path(__file__).resolve().parents[2]
ENGINE = os.environ.get("RELAYTRAP_TEST_ENGINE", "")
NAME = f"relaytrap-test-{os.getpid()}"
pytestmark = [
    pytest.mark.skipif(not ENGINE, reason="RELAYTRAP_TEST_ENGINE names no container engine (docker, podman)"),
    pytest.mark.timeout(1200),
]


class Containers:
    """What an engine runs for this test, all of it in one network without a way out."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._made: list[str] = []

    def ask(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run([self._engine, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def build(self, target: str) -> None:
        """As the compose file has it; both engines take the same words."""
        build = SERVICES[target]["build"]
        words = ("build", "--network", "host", "-f", build["dockerfile"], "--target", build["target"])
        self.ask(*words, "-t", f"{NAME}-{target}", ".")

    def run(self, name: str, image: str, *arguments: str, options: tuple[str, ...] = ()) -> None:
        """Start a container; it is removed at the end."""
        self._made.append(f"{NAME}-{name}")
        self.ask("run", "--detach", "--name", f"{NAME}-{name}", *options, f"{NAME}-{image}", *arguments)

    def serve(self, service: str, **environment: str) -> None:
        """Start a service as the compose file has it, in the network of the container named network."""
        given = SERVICES[service]
        options = ["--network", f"container:{NAME}-network", "--read-only"]
        options += [f"--cap-drop={each}" for each in given["cap_drop"]]
        options += [f"--security-opt={each.replace(':true', '')}" for each in given["security_opt"]]
        options += [f"--tmpfs={each}" for each in given["tmpfs"]]
        options += [f"--volume={NAME}-{each}" for each in given["volumes"]]
        if "mem_limit" in given:
            options += [f"--memory={given['mem_limit']}", f"--pids-limit={given['pids_limit']}"]
        options += [f"--env={key}={value}" for key, value in (given["environment"] | environment).items()]
        self.run(service, service, *given["command"], options=tuple(options))

    def inside(self, service: str, *arguments: str, check: bool = True) -> str:
        return self.ask("exec", f"{NAME}-{service}", *arguments, check=check)

    def inspect(self, service: str, what: str) -> str:
        return self.ask("inspect", "--format", f"{{{{{what}}}}}", f"{NAME}-{service}").strip()

    def restart(self, service: str) -> None:
        """Stop as the engine does, and start again; a service that had to be killed is a failure."""
        period = SERVICES[service]["stop_grace_period"].removesuffix("s")
        self.ask("stop", "-t", period, f"{NAME}-{service}")
        assert self.inspect(service, ".State.ExitCode") == "0"
        self.ask("start", f"{NAME}-{service}")

    def stored(self) -> list[str]:
        """Call-IDs in the hub, as often as they are there; nothing from a hub that is not up."""
        rows = self.inside(
            "hub", "relaytrap", "messages", "--json", "--limit", "10000", "--direction", "in", check=False
        )
        return [str(json.loads(row)["call_id"]) for row in rows.splitlines()]

    def remove(self) -> None:
        for name in reversed(self._made):
            self.ask("rm", "--force", "--volumes", name, check=False)
        for service in SERVICES:
            self.ask("volume", "rm", "--force", f"{NAME}-{service}", check=False)
            self.ask("rmi", "--force", f"{NAME}-{service}", check=False)


@pytest.fixture(scope="module")
def containers(peer: Callable[[str], str]) -> Iterator[Containers]:
    if os.geteuid() != 0:
        pytest.skip("entering a container's network needs root")
    containers = Containers(peer(ENGINE))
    try:
        for service in SERVICES:
            containers.build(service)
        containers.run("network", "sensor", "infinity", options=("--network", "none", "--entrypoint", "sleep"))
        containers.serve("hub")
        health = SERVICES["hub"]["healthcheck"]["test"][1:]
        end = time.monotonic() + 60
        while not _succeeds(lambda: containers.inside("hub", *health)):
            assert time.monotonic() < end, containers.ask("logs", f"{NAME}-hub")
            time.sleep(0.5)
        token = re.search(r"--token (\S+)", containers.inside("hub", "relaytrap", "sensor", "add", "cellar"))
        assert token
        containers.serve("sensor", RELAYTRAP_SENSOR_TOKEN=token[1])
        yield containers
    finally:
        containers.remove()


def _succeeds(command: Callable[[], object]) -> bool:
    try:
        command()
    except AssertionError:
        return False
    return True


def test_nothing_answered_is_lost_or_doubled_when_containers_stop_and_start(containers: Containers) -> None:
    process = int(containers.inspect("network", ".State.Pid"))
    traffic = Traffic(udp_socket_of(process), "127.0.0.1", "contained")
    traffic.start()
    try:
        traffic.wait_for_more(60)
        containers.restart("sensor")
        traffic.wait_for_more(60)
        containers.restart("hub")
        traffic.wait_for_more(60)
    finally:
        traffic.end()
    end = time.monotonic() + 60
    while traffic.answered - set(found := containers.stored()) and time.monotonic() < end:
        time.sleep(0.5)
    assert traffic.answered <= set(found)
    assert len(found) == len(set(found))


def test_contained_service_has_no_privilege_and_writes_only_its_data(containers: Containers) -> None:
    for service in SERVICES:
        status = dict(line.split(":", 1) for line in containers.inside(service, "cat", "/proc/1/status").splitlines())
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
        assert (status["NoNewPrivs"].strip(), status["Uid"].split()[0]) == ("1", "5060")
        assert not _succeeds(lambda name=service: containers.inside(name, "touch", "/opt/relaytrap/new"))
        assert _succeeds(lambda name=service: containers.inside(name, "touch", "/var/lib/relaytrap/new"))
