"""Observations to one block for the store: what a worker process does, or the hub itself when there is little to do."""

import itertools
import logging
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from relaytrap.hub.columns import message_id
from relaytrap.hub.rows import Row, RowSetting, bare_row, make_rows
from relaytrap.observation import Observation
from relaytrap.store.native import NativeBlock
from relaytrap.store.schema import NAMES

__all__ = ["Batch", "make_batch"]

log = logging.getLogger(__name__)

RECEIVED: Final = NAMES.index("received_at")
STEP_ROWS: Final = 128
"""Messages that go through each step together (see make_rows); with 8 each costs half more, with 2048 a third."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one insert brings, as one Native block.

    rows: rows in the block. skipped: observations left out because their identifier was known. first_ns, last_ns: the
    span of received_at, 0 without rows.
    """

    rows: int
    skipped: int
    first_ns: int
    last_ns: int
    block: bytes


def make_batch(
    observations: Iterable[Observation],
    setting: RowSetting,
    ingested_ms: int | Sequence[int],
    *,
    known: Set[int] = frozenset(),
) -> Batch:
    """The rows of observations, for one insert.

    ingested_ms: one for all, or one for each. known: identifiers that the store has already.
    """
    stamps = itertools.repeat(ingested_ms) if isinstance(ingested_ms, int) else ingested_ms
    source = zip(observations, stamps, strict=False)
    skipped = 0
    times: list[int] = []
    block = NativeBlock()
    while step := list(itertools.islice(source, STEP_ROWS)):
        if known:
            fresh = [(seen, stamp) for seen, stamp in step if message_id(seen) not in known]
            skipped += len(step) - len(fresh)
            step = fresh
        if step:
            rows = _rows([seen for seen, _ in step], [stamp for _, stamp in step], setting)
            times += [row[RECEIVED] for row in rows]
            block.add(rows)
    if not times:
        return Batch(0, skipped, 0, 0, b"")
    return Batch(len(times), skipped, min(times), max(times), block.made())


def _rows(seen: Sequence[Observation], ingested_ms: Sequence[int], setting: RowSetting) -> list[Row]:
    """The rows of observations, whatever happens: a message that our own code fails on is kept with its bytes."""
    try:
        return make_rows(seen, setting, ingested_ms)
    except Exception:  # the edge of one unit of work: one message must not cost the batch
        if len(seen) > 1:
            return [_rows((one,), (stamp,), setting)[0] for one, stamp in zip(seen, ingested_ms, strict=True)]
        log.exception("message kept unread frame=%d capture=%r", seen[0].frame, seen[0].capture)
        return [bare_row(seen[0], ingested_ms[0])]
