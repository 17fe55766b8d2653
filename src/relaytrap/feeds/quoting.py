"""Comments for programs that know no escape: whatever they might take for syntax is not written at all."""

import re
from typing import Final

__all__ = ["comment"]

SYNTAX: Final = re.compile(r"[^A-Za-z0-9 .,:()_+-]+")


def comment(text: str, limit: int) -> str:
    """Text of letters, digits and harmless marks only, at most so many characters."""
    return SYNTAX.sub(" ", text.replace(";", ","))[:limit].strip()
