"""`jsonl`: one JSON object a line, for programs."""

import json
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from relaytrap.evidence.indicator import Indicator
from relaytrap.feeds.feed import Feed

__all__ = ["FIELDS", "write"]

# Name of a field → what it is of an indicator.
FIELDS: Final[dict[str, Callable[[Indicator], Any]]] = {
    "address": attrgetter("address"),
    "roles": attrgetter("roles"),
    "victim": attrgetter("is_victim"),
    "confidence": attrgetter("confidence"),
    "first_seen": attrgetter("first_seen"),
    "last_seen": attrgetter("last_seen"),
    "expires": attrgetter("expires"),
    "requests": attrgetter("requests"),
    "relays": attrgetter("relays"),
    "goals": attrgetter("goals"),
    "tools": attrgetter("tools"),
    "country": attrgetter("country"),
    "asn": attrgetter("asn"),
    "as_name": attrgetter("as_name"),
    "campaigns": attrgetter("campaigns"),
    "reasons": attrgetter("reasons"),
}


def write(feed: Feed) -> bytes:
    """ASCII only, so that no terminal takes an escape sequence or a direction mark from it."""
    rows = ({name: of(each) for name, of in FIELDS.items()} for each in feed.indicators)
    return "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()
