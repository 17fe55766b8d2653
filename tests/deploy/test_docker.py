"""The Dockerfile and the compose file name only what there is. (test_images.py builds and runs them.)"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from relaytrap.cli.main import COMMANDS
from relaytrap.config import load_config
from relaytrap.store.queries import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "deploy/docker/compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def lines(word: str) -> list[str]:
    """What stands behind an instruction, wherever it occurs; continued lines joined."""
    whole = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{word} (.*)$", whole, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_service_builds_a_stage_of_the_dockerfile_and_runs_a_command(name: str) -> None:
    service = SERVICES[name]
    folder = (ROOT / "deploy/docker" / service["build"]["context"]).resolve()
    assert folder == ROOT
    assert (folder / service["build"]["dockerfile"]).is_file()
    assert service["build"]["target"] in [stage for _, stage in re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.M)]
    assert service["command"][0] in COMMANDS


@pytest.mark.parametrize("name", SERVICES)
def test_environment_of_a_service_is_a_valid_configuration(name: str) -> None:
    config, given = load_config(None, environ=SERVICES[name]["environment"])
    named = {key for key, value in given.items() if value.source == "variable"}
    assert len(named) == len(SERVICES[name]["environment"])
    if name == "sensor":
        assert config.sensor.listen == ("udp:0.0.0.0:5060", "tcp:0.0.0.0:5060")
        assert config.sensor.hub_url == f"http://{SERVICES['hub']['environment']['RELAYTRAP_WEB_LISTEN']}"


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_shut_in(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert lines("USER") == ["relaytrap"]


def test_data_outlives_the_container() -> None:
    (place,) = lines("VOLUME")
    for name, service in SERVICES.items():
        assert service["volumes"] == [f"{name}:{place}"]
        assert name in COMPOSE["volumes"]
    assert f"RELAYTRAP_DATA={place}" in DOCKERFILE


def test_health_is_asked_of_a_question_that_there_is() -> None:
    (name,) = re.findall(r"/api/(\w+)'", SERVICES["hub"]["healthcheck"]["test"][-1])
    assert name in CATALOGUE
    assert SERVICES["hub"]["environment"]["RELAYTRAP_WEB_LISTEN"] in SERVICES["hub"]["healthcheck"]["test"][-1]


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    for line in lines("COPY"):
        words = line.split()
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in DOCKERFILE
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists(), source
            assert source in kept, source


def test_extras_and_the_entry_point_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"\.\[(\w+)\]", DOCKERFILE):
        assert extra in project["optional-dependencies"]
    assert lines("ENTRYPOINT") == ['["relaytrap"]']
    assert "relaytrap" in project["scripts"]
