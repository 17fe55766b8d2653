"""Fixtures shared by every room: stored captures, outside programs."""

import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test is timed: a busy machine makes every deadline a lie. Work that must not grow is counted instead.
settings.register_profile("relaytrap", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relaytrap")

ROOT = Path(__file__).resolve().parent.parent

# What the workers of a run begin with, a line each. The first two hold what waits for other programs and for real
# time, while the others have work; the third shares a hub, the fourth an engine. All would wait for what takes long
# and begins last, and idle workers take over what stands at the end, not what another begins with.
BEGINNINGS = (
    ("deploy/test_booted", "faults", "probe/test_family", "probe/test_advice", "peers", "deploy/test_upgrade"),
    ("deploy/test_ansible", "fleet", "probe/test_network"),
    ("browser", "web"),
    ("hub/test_stream", "sample", "store", "hub"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests for how they are dealt out: as many to each worker, in one piece (`--dist worksteal`)."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    hands: list[list[pytest.Item]] = [[] for _ in range(workers)]
    given = set[pytest.Item]()
    for number, names in enumerate(BEGINNINGS if workers > 1 else ()):
        for name in names:
            found = [item for item in items if item.nodeid.startswith(f"tests/{name}") and item not in given]
            hands[number % workers] += found
            given.update(found)
    rest = iter([item for item in items if item not in given])
    left = len(items)
    items.clear()
    for number, hand in enumerate(hands):
        size = left // (workers - number)
        left -= size
        items += [*hand, *islice(rest, max(0, size - len(hand)))]
    items += rest


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
