"""Captures into the store: read here, turned into rows by worker processes, inserted batch by batch.

Importing the same file again, or a file that has grown since, adds only what is new: a message's identifier depends on
nothing but sensor, file name, frame, time and bytes, and identifiers that the store has are left out. What a spool
segment holds has the identifiers that it has when it is shipped, so it may come both ways.
"""

import itertools
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from msgspec import structs

from relaytrap.capture import CaptureReport, read_capture
from relaytrap.clock import now_ns, rfc3339
from relaytrap.config import Config
from relaytrap.errors import InputError
from relaytrap.hub.arrival import NO_ZERO_NS, NS_PER_DAY, given_ns
from relaytrap.hub.batch import Batch, make_batch
from relaytrap.hub.capture_files import opened_capture, read_options
from relaytrap.hub.columns import message_id
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.rows import RowSetting
from relaytrap.hub.workers import Workers
from relaytrap.observation import Observation
from relaytrap.sample.networks import SENSOR_PREFIX
from relaytrap.store import Store

__all__ = ["ImportOptions", "Imported", "Progress", "import_captures", "import_each", "known_ids"]

Progress = Callable[[str, int], None]
Turn = Callable[[str], AbstractContextManager[object]]

BATCH_MESSAGES: Final = 4_096
"""Messages that a worker turns into rows at a time: with twice as many, all processes together hold 80 MB more."""
INSERT_MESSAGES: Final = 32_768
"""Batches go into the store together up to this many messages: sorting them, summing them up by the hour and merging
what they leave takes the engine 11 us a message instead of 18. Twice as many gain nothing more and hold 100 MB more."""
INSERT_DAYS: Final = 32
"""Nor do they reach over more days: each has parts of its own, 1,500 of them took a minute, and sensors waited."""


@dataclass(slots=True)
class Imported:
    """What became of one capture.

    stored: messages that are new in the store. known: messages that it had already. first_ns, last_ns: the span of
    the new ones; 0 without any.
    """

    file: str
    sensor: str
    report: CaptureReport = field(default_factory=CaptureReport)
    stored: int = 0
    known: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: the report's counts, and what was stored of them; first, last are RFC 3339 or null."""
        return {
            "file": self.file,
            "sensor": self.sensor,
            "stored": self.stored,
            "known": self.known,
            "first": rfc3339(self.first_ns) if self.stored else None,
            "last": rfc3339(self.last_ns) if self.stored else None,
            **self.report.as_dict(),
        }

    def add(self, batch: Batch) -> None:
        """Count a batch that was stored."""
        self.stored += batch.rows
        self.known += batch.skipped
        if batch.rows:
            self.first_ns = min(self.first_ns or batch.first_ns, batch.first_ns)
            self.last_ns = max(self.last_ns, batch.last_ns)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What an import may be told.

    sensor: name that stands in for a sensor; empty: each file's name without its endings. workers: processes to use;
    None starts some when there is enough to do. progress: called now and then with a file's name and the bytes read of
    it. ledger: told of spool segments, which may still be shipped. turn: while it is held nothing is shipped by a
    sensor.
    """

    sensor: str = ""
    workers: Workers | None = None
    progress: Progress | None = None
    ledger: Ledger | None = None
    turn: Turn = nullcontext


def import_captures(
    store: Store, config: Config, files: Sequence[Path | str], options: ImportOptions | None = None
) -> list[Imported]:
    """Import capture files ("-" is standard input) one after the other.

    Raises InputError for a file that cannot be read or is no capture; what was stored before stays.
    """
    done = []
    with closing(import_each(store, config, files, options)) as each:
        for imported in each:
            if isinstance(imported, InputError):
                raise imported
            done.append(imported)
    return done


def import_each(
    store: Store, config: Config, files: Sequence[Path | str], options: ImportOptions | None = None
) -> Generator[Imported | InputError, None, None]:
    """The same, giving what became of each file as soon as it is stored, or why it cannot be read; then the next."""
    options = options or ImportOptions()
    lanes = _Lanes(store, config, options)
    try:
        for file in files:
            try:
                with opened_capture(file) as (stream, name):
                    yield _import_one(lanes, stream, name, options)
            except InputError as error:
                yield error
    finally:
        lanes.close()


def _sensor_of(name: str) -> str:
    stem = name.partition(".")[0]
    return stem if stem.strip("-") else "import"


def _import_one(lanes: "_Lanes", stream: BinaryIO, name: str, options: ImportOptions) -> Imported:
    imported = Imported(name, options.sensor or _sensor_of(name))
    with _reading(name):
        reader = read_capture(stream, name=name, sensor=imported.sensor, options=read_options(lanes.config))
    lanes.begin(imported)
    source = (_as_shipped(seen) if reader.segments else seen for seen in reader)
    ledger, noted = options.ledger, set[tuple[str, int]]()
    try:
        while observations := _some(source, name):
            if ledger is not None:  # before any of it is stored: a backup made meanwhile must know
                for own, number in reader.segments - noted:
                    ledger.note_import(own, number)
                noted |= reader.segments
            for some in _of_few_days(observations):
                lanes.take(some)
            if options.progress:
                options.progress(name, reader.position)
    finally:
        lanes.finish()
    imported.report = reader.report
    return imported


def _as_shipped(seen: Observation) -> Observation:
    """What a spool segment holds as its sensor ships it: not from a file. The sample's truth names files and frames."""
    return seen if seen.sensor.startswith(SENSOR_PREFIX) else structs.replace(seen, capture="", frame=0)


