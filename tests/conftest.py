"""Fixtures shared by every room: stored captures, outside programs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test is timed: a busy machine makes every deadline a lie. Work that must not grow is counted instead.
settings.register_profile("relaytrap", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relaytrap")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def material() -> Path:
    """The folder of stored captures; the test is skipped by name where there is none."""
    folder = Path(os.environ.get("RELAYTRAP_MATERIAL") or ROOT.parent / "shared" / "material")
    if not folder.is_dir():
        pytest.skip(f"no stored captures at {folder} (RELAYTRAP_MATERIAL names them)")
    return folder


@pytest.fixture(scope="session")
def peer() -> Callable[[str], str]:
    """Finds an outside program; without it a test is skipped by name here and fails in CI."""

    def find(program: str) -> str:
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")
        if path:
            return path
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed; CI must have every peer")
        pytest.skip(f"{program} is not installed")

    return find
