"""The account of one fault: what was sent, recorded, acknowledged and stored, and what the law says about it.

An observation is known by the MD5 of its bytes, direction and time, computed here from the sensor's segments and by the
engine from the store, so whatever arrives (also what is no SIP) is counted, and counted on both sides alike.
"""

import hashlib
import json
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from relaytrap.capture import read_segment
from relaytrap.config import StoreConfig
from relaytrap.errors import InputError
from relaytrap.observation import Observation
from relaytrap.store import Store

__all__ = ["Account", "Record", "read_store", "spool_state"]

NUMBER: Final = re.compile(rb"\r\nCall-ID: sb([0-9a-f]{16})@")
STORED: Final = """
SELECT direction = 'in' AS inward,
  reinterpretAsUInt64(substring(
    MD5(concat(toString(toUnixTimestamp64Nano(received_at)), ' ', toString(direction), ' ', raw)), 1, 8)) AS key
FROM messages WHERE sensor IN {sensors:Array(String)} AND capture = ''
"""


class Record:
    """What sensors' segments hold, file by file; what a file held once is never forgotten.

    Look before a dead sensor's spool is opened again: a recovery that cut away too much would hide its own loss.
    times_ns: the earliest and the latest time of an observation.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._files: dict[str, tuple[int, array[int], array[int]]] = {}
        self._numbers: set[int] = set()
        self.acknowledged = 0
        self.times_ns: list[int] = []

    def look(self) -> None:
        """Read every segment that is new or has grown."""
        acknowledged = set()
        for path in sorted(path for folder in self._folders for path in folder.glob("*.pcapng*")):
            which, size = f"{path.parent.name}/{path.name.partition('.')[0]}", path.stat().st_size
            if which not in self._files or self._files[which][0] < size:
                self._files[which] = (size, *self._read(path))
            if path.suffix == ".acked":
                acknowledged.add(which)
        self.acknowledged = sum(len(self._files[which][1]) for which in acknowledged)

    def keys(self, *, inward_only: bool = False) -> Counter[int]:
        """How often each observation was recorded."""
        made: Counter[int] = Counter()
        for _, inward, outward in self._files.values():
            made.update(inward)
            made.update(() if inward_only else outward)
        return made

    def has(self, number: int) -> bool:
        """Whether the request of this number (traffic.py) was recorded."""
        return number in self._numbers

    def _read(self, path: Path) -> tuple["array[int]", "array[int]"]:
        ways: dict[str, array[int]] = {"in": array("Q"), "out": array("Q")}
        for seen in _whole(path):
            ways[seen.direction].append(_key(seen))
            self.times_ns = [min([seen.received_at_ns, *self.times_ns]), max([seen.received_at_ns, *self.times_ns])]
            if seen.direction == "in" and (found := NUMBER.search(seen.raw)):
                self._numbers.add(int(found[1], 16))
        return ways["in"], ways["out"]


def _whole(path: Path) -> Iterable[Observation]:
    """Observations up to where the file breaks off."""
    with path.open("rb") as file:
        try:
            if path.stat().st_size:
                yield from read_segment(file, name=path.name)
        except InputError:
            return


def _key(seen: Observation) -> int:
    text = b"%d %b %b" % (seen.received_at_ns, seen.direction.encode(), seen.raw)
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "little")


def read_store(data_dir: Path, sensors: Sequence[str], config: StoreConfig | None = None) -> tuple[Counter[int], int]:
    """How often each observation is in the store of a hub that does not run, and how many rows are inward."""
    made: Counter[int] = Counter()
    inward = 0
    with Store(config or StoreConfig(), data_dir) as store:
        for row in store.stream(STORED, {"sensors": list(sensors)}):
            made[row["key"]] += 1
            inward += row["inward"]
    return made, inward


def spool_state(folder: Path) -> dict[str, Any]:
    """What a sensor keeps of its own losses."""
    state: dict[str, Any] = json.loads((folder / "state.json").read_bytes())
    return state


@dataclass
class Account:
    """One fault's outcome. Counts are messages that came in; lost and doubled count our answers' records as well.

    recorded: whole in the sensor's segments. acknowledged: in segments that the hub said it has. lost: recorded and not
    stored. doubled: stored more often than recorded. unrecorded_answers: answered, though the record has no request
    (only judged where a fault says so). counted_loss: what the sensor itself says it lost. dropped_by_kernel: datagrams
    that found a full socket, the sensor's or ours. amplification: octets sent by octets received on the wire, the worst
    of all sources. breaches: what broke the law, in words.
    """

    fault: str
    sent: int = 0
    answered: int = 0
    recorded: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    unrecorded_answers: int | None = None
    counted_loss: int = 0
    sensor_mb: int = 0
    hub_mb: int = 0
    dropped_by_kernel: int = 0
    amplification: float | None = None
    rounds: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    def compare(self, recorded: Counter[int], stored: Counter[int]) -> None:
        """Book what the two sides hold."""
        self.lost = (recorded - stored).total()
        self.doubled = (stored - recorded).total()

    def judge(self, sensor_max_mb: int, hub_max_mb: int) -> None:
        """Hold the account against the law."""
        self.require(not self.lost, f"{self.lost:,} recorded observations are not in the store")
        self.require(not self.doubled, f"{self.doubled:,} observations are in the store too often")
        self.require(self.recorded > 0, "nothing was recorded: the fault proved nothing")
        self.require((self.amplification or 0) <= 1, f"an unproven source got {self.amplification} times what it sent")
        self.require(self.sensor_mb <= sensor_max_mb, f"the sensor took {self.sensor_mb} MB, allowed {sensor_max_mb}")
        self.require(self.hub_mb <= hub_max_mb, f"the hub took {self.hub_mb} MB, allowed {hub_max_mb}")

    def require(self, is_so: bool, otherwise: str) -> None:
        """Note a breach unless something holds."""
        if not is_so:
            self.breaches.append(otherwise)

    def line(self) -> str:
        """One line for a terminal."""
        parts = [
            f"{self.fault:24}",
            f"sent {self.sent:,}  recorded {self.recorded:,}  acknowledged {self.acknowledged:,}",
            f"in the store {self.stored:,}  lost {self.lost:,}  doubled {self.doubled:,}",
            f"sensor {self.sensor_mb} MB  hub {self.hub_mb} MB",
        ]
        parts += [f"amplification {self.amplification:.2f}"] if self.amplification is not None else []
        parts += [f"dropped by the kernel {self.dropped_by_kernel:,}"] if self.dropped_by_kernel else []
        parts += [f"counted as lost {self.counted_loss:,}"] if self.counted_loss else []
        parts += [f"{self.rounds} rounds"] if self.rounds else []
        verdict = "BROKEN: " + "; ".join(self.breaches) if self.breaches else "holds"
        return "  ".join([*parts, f"{self.seconds:.0f} s", *self.notes, verdict])
