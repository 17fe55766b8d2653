"""The one place that reads the clock, and the two forms that time takes: nanoseconds inside, RFC 3339 outside."""

import re
import time
from datetime import UTC, datetime

__all__ = ["NS_PER_S", "monotonic", "now_ns", "parse_rfc3339", "rfc3339"]

NS_PER_S = 1_000_000_000
RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""RFC 3339 section 5.6, with the space that it allows for the eye."""


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
    found = RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"not an RFC 3339 time with its zone: {text!r}")
    head, digits, zone = found.groups("")
    return int(datetime.fromisoformat((head + zone).upper()).timestamp()) * NS_PER_S + int(digits.ljust(9, "0"))
