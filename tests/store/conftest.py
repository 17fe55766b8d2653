"""One engine for a module, emptied before each test; each test runs on every kind of engine.

CLICKHOUSE_URL (clickhouse://user:password@host:port/database, a database that tests may empty) adds a real server,
with CLICKHOUSE_CLUSTER its cluster.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relaytrap.store import Store
from tests.clickhouse import running_clickhouse
from tests.storing import clear, keep, opened_store

ENGINES = ["embedded", "cluster", *(["CLICKHOUSE_URL"] if os.environ.get("CLICKHOUSE_URL") else [])]


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server, without a database."""
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as url:
        yield url


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    settings = {"url": os.environ.get("CLICKHOUSE_URL", ""), "cluster": os.environ.get("CLICKHOUSE_CLUSTER", "")}
    if request.param != "CLICKHOUSE_URL":
        settings = {}
    if request.param == "cluster":
        settings = {"url": request.getfixturevalue("clickhouse") + f"db_{uuid.uuid4().hex[:8]}", "cluster": "one"}
    with opened_store(tmp_path_factory.mktemp("store"), **settings) as store:
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
