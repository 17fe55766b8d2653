"""`misp`: an event of MISP as JSON, by MISP's own library (`relaytrap[misp]`).

An attacker is an `ip-src` attribute for detection. A relay is one too, but for information only (`to_ids` is false) and
says that it is a victim. Identifiers follow from what they name: an event that is read again replaces itself.
"""

import uuid
from datetime import datetime
from typing import Final

from relaytrap.errors import MissingExtra
from relaytrap.evidence.indicator import Indicator
from relaytrap.feeds.feed import Feed
from relaytrap.sip.text import visible

__all__ = ["write"]

NAMESPACE: Final = uuid.UUID("6d0c5d1e-0f53-5c3b-9d0e-5b7f0d6f0a51")
COMMENT_CHARS: Final = 1000
ANALYSIS_COMPLETED: Final = 2
THREAT_LOW: Final = 3
OWN_ORGANISATION_ONLY: Final = 0


def write(feed: Feed) -> bytes:
    """One event with an attribute for each address. Raises MissingExtra without the library."""
    try:
        from pymisp import MISPEvent
    except ModuleNotFoundError:
        raise MissingExtra("MISP needs the package pymisp; install relaytrap[misp]") from None
    event = MISPEvent()
    event.from_dict(
        uuid=str(uuid.uuid5(NAMESPACE, f"event {feed.name}")),
        info=f"Relaytrap: {feed.title}",
        date=feed.newest[:10] or "1970-01-01",
        analysis=ANALYSIS_COMPLETED,
        threat_level_id=THREAT_LOW,
        distribution=OWN_ORGANISATION_ONLY,
    )
    for each in feed.indicators:
        event.add_attribute(
            "ip-src",
            each.address,
            uuid=str(uuid.uuid5(NAMESPACE, f"attribute {feed.name} {each.address}")),
            category="Network activity",
            to_ids=not each.is_victim,
            comment=_comment(each),
            first_seen=each.first_seen,
            last_seen=each.last_seen,
            timestamp=_seconds(each.last_seen),
        )
    return f'{{"Event": {event.to_json(sort_keys=True)}}}\n'.encode()


def _comment(each: Indicator) -> str:
    tools = f"; tools: {', '.join(each.tools)}" if each.tools else ""
    return visible(f"{each.why}{tools}")[:COMMENT_CHARS]


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())
