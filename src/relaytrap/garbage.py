"""How often a process looks for reference cycles."""

import gc

__all__ = ["spare_collections"]

YOUNG, MIDDLE, OLD = 100_000, 30, 100


def spare_collections() -> None:
    """Look for reference cycles seldom; called when a process has loaded what it keeps, and begins its work.

    Messages, rows and findings hold hardly any, and what is kept is slow to search: with Python's own thresholds half
    the time of a sensor's request under load went into that, a tenth of a worker's row and a fifth of an association.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
