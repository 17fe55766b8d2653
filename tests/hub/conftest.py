"""One engine for a module, emptied before each test, and settings over its directory, on the day of the traffic."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from relaytrap.config import Config, NetworkConfig, NetworkName
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.rows import RowSetting
from relaytrap.hub.workers import Workers
from relaytrap.store import Store
from tests.storing import NOON_NS, clear, opened_store

NAMES = (NetworkName("192.0.2.0/24", "FR", 64500, "Exemple"), NetworkName("198.51.100.0/24", "AU", 64501, "Example"))


@pytest.fixture(autouse=True)
def day_of_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub believes no times that lie years from its own."""
    behind_ns = time.time_ns() - NOON_NS
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() - behind_ns, monotonic=time.monotonic)
    monkeypatch.setattr("relaytrap.clock.time", clock)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the address tables are unpacked, once."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="session")
def config(tables: Path) -> Config:
    return Config(data_dir=tables, network=NetworkConfig(names=NAMES))


@pytest.fixture(scope="session")
def setting(config: Config) -> RowSetting:
    return RowSetting.of(config)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with opened_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(engine: Store) -> Store:
    clear(engine)
    return engine


@pytest.fixture(scope="module")
def workers(config: Config) -> Iterator[Workers]:
    made = Workers(config, 1)
    yield made
    made.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[HubDatabase]:
    made = HubDatabase(tmp_path)
    yield made
    made.close()


@pytest.fixture
def ledger(database: HubDatabase) -> Ledger:
    return Ledger(database)