def _some(source: Iterator[Observation], name: str) -> list[Observation]:
    with _reading(name):
        return list(itertools.islice(source, BATCH_MESSAGES))


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{name}: reading failed ({error.strerror}); what was read before is stored") from None


def _of_few_days(observations: list[Observation]) -> Iterator[list[Observation]]:
    """The same in order of time and on INSERT_DAYS each, where they lie on more; nearly never."""
    days = {seen.received_at_ns // NS_PER_DAY for seen in observations}
    if len(days) <= INSERT_DAYS:
        yield observations
        return
    ordered = sorted(days)
    part_of = {day: number // INSERT_DAYS for number, day in enumerate(ordered)}
    by_time = sorted(observations, key=lambda seen: seen.received_at_ns)
    for _, some in itertools.groupby(by_time, lambda seen: part_of[seen.received_at_ns // NS_PER_DAY]):
        yield list(some)


class _Lanes:
    """Batches on their way: a few threads that each ask a worker for a block, and one that inserts some together."""

    def __init__(self, store: Store, config: Config, options: ImportOptions) -> None:
        self.config = config
        self._turn = options.turn
        self._turns = ExitStack()
        self._store = store
        self._workers = options.workers
        self._own_workers: Workers | None = None
        self._setting: RowSetting | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._pending: list[Future[Batch]] = []
        self._made: list[Batch] = []
        self._inserting: Future[None] | None = None
        self._run = secrets.token_hex(8)
        self._count = 0
        self._imported = Imported("", "")
        self._known: dict[tuple[str, str], bool] = {}

    def begin(self, imported: Imported) -> None:
        """Another capture; the one before is finished."""
        self._imported = imported
        self._known = {}

    def take(self, observations: list[Observation]) -> None:
        """Bring a batch on its way; waits while enough are."""
        for pair in {(seen.sensor, seen.capture) for seen in observations}:
            if pair not in self._known:  # before anything of it is inserted here
                sensor, capture = pair
                if not capture:  # nor may its sensor ship it between this look and the insert
                    self._turns.enter_context(self._turn(sensor))
                self._known[pair] = self._has(sensor, capture)
        if self._workers is None and len(observations) < BATCH_MESSAGES:
            self._keep(self._here(observations))  # starting processes would take longer
            return
        if self._workers is None:
            self._workers = self._own_workers = Workers(self.config)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._workers.count + 1, thread_name_prefix="import")
        while len(self._pending) > self._workers.count:
            self._keep(self._pending.pop(0).result())
        self._pending.append(self._threads.submit(self._there, self._workers, observations))

    def finish(self) -> None:
        """Wait for every batch of the capture; raises what one of them raised."""
        pending, self._pending = self._pending, []
        with self._turns:
            try:
                for future in pending:
                    self._keep(future.result())
            finally:
                self._flush()
                self._await_insert()

    def close(self) -> None:
        """End threads and the processes that were started here."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        if self._own_workers is not None:
            self._own_workers.close()

    def _here(self, observations: list[Observation]) -> Batch:
        if self._setting is None:
            self._setting = RowSetting.of(self.config)
        known = frozenset(self._known_ids(observations))
        return make_batch(observations, self._setting, now_ns() // 1_000_000, known=known)

    def _there(self, workers: Workers, observations: list[Observation]) -> Batch:
        known = self._known_ids(observations)
        return workers.batch(observations, now_ns() // 1_000_000, known=known)

    def _keep(self, batch: Batch) -> None:
        """Insert a batch with others, when there are enough, or when they would lie on too many days."""
        if not _reach_few_days([*self._made, batch]):
            self._flush()
        self._made.append(batch)
        if sum(each.rows for each in self._made) > INSERT_MESSAGES - BATCH_MESSAGES:
            self._flush()

    def _flush(self) -> None:
        """Begin to insert what was made; one insert is under way at a time."""
        made, self._made = self._made, []
        self._await_insert()
        if any(batch.rows for batch in made) and self._threads is not None:
            self._inserting = self._threads.submit(self._insert, made)
        else:
            self._insert(made)

    def _await_insert(self) -> None:
        inserting, self._inserting = self._inserting, None
        if inserting is not None:
            inserting.result()

    def _insert(self, made: list[Batch]) -> None:
        """Insert what was made. The list is left empty: of what the engine was given nothing is held while it works."""
        counts = [replace(batch, block=b"") for batch in made]
        blocks = [batch.block for batch in reversed(made) if batch.rows]
        made.clear()
        if blocks:
            self._count += 1
            given_away = (blocks.pop() for _ in range(len(blocks)))
            self._store.insert_block("messages", given_away, f"import/{self._run}/{self._count}")
        for each in counts:
            self._imported.add(each)

    def _has(self, sensor: str, capture: str) -> bool:
        sql = "SELECT 1 FROM messages WHERE sensor = {sensor:String} AND capture = {capture:String} LIMIT 1"
        return bool(self._store.rows(sql, {"sensor": sensor, "capture": capture}))

    def _known_ids(self, observations: Sequence[Observation]) -> list[int]:
        """Identifiers of the batch's messages that the store had before."""
        known = [pair for pair, is_known in self._known.items() if is_known]
        if not known:
            return []
        times = list(map(given_ns, observations))
        first, last = min(times), max(times)
        # Not all that lie between: of a capture in no order each batch reaches over the whole of it.
        ids = list(map(message_id, observations))
        return [each for pair in known for each in known_ids(self._store, first, last, *pair, among=ids)]


def _reach_few_days(batches: Sequence[Batch]) -> bool:
    full = [each for each in batches if each.rows]
    first_ns = min((each.first_ns for each in full), default=0)
    last_ns = max((each.last_ns for each in full), default=0)
    return last_ns // NS_PER_DAY - first_ns // NS_PER_DAY < INSERT_DAYS


def known_ids(
    store: Store, first_ns: int, last_ns: int, sensor: str, capture: str, *, among: Sequence[int] | None = None
) -> list[int]:
    """Identifiers of the messages that the store has of a sensor and capture, and that came with times within a span.

    first_ns, last_ns: as arrival.given_ns gives them. among: only those; None for all.
    """
    source = "sensor = {sensor:String} AND capture = {capture:String}"
    if among is not None:
        source += " AND id IN {among:Array(UInt64)}"
    sql = (
        f"SELECT id FROM messages WHERE {source} "
        "AND received_at >= fromUnixTimestamp64Nano({first:Int64}, 'UTC') "
        "AND received_at <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
    )
    if not capture:  # shipped, and perhaps not believed
        sql += (
            f" UNION ALL SELECT id FROM messages WHERE {source} "
            "AND own_at > fromUnixTimestamp64Nano({first:Int64}, 'UTC') "
            "AND own_at <= fromUnixTimestamp64Nano({last:Int64}, 'UTC')"
        )
    # One nanosecond before: of a packet of 1970, `received_at` is 0, and given_ns is not.
    params: dict[str, Any] = {"sensor": sensor, "capture": capture, "first": first_ns - NO_ZERO_NS, "last": last_ns}
    if among is not None:
        params["among"] = list(among)
    return [row["id"] for row in store.rows(sql, params)]
