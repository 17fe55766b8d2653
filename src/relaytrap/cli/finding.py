"""One thing that the doctor looked at."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How it stands, and what to do when it does not stand well."""

    check: str
    state: Literal["good", "note", "wrong"]
    text: str
