"""What comes to a running hub: sensors' segments and live observations, each stored exactly once.

A segment is acknowledged after its insert returned. One that comes again is acknowledged and not stored again; one
that comes under a used number with other bytes is stored and reported.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from relaytrap import __version__
from relaytrap.capture.segment import HEAD_BYTES, mark_of, read_segment
from relaytrap.certificate import write_private
from relaytrap.clock import now_ns
from relaytrap.config import Config
from relaytrap.errors import InputError, RelaytrapError, StoreError
from relaytrap.hub.arrival import is_believed
from relaytrap.hub.batch import Batch
from relaytrap.hub.grouping import Grouping
from relaytrap.hub.importing import Imported, ImportOptions, import_captures, known_ids
from relaytrap.hub.ledger import Ledger, Seen
from relaytrap.hub.parcel import REFUSED, Segment, token_of
from relaytrap.hub.turns import HubBusy, Turns
from relaytrap.hub.workers import Workers
from relaytrap.observation import FORMAT_VERSION, Observation
from relaytrap.store import Store
from relaytrap.store.gate import Gate

__all__ = ["HubTooOld", "Ingest", "Listener", "Receipt", "Segment", "Taken"]

log = logging.getLogger(__name__)

Listener = Callable[["Taken"], None]

WAITING_MAX: Final = 24
APART_S: Final = 1.0
"""Inserts begin at this distance, unless ENOUGH segments wait. With 1,250 messages an insert and the merging after it
cost 47 us a message, with 2,500 they cost 29, with 10,000 15."""
ENOUGH: Final = 16
LOOKS_MAX: Final = 8
"""A store that changes between so many looks is busy with the same segments; they come again."""
IMPORT_WAIT_S: Final = 60.0
"""A segment is stored within seconds; one that trickles in shall hold up no import."""
APART_NS: Final = 10_000_000_000
"""Parts of a parcel that lie no further from one another are told of as one."""


class HubTooOld(Exception):
    """The segment's format is newer than this hub: it must wait in the sensor's spool. Nothing was stored."""

    retry_after_s = 60

    def __init__(self, sensor: str, version: int) -> None:
        super().__init__(
            f"segments of {sensor} have format {version}, and this hub ({__version__}) reads up to {FORMAT_VERSION}: "
            "update the hub; they wait in the sensor's spool until then"
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """Told to listeners when messages were stored: how many, and the span of their received_at."""

    messages: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one segment. number: as sent; messages: newly stored; seen: what the ledger knew of it."""

    number: int
    messages: int
    seen: Seen


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A segment that goes into the store with others. again: some of it may be there."""

    segment: Segment
    batch: Batch
    again: bool


class Ingest:
    """The hub's door for messages. Thread-safe.

    pass_on: takes segments in the store's stead and hands them to whichever hub has time (hub/outbox.py), told whether
    some of it may be stored; it says whether it did, and notes it in the ledger. gate: whoever is alone in it sees no
    segment that is stored and not in the ledger, nor the other way.
    """

    def __init__(self, store: Store, config: Config, ledger: Ledger, workers: Workers | None = None) -> None:
        self.store = store
        self.config = config
        self.listeners: list[Listener] = []
        self.gate = Gate()
        self.pass_on: Callable[[Segment, bool], bool] | None = None
        self._groups = Grouping(self._insert_group, apart_s=APART_S, enough=ENOUGH)
        self.ledger = ledger
        self._workers = workers or Workers(config)
        self._places = threading.Semaphore(self._workers.count + WAITING_MAX)
        self._import_turn = threading.Lock()
        self._turns = Turns()

    def turn(self, sensor: str) -> AbstractContextManager[None]:
        """One segment of a sensor at a time, from before its first octet is read until it is stored.

        The same one may arrive twice at once, over two connections; and a token that was stolen, whatever spools it
        names, has no more of a hub's memory and threads than one segment takes. Who finds another at work is sent away
        with HubBusy.
        """
        return self._turns.taken(sensor)

    def ingest_segment(self, sensor: str, number: int, data: bytes, *, spool: str = "") -> Receipt:
        """Store one segment (uncompressed pcapng) of an authenticated sensor; returns when it is safe.

        The caller has the sensor's turn. spool: the sensor's mark of its spool, within which numbers are unique. Raises
        InputError for bytes that are no segment, HubBusy when the sensor should wait, HubTooOld when this hub must be
        updated first, DiskError or StoreError when it could not be stored.
        """
        self._look_at_format(sensor, data)
        segment = Segment(sensor, spool, number, data)
        seen = self.ledger.look_up(*segment.key)
        if seen == "new" and self._may_be_stored(segment):
            seen = "begun"
        if seen == "again":
            return Receipt(number, 0, seen)
        if self.pass_on is not None and seen in ("new", "begun") and self.pass_on(segment, seen == "begun"):
            return Receipt(number, 0, seen)
        with self._place():
            batch = self._store_here(segment, again=seen != "new")
        if seen == "other":
            self._report_other(sensor, number, batch)
        self._took(batch)
        return Receipt(number, batch.rows, seen)

    def store_parcel(self, segments: Sequence[Segment], *, again: bool, patient: bool = True) -> int:
        """Store segments that some hub acknowledged, in one insert; gives how many messages are new.

        again: they, or a part of them, may be stored already. A segment that cannot be read is put aside alone, and
        unless patient also one that costs a worker its life: the others waited for it often enough. Raises HubBusy,
        HubTooOld, DiskError or StoreError when they must come again.
        """
        for segment in segments:
            self._look_at_format(segment.sensor, segment.data)
        with self._place():
            known = self._known_at_once(segments, again=again)
            batches = [self._readable_batch(*each, patient=patient) for each in zip(segments, known, strict=True)]
            batch = _joined(batches)
            # Under a token that follows from the parcel: a stream that was killed may have forgotten that it handed the
            # parcel out, to this hub or another, and then the store alone can tell that it has it.
            with self.gate.passing():
                self._insert(batch, token_of([each.token for each in segments]))
        for taken in _spans(batches):
            self._tell(taken)
        return batch.rows

    def refuse(self, segment: Segment, why: str) -> None:
        """Put a segment aside that was acknowledged and cannot be read: nothing that was taken is thrown away."""
        path = self.config.data_dir / REFUSED / f"{segment.digest.hex()}.pcapng"
        write_private(path, segment.data)
        text = f"Segment {segment.number} of {segment.sensor} cannot be read ({why}); it is kept as {path}."
        log.warning("segment refused sensor=%s number=%d", segment.sensor, segment.number)
        self.ledger.report(segment.sensor, "segment-unreadable", text)

    def ingest_observations(self, observations: Sequence[Observation], token: str) -> int:
        """Store live observations as one batch under a token of the caller's; gives how many."""
        with self._place():
            batch = self._workers.batch(observations, now_ns() // 1_000_000)
            with self.gate.passing():
                self._insert(batch, token)
        self._tell(Taken(batch.rows, batch.first_ns, batch.last_ns))
        return batch.rows

    def import_captures(self, files: Sequence[Path | str], *, sensor: str = "") -> list[Imported]:
        """Import capture files while the hub runs; one import at a time. See importing.ImportOptions for the sensor."""
        options = ImportOptions(sensor=sensor, workers=self._workers, ledger=self.ledger, turn=self._turn_of_import)
        with self._import_turn:
            done = import_captures(self.store, self.config, files, options)
        for each in done:
            self._tell(Taken(each.stored, each.first_ns, each.last_ns))
        return done

    @contextmanager
    def _turn_of_import(self, sensor: str) -> Iterator[None]:
        """The turn of a sensor whose messages are imported, for which its own segments wait, and the import for them.

        Raises StoreError where one does not come to its end.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self._turns.taken(sensor, wait_s=IMPORT_WAIT_S))
            except HubBusy:
                raise StoreError(
                    f"{sensor} has had a segment on its way for {IMPORT_WAIT_S:.0f} s, and what it ships and what is "
                    "imported of it cannot be stored at once; what was read before is stored: import the file again"
                ) from None
            yield

    @property
    def workers(self) -> int:
        """How many segments can be turned into rows at a time."""
        return self._workers.count

    def close(self) -> None:
        """End the worker processes."""
        self._workers.close()

    def _store_here(self, segment: Segment, *, again: bool) -> Batch:
        batch = self._batch(segment, self._known(segment) if again else ())
        with self.gate.passing():
            self._groups.add(_Waiting(segment, batch, again), batch.rows)
            self.ledger.record(segment.sensor, segment.spool, segment.number, segment.digest, batch.rows)
        return batch

    def _known_at_once(self, segments: Sequence[Segment], *, again: bool) -> list[frozenset[int]]:
        """What the store had of each segment at one and the same moment.

        The parcel may be on its way into the store elsewhere, all of it at once: under its token the engine knows it
        again, but only while as many segments bring something. So all of that insert must be seen, or nothing. What is
        known only grows: when nothing has changed from one look to the next, both saw what was there in between.
        """
        asked = [each for each in segments if again or self._may_be_stored(each)]
        before: dict[str, frozenset[int]] = {}
        for _ in range(LOOKS_MAX):
            known = {each.token: self._known_of_any(each) for each in asked}
            if known == before or len(asked) < 2:
                return [known.get(each.token, frozenset()) for each in segments]
            before = known
        raise HubBusy

    def _known_of_any(self, segment: Segment) -> frozenset[int]:
        """What the store has of a segment; nothing of what cannot be read, which is said where it is read whole."""
        with suppress(InputError):
            return frozenset(self._known(segment))
        return frozenset()

    def _readable_batch(self, segment: Segment, known: frozenset[int], *, patient: bool) -> Batch:
        try:
            return self._batch(segment, known)
        except InputError as error:
            return self._refused(segment, error)
        except StoreError as error:
            if patient:
                raise
            return self._refused(segment, error)

    def _refused(self, segment: Segment, error: RelaytrapError) -> Batch:
        self.refuse(segment, str(error))
        return Batch(0, 0, 0, 0, b"")

    def _batch(self, segment: Segment, known: Iterable[int] = ()) -> Batch:
        given = (segment.data, segment.sensor, segment.arrived_ns, now_ns() // 1_000_000)
        return self._workers.segment_batch(*given, known=tuple(known))

    def _may_be_stored(self, segment: Segment) -> bool:
        """Whether the ledger may have forgotten it; its first message tells when it begins, if it can be believed."""
        if not self.ledger.unsure_before_ns:
            return False
        with suppress(InputError):  # said where it is read whole
            first = next(iter(read_segment(BytesIO(segment.data))), None)
            return first is not None and (
                first.received_at_ns < self.ledger.unsure_before_ns
                or not is_believed(first.received_at_ns, segment.arrived_ns)
            )
        return False

    def _took(self, batch: Batch) -> None:
        self._tell(Taken(batch.rows, batch.first_ns, batch.last_ns))

    def _insert_group(self, group: Sequence[_Waiting]) -> None:
        # A segment that comes again comes in another group, under another token: what of it is stored is then asked
        # by its messages, and for that it must be known that this insert was begun.
        self.ledger.begin(each.segment.key for each in group)
        token = token_of([each.segment.token for each in group])
        if self.store.embedded and any(each.again for each in group):
            # An insert that failed for want of room may have left its token and no rows: under it, all that comes is
            # thrown away as known. The store was asked what it has, and nobody but us writes it: no token is needed.
            token += f"/{now_ns()}"
        self._insert(_joined([each.batch for each in group]), token)

    def _insert(self, batch: Batch, token: str) -> None:
        if batch.rows:
            self.store.insert_block("messages", batch.block, token)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise HubBusy
        try:
            yield
        finally:
            self._places.release()

    def _tell(self, taken: Taken) -> None:
        for listener in self.listeners if taken.messages else ():
            try:
                listener(taken)
            except Exception:  # the edge of one unit of work: whoever listens must not cost the sensor its receipt
                log.exception("a listener failed")

    def _known(self, segment: Segment) -> list[int]:
        """Identifiers of a sensor's messages that are in the store and came with times within a segment's span."""
        return known_ids(self.store, *segment.span, sensor=segment.sensor, capture="") if segment.span else []

    def _look_at_format(self, sensor: str, data: bytes) -> None:
        mark = mark_of(data[:HEAD_BYTES])
        if mark is not None and mark["format"] > FORMAT_VERSION:
            raise HubTooOld(sensor, mark["format"])

    def _report_other(self, sensor: str, number: int, batch: Batch) -> None:
        text = (
            f"Segment {number} came again with other contents: {batch.rows} new messages are kept, {batch.skipped} "
            f"were here already. Either {sensor} was restored from an older copy, or lost its spool's memory "
            "(state.json), or two machines use its token: give each its own."
        )
        log.warning("segment number used twice sensor=%s number=%d messages=%d", sensor, number, batch.rows)
        self.ledger.report(sensor, "segment-number-reused", text)


def _spans(batches: Sequence[Batch]) -> list[Taken]:
    """What was taken with them, those together that touch: one from days ago makes nobody look at the days since."""
    spans: list[Taken] = []
    for each in sorted((each for each in batches if each.rows), key=lambda batch: batch.first_ns):
        if spans and each.first_ns <= spans[-1].last_ns + APART_NS:
            before = spans.pop()
            last_ns = max(before.last_ns, each.last_ns)
            spans.append(Taken(before.messages + each.rows, before.first_ns, last_ns))
        else:
            spans.append(Taken(each.rows, each.first_ns, each.last_ns))
    return spans


def _joined(batches: Sequence[Batch]) -> Batch:
    """Batches as one: the engine takes Native blocks one behind the other as one."""
    full = [each for each in batches if each.rows]
    return Batch(
        sum(each.rows for each in full),
        sum(each.skipped for each in batches),
        min((each.first_ns for each in full), default=0),
        max((each.last_ns for each in full), default=0),
        b"".join(each.block for each in full),
    )
