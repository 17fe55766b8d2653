"""Observations to one block for the store: what a worker process does, or the hub itself when there is little to do."""

import itertools
import logging
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from relaytrap.hub.rows import Row, RowSetting, bare_row, make_row
from relaytrap.observation import Observation
from relaytrap.store.native import native_block
from relaytrap.store.schema import NAMES

__all__ = ["Batch", "make_batch"]

log = logging.getLogger(__name__)

RECEIVED: Final = NAMES.index("received_at")
SLICE_ROWS: Final = 4096
"""Rows that are alive at a time: with 16,384 each costs a twentieth more, and 40 MB."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one insert brings, as Native blocks one behind the other, which the engine takes as one.

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
    made = 0
    times: list[int] = []
    blocks: list[bytes] = []
    while slice_of := list(itertools.islice(source, SLICE_ROWS)):
        rows = [_row(seen, setting, stamp) for seen, stamp in slice_of]
        made += len(rows)
        if known:
            rows = [row for row in rows if row[0] not in known]
        if rows:
            times += [row[RECEIVED] for row in rows]
            blocks.append(native_block(rows))
    skipped = made - len(times)
    if not times:
        return Batch(0, skipped, 0, 0, b"")
    return Batch(len(times), skipped, min(times), max(times), b"".join(blocks))


def _row(seen: Observation, setting: RowSetting, ingested_ms: int) -> Row:
    """The row of an observation, whatever happens: a message that our own code fails on is kept with its bytes."""
    try:
        return make_row(seen, setting, ingested_ms)
    except Exception:  # the edge of one unit of work: one message must not cost the batch
        log.exception("message kept unread frame=%d capture=%r", seen.frame, seen.capture)
        return bare_row(seen, ingested_ms)
