"""One hub for all tests of a module: each brings sensors of its own, and may stop the hub or set it back."""

from collections.abc import Iterator

import pytest

from tests.fleet.fleet import Fleet


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    yield made
    made.close()


@pytest.fixture
def fleet(shared_fleet: Fleet) -> Fleet:
    """The fleet with its hub running, whatever the test before did."""
    if not shared_fleet.is_up:
        shared_fleet.start_hub()
    return shared_fleet
