"""The account notices what it is there to notice."""

import io
import time
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from faults.account import Account, Record, read_store

from relaytrap.capture import SegmentWriter
from relaytrap.config import Config
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ingest import Ingest
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.workers import Workers
from relaytrap.observation import Observation
from relaytrap.store import Store

NOW_NS = time.time_ns()  # what lies years from the hub's own clock gets another time there


def segment(number: int, *directions: Literal["in", "out"]) -> bytes:
    out = io.BytesIO()
    writer = SegmentWriter(out, sensor="fault", segment=number)
    for at, direction in enumerate(directions):
        raw = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: sb%016x@x\r\n\r\n" % at
        source, local = "198.51.100.7", "203.0.113.9"
        writer.write(Observation(NOW_NS + at, "fault", direction, "udp", source, 5060, local, 5060, raw))
    return out.getvalue()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def test_record_counts_what_is_whole_and_what_was_acknowledged(spool: Path) -> None:
    (spool / "00000001.pcapng.acked").write_bytes(segment(1, "in", "out", "in"))
    (spool / "00000002.pcapng.open").write_bytes(segment(2, "in", "in")[:-30])
    record = Record([spool])
    record.look()
    assert record.keys().total() == 4
    assert record.keys(inward_only=True).total() == 3
    assert record.acknowledged == 2
    assert record.has(0)
    assert not record.has(1 << 20)


def test_record_does_not_forget_what_a_file_held_before_it_was_cut(spool: Path) -> None:
    path = spool / "00000001.pcapng.open"
    path.write_bytes(segment(1, "in", "in"))
    record = Record([spool])
    record.look()
    path.write_bytes(segment(1, "in"))
    path.rename(spool / "00000001.pcapng")
    record.look()
    assert record.keys().total() == 2


def test_store_holds_the_same_observations_under_the_same_keys(spool: Path, tmp_path: Path) -> None:
    data = segment(1, "in", "out", "in")
    (spool / "00000001.pcapng").write_bytes(data)
    config = Config(tmp_path)
    with Store(config.store, tmp_path) as store:
        database = HubDatabase(tmp_path)
        ingest = Ingest(store, config, Ledger(database), Workers(config, 1))
        ingest.ingest_segment("fault", 1, data, spool="s")
        ingest.close()
        database.close()
    record = Record([spool])
    record.look()
    assert read_store(tmp_path, ["fault"]) == (record.keys(), 2)


@pytest.mark.parametrize(
    ("recorded", "stored", "said"),
    [({1: 2, 2: 1}, {1: 1, 2: 1}, "not in the store"), ({1: 1}, {1: 2}, "too often"), ({1: 1}, {1: 1}, "")],
)
def test_lost_and_doubled_observations_break_the_law(
    recorded: dict[int, int], stored: dict[int, int], said: str
) -> None:
    account = Account("x", recorded=1)
    account.compare(Counter(recorded), Counter(stored))
    account.judge(100, 100)
    assert said in "".join(account.breaches)
    assert bool(account.breaches) == bool(said)


def test_memory_amplification_and_a_fault_without_traffic_break_the_law() -> None:
    account = Account("x", sensor_mb=200, hub_mb=50, amplification=1.2)
    account.judge(100, 100)
    assert len(account.breaches) == 3
    assert "BROKEN" in account.line()
