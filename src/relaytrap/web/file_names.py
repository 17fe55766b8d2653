"""Names of files that are made of what somebody else wrote."""

import re

__all__ = ["safe_name"]


def safe_name(text: str) -> str:
    """A file name of letters, digits, dots and dashes: no path, no quote, no line end, not long, never hidden."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:80] or "relaytrap"
