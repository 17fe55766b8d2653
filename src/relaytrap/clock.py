"""The one place that reads the clock, and the two forms that time takes: nanoseconds inside, RFC 3339 outside."""

import time
from datetime import UTC, datetime

__all__ = ["monotonic", "now_ns", "parse_rfc3339", "rfc3339"]

NS_PER_S = 1_000_000_000


def now_ns() -> int:
    """Nanoseconds since the epoch, UTC."""
    return time.time_ns()


def monotonic() -> float:
    """Seconds on a clock that never steps; only differences mean anything."""
    return time.monotonic()


def rfc3339(moment_ns: int) -> str:
    """A moment as RFC 3339 text in UTC with nine decimals, such as `2026-01-02T03:04:05.000000006Z`."""
    seconds, fraction = divmod(moment_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch of RFC 3339 text with up to nine decimals.

    Raises ValueError for text without a zone or of another form.
    """
    head, dot, rest = text.partition(".")
    digits = ""
    if dot:
        while rest and rest[0].isdigit():
            digits, rest = digits + rest[0], rest[1:]
        if not digits or len(digits) > 9:
            raise ValueError(f"not an RFC 3339 time: {text!r}")
        head += rest
    moment = datetime.fromisoformat(head)
    if moment.tzinfo is None:
        raise ValueError(f"an RFC 3339 time names its zone: {text!r}")
    return int(moment.timestamp()) * NS_PER_S + int(digits.ljust(9, "0") or 0)
