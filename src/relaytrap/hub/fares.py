"""How a sensor fares, by its last heartbeat: every value looked at, because it came over the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from relaytrap.clock import parse_rfc3339

__all__ = ["Fares", "find_number", "find_text"]

WORD_MAX: Final = 120
PLACES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Fares:
    """What a heartbeat said; "" and None for what it did not say (older sensors say less).

    listen: `transport:address:port`. last_message: RFC 3339. waiting: segments that the hub has not taken yet, and
    spool_bytes their size. kept_bytes: what is kept though the hub has it. lost: messages that are gone for good.
    missed: packets of an interface that a sensor which only reads was too slow for.
    trust: how it recognises the hub: `pinned` and a fingerprint, `authority`, or `loopback`.
    """

    version: str
    persona: str
    listen: tuple[str, ...]
    last_message: str
    a_minute: int | None
    waiting: int | None
    spool_bytes: int | None
    kept_bytes: int | None
    lost: int
    missed: int
    trust: str

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> "Fares":
        """From a heartbeat."""
        places = status.get("listen")
        known = [place[:WORD_MAX] for place in places if isinstance(place, str)] if isinstance(places, list) else []
        dropped = find_number(status, "spool", "dropped_observations") or 0
        return cls(
            find_text(status, "version"),
            find_text(status, "persona"),
            tuple(known[:PLACES_MAX]),
            _moment(find_text(status, "last_message")),
            find_number(status, "messages_a_minute"),
            find_number(status, "spool", "waiting_segments"),
            find_number(status, "spool", "bytes"),
            find_number(status, "spool", "kept_bytes"),
            dropped + (find_number(status, "spool", "lost_observations") or 0),
            find_number(status, "packets", "dropped") or 0,
            find_text(status, "hub_trust"),
        )


def find_number(status: Mapping[str, Any], *path: str) -> int | None:
    """A whole number of a sane size; None for anything else."""
    value = _value(status, *path)
    return value if isinstance(value, int) and abs(value) < 1 << 62 else None


def find_text(status: Mapping[str, Any], *path: str) -> str:
    """Text, cut when it is long; "" for anything else."""
    value = _value(status, *path)
    return value[:WORD_MAX] if isinstance(value, str) else ""


def _moment(text: str) -> str:
    try:
        parse_rfc3339(text)
    except ValueError:
        return ""
    return text


def _value(status: Mapping[str, Any], *path: str) -> Any:
    value: Any = status
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
