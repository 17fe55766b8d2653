"""Loading and removing, on a store without a hub and through a running one."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from relaytrap.capture.pcapng import write_capture
from relaytrap.cli.main import relaytrap
from relaytrap.config import load_config
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ingest import Ingest
from relaytrap.hub.ledger import Ledger
from relaytrap.sample.loader import load_scene, what_is_loaded
from relaytrap.sample.scene import load_recorded, load_truth
from relaytrap.store import Store
from relaytrap.web.cache import Answers
from tests.storing import count_messages
from tests.web.conftest import Hub, start_hub

MESSAGES = sum(capture["messages"] for capture in load_truth()["captures"].values())
NOW_NS = 1_800_000_000 * 10**9


def run(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(relaytrap, ["--data", str(data), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def sensors(data: Path) -> dict[str, int]:
    lines = run(data, "messages", "--json", "--limit", "100000").splitlines()
    names = [found[1] for line in lines if (found := re.search(r'"sensor": "([^"]+)"', line))]
    return {name: names.count(name) for name in set(names)}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    running = start_hub(tmp_path_factory.mktemp("hub"))
    yield running
    running.stop()


def test_the_sample_is_loaded_once_and_leaves_others_alone_when_it_goes(tmp_path: Path) -> None:
    own, data = tmp_path / "mine.pcapng", tmp_path / "data"
    with own.open("wb") as file:
        write_capture(file, (replace(each, sensor="mine") for each in load_recorded("sample-sydney.pcapng")[:10]))
    run(data, "import", str(own))
    assert run(data, "sample", "load").startswith(f"{MESSAGES:,} messages loaded")
    assert "is there" in run(data, "sample", "load")
    assert "Example VPN" in run(data, "origins")
    assert run(data, "sample", "remove").startswith(f"{MESSAGES:,} messages removed")
    assert run(data, "sample", "remove").startswith("there is no sample")
    assert "Example VPN" not in run(data, "origins")
    assert sensors(data) == {"mine": 10}


def test_a_running_hub_loads_and_removes_the_sample_with_its_findings(hub: Hub) -> None:
    assert run(hub.data_dir, "sample", "load").startswith(f"{MESSAGES:,} messages loaded")
    assert sum(row["messages"] for row in hub.rows("sensors")) == MESSAGES
    assert hub.rows("origins")
    assert run(hub.data_dir, "sample", "remove").startswith(f"{MESSAGES:,} messages removed")
    assert hub.rows("sensors") == []
    assert [hub.rows(name) for name in ("relays", "origins", "campaigns")] == [[], [], []]


def test_only_who_reads_the_hubs_token_may_remove_the_sample(hub: Hub) -> None:
    assert hub.client.delete("/api/sample").status_code == 401


@dataclass
class Doors:
    ingest: Ingest


@dataclass
class InProcess:
    """What `relaytrap up` has at hand when it loads the sample."""

    store: Store
    doors: Doors | None
    answers: Answers = field(default_factory=Answers)


def test_up_loads_the_sample_once_while_it_is_fresh(tmp_path: Path) -> None:
    config = load_config(None, environ={}, flags={"data_dir": tmp_path})[0]
    with Store(config.store, tmp_path) as store, contextlib.closing(HubDatabase(tmp_path)) as database:
        with contextlib.closing(Ingest(store, config, Ledger(database))) as ingest:
            hub = InProcess(store, Doors(ingest))
            assert load_scene(hub) == MESSAGES
            assert load_scene(hub) == MESSAGES
        assert count_messages(store) == MESSAGES


def row(sensor: str, last_seen: str) -> dict[str, object]:
    return {"sensor": sensor, "messages": 7, "last_seen": last_seen}


def test_a_sample_that_ended_a_while_ago_is_not_fresh() -> None:
    assert what_is_loaded([row("sample-a", "2027-01-15T07:50:00Z")], NOW_NS).fresh
    assert not what_is_loaded([row("sample-a", "2027-01-15T05:50:00Z")], NOW_NS).fresh


def test_only_the_samples_sensors_count() -> None:
    rows = [row("sample-a", "2027-01-15T05:50:00Z"), row("mine", "2027-01-15T07:59:00Z")]
    loaded = what_is_loaded(rows, NOW_NS)
    assert (loaded.messages, loaded.fresh) == (7, False)
