"""The sensor as a wheel: small, always the same bytes, and running on nothing but what it asks for."""

import hashlib
import importlib.metadata
import io
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from relaytrap.hub.sensor_wheel import sensor_wheel

HERE = Path(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and exactly what the wheel requires, linked from this one."""
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    zipfile.ZipFile(io.BytesIO(sensor_wheel().data)).extractall(site)
    for name in required("relaytrap"):
        for file in importlib.metadata.files(name) or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(HERE / top)
    return python


def required(name: str) -> set[str]:
    """Distributions that a distribution needs without any extra, and theirs."""
    found: set[str] = set()
    for line in importlib.metadata.requires(name) or ():
        if "extra ==" in line or "python_version <" in line:
            continue
        other = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        try:
            found |= {other} | required(other)
        except importlib.metadata.PackageNotFoundError:  # for another platform
            continue
    return found


def ran(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(python.parent)}
    return subprocess.run([python, "-I", *arguments], env=environ, capture_output=True, text=True, check=False)


def test_same_files_make_the_same_bytes() -> None:
    first = sensor_wheel()
    sensor_wheel.cache_clear()
    again = sensor_wheel()
    assert again.data == first.data
    assert again.digest == hashlib.sha256(again.data).hexdigest()


def test_it_holds_no_room_of_a_hub_and_every_file_of_a_sensor() -> None:
    names = zipfile.ZipFile(io.BytesIO(sensor_wheel().data)).namelist()
    rooms = {name.split("/")[1] for name in names if name.startswith("relaytrap/") and name.count("/") > 1}
    assert rooms == {"capture", "cli", "sensor", "sip"}
    assert "relaytrap/sensor/personas/asterisk.toml" in names
    assert len(sensor_wheel().data) < 1 << 20


def test_record_lists_every_file_with_its_sum() -> None:
    archive = zipfile.ZipFile(io.BytesIO(sensor_wheel().data))
    record = next(name for name in archive.namelist() if name.endswith("RECORD"))
    listed = {line.split(",")[0] for line in archive.read(record).decode().splitlines()}
    assert listed == set(archive.namelist())


def test_it_asks_for_nothing_of_a_hub() -> None:
    archive = zipfile.ZipFile(io.BytesIO(sensor_wheel().data))
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    asked = {line.split()[1].partition(">")[0] for line in metadata.splitlines() if line.startswith("Requires-Dist")}
    assert {"click", "msgspec"} <= asked
    assert asked.isdisjoint({"chdb-core", "clickhouse-connect", "litestar", "uvicorn", "jinja2", "maxminddb"})


def test_sensor_runs_on_what_the_wheel_asks_for(installed: Path) -> None:
    done = ran(installed, "-m", "relaytrap.cli.main", "sensor", "--personas")
    assert "asterisk" in done.stdout, done.stderr
    modules = "import sys, relaytrap.sensor.run, relaytrap.cli.sensor; print(*sys.modules)"
    loaded = set(ran(installed, "-c", modules).stdout.split())
    assert "relaytrap.sensor.uplink" in loaded
    assert not {name for name in loaded if re.match(r"relaytrap\.(hub|store|web|evidence|enrich|probe)\b", name)}


@pytest.mark.parametrize("command", ["hub", "up", "messages", "probe"])
def test_command_of_a_hub_says_what_is_missing(installed: Path, command: str) -> None:
    done = ran(installed, "-m", "relaytrap.cli.main", command)
    assert done.returncode == 11, done.stderr
    assert "install relaytrap[hub]" in done.stderr


def test_doctor_works_without_a_hub(installed: Path, tmp_path: Path) -> None:
    done = ran(installed, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "doctor", "--json")
    assert "\"a sensor's installation" in done.stdout, done.stderr


def test_this_interpreter_is_not_the_one_it_runs_in(installed: Path) -> None:
    assert ran(installed, "-c", "import sys; print(sys.prefix)").stdout.strip() != sys.prefix
