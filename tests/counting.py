"""Work counted in calls, which are the same on every machine: tests time nothing."""

import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["count_calls"]


def count_calls(work: Callable[[], object]) -> int:
    """Calls of Python and built-in functions that some work makes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls
