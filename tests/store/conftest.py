"""One engine for a module, emptied before each test."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relaytrap.store import Store
from tests.storing import clear, keep, opened_store


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with opened_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(engine: Store) -> Store:
    clear(engine)
    return engine


@pytest.fixture
def kept(store: Store) -> Callable[..., Store]:
    """Stores rows under a token that no other test uses."""

    def insert(*rows: tuple[Any, ...]) -> Store:
        keep(store, rows, uuid.uuid4().hex)
        return store

    return insert
