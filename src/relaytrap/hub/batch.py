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


@dataclass(frozen=True, slots=True)
class Batch:
    """One block and what is in it.

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
    """One block of rows. ingested_ms: one for all, or one for each. known: identifiers that the store has already."""
    stamps = itertools.repeat(ingested_ms) if isinstance(ingested_ms, int) else ingested_ms
    made = [_row(seen, setting, stamp) for seen, stamp in zip(observations, stamps, strict=False)]
    rows = [row for row in made if row[0] not in known] if known else made
    if not rows:
        return Batch(0, len(made), 0, 0, b"")
    times = [row[RECEIVED] for row in rows]
    return Batch(len(rows), len(made) - len(rows), min(times), max(times), native_block(rows))


def _row(seen: Observation, setting: RowSetting, ingested_ms: int) -> Row:
    """The row of an observation, whatever happens: a message that our own code fails on is kept with its bytes."""
    try:
        return make_row(seen, setting, ingested_ms)
    except Exception:  # the edge of one unit of work: one message must not cost the batch
        log.exception("message kept unread frame=%d capture=%r", seen.frame, seen.capture)
        return bare_row(seen, ingested_ms)
