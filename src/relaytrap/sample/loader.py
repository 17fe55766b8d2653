"""Puts the sample into a running hub's store through the ordinary import, unless a fresh one is there."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from relaytrap.clock import now_ns, parse_rfc3339
from relaytrap.hub.ingest import Ingest
from relaytrap.sample.captures import write_captures
from relaytrap.sample.networks import SENSOR_PREFIX
from relaytrap.store import Store
from relaytrap.store.queries import run_query
from relaytrap.store.retention import drop_sensors

__all__ = ["Loaded", "RunningHub", "load_scene", "what_is_loaded"]

STALE_NS = 3600 * 10**9
"""A sample whose story ended longer ago does not "end now" any more, and is loaded again."""

Row = Mapping[str, Any]


class Answers(Protocol):
    """Remembered answers of a running hub."""

    def forget(self) -> None: ...


class Doors(Protocol):
    """What messages come in by."""

    @property
    def ingest(self) -> Ingest: ...


class RunningHub(Protocol):
    """What loading needs of a running hub."""

    @property
    def store(self) -> Store: ...
    @property
    def doors(self) -> Doors | None: ...
    @property
    def answers(self) -> Answers: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many messages of the sample a store holds; fresh: its story ended within the last hour."""

    messages: int
    fresh: bool


def what_is_loaded(sensors: Iterable[Row], at_ns: int) -> Loaded:
    """From the rows of the question `sensors`, at a moment."""
    rows = [row for row in sensors if row["sensor"].startswith(SENSOR_PREFIX)]
    ended_ns = max((parse_rfc3339(row["last_seen"]) for row in rows), default=0)
    return Loaded(sum(int(row["messages"]) for row in rows), ended_ns > at_ns - STALE_NS)


def load_scene(hub: RunningHub) -> int:
    """Have the sample in the store, its story ended within the last hour; gives how many messages it has."""
    loaded = what_is_loaded(run_query(hub.store, "sensors", {}), now_ns())
    if loaded.fresh or hub.doors is None:
        return loaded.messages
    if loaded.messages:
        drop_sensors(hub.store, SENSOR_PREFIX)
    with tempfile.TemporaryDirectory(prefix="relaytrap-sample-") as folder:
        done = hub.doors.ingest.import_captures(write_captures(Path(folder), now_ns()))
    hub.answers.forget()
    return sum(each.stored for each in done)
