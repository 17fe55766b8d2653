"""What a report tells: rows of the catalogue's questions, asked once each. No words, no pictures, nothing worked out.

Whoever makes a report says how questions are asked, so that it can be made where the store is and where only a hub's
API is. Facts are plain JSON.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from relaytrap import __version__
from relaytrap.clock import rfc3339
from relaytrap.hub.rows import RULES_VERSION
from relaytrap.store.queries.subject import find_known
from relaytrap.web.biggest import biggest_campaign, was_seen
from relaytrap.web.window import Window, steps_over

__all__ = ["FORMAT", "Ask", "Facts", "Tell", "ask_subject", "ask_whole", "end_of", "head_of"]

FORMAT: Final = 1
"""Counts up when a field of the facts changes its meaning or goes; new fields come without notice."""

Row = dict[str, Any]
Facts = dict[str, Any]
Ask = Callable[[str, Mapping[str, Any]], Iterable[Row]]
Tell = Callable[[str], None]
"""Is told, in a few words, what is being asked now."""

FACETS: Final = ("tool", "method", "network", "user_agent", "sensor", "dialled_country", "dialled_core", "verdict")
SOURCE_FACETS: Final = ("method", "tool", "user_agent", "sensor", "verdict", "dialled_core")
LEADERS: Final = 12
LISTED: Final = 25
FINDINGS: Final = 2000
"""Of relays, origins and campaigns the latest; what was seen in the span is chosen among them."""

CAMPAIGNS_TOLD: Final = 3
ORIGINS_TOLD: Final = 5
WITNESSES_QUOTED: Final = 3
POINTS: Final = 3000
MESSAGES_QUOTED: Final = 3
LOOKED_AT: Final = 8
CONVERSATION: Final = 60
MINUTE_S: Final = 60


def head_of(about: str, what: str, made_at_ns: int) -> Facts:
    """What every report says of itself."""
    return {
        "format": FORMAT,
        "about": about,
        "what": what,
        "made_at": rfc3339(made_at_ns),
        "version": __version__,
        "rules_version": RULES_VERSION,
    }


def end_of(facts: Mapping[str, Any]) -> str:
    """Until when messages can be in a report: a window ends with a full hour, which may not be over."""
    made_at = str(facts["made_at"])
    return min(str(facts.get("until") or made_at), made_at)


def ask_whole(ask: Ask, window: Window, tell: Tell) -> Facts:
    """Facts of everything in a window."""

    def asked(name: str, **given: Any) -> list[Row]:
        return list(ask(name, given))

    where = {} if window.name == "all" else {"since": _moment(window.since), "until": _moment(window.until)}
    tell("countries, networks, tools")
    leaders: dict[str, list[Row]] = {name: [] for name in FACETS}
    for row in asked("leaders", **where, facets=",".join(FACETS), limit=LEADERS):
        leaders[row["facet"]].append(row)
    facts: Facts = {
        "since": _moment(window.since),
        "until": _moment(window.until),
        "span": asked("span")[0],
        "totals": asked("totals", **where)[0],
        "timeline": asked("timeline", **where, step_s=window.step_s),
        "countries": asked("countries", **where),
        "networks": asked("networks", **where, limit=LISTED),
        "leaders": leaders,
        "sources": asked("leading_sources", **where, limit=LEADERS),
        "numbers": asked("numbers", **where, limit=LISTED),
        "sensors": asked("sensors", **where),
        "unread": asked("count", **where, kind="unparsed", direction="in")[0],
    }
    tell("relays and origins")
    facts["relays"] = _seen(asked("relays", limit=FINDINGS, sort="last_seen"), window)
    facts["relays_by_time"] = asked("relays_by_time", **where, step_s=window.step_s)
    facts["origins"] = _seen(asked("origins", limit=FINDINGS), window)
    told = facts["origins"][:ORIGINS_TOLD]
    facts["origins_told"] = [_origin(asked, row["address"]) for row in told]
    tell("campaigns")
    facts["campaigns"] = _seen(asked("campaigns", limit=FINDINGS, sort="last_seen"), window)
    behind_relays = [row for row in facts["campaigns"] if row["relays"]]
    chosen = (behind_relays + [row for row in facts["campaigns"] if not row["relays"]])[:CAMPAIGNS_TOLD]
    facts["campaigns_told"] = [_campaign(asked, row["id"]) for row in chosen]
    biggest = biggest_campaign(asked, window, relayed=True) or biggest_campaign(asked, window, relayed=False)
    hidden = biggest["origin"] if biggest and biggest["relays"] else None
    facts["biggest"] = biggest
    facts["behind"] = asked("origins", network=hidden) if hidden else []
    return facts


def ask_subject(ask: Ask, what: str, tell: Tell) -> Facts:
    """Facts of whatever an identifier or address means: the fields source, relay, origin, campaign and message, those
    of them that are known; {} when nothing is."""

    def asked(name: str, **given: Any) -> list[Row]:
        return list(ask(name, given))

    tell(what)
    facts: Facts = {}
    for kind, row in find_known(ask, what).items():
        tell(f"{kind} {what}")
        facts[kind] = _ASKED[kind](asked, row)
    if "relay" in facts and "source" in facts:
        facts["source"]["quoted"] = []  # what it handed on is quoted there already
    return facts


def _seen(rows: list[Row], window: Window) -> list[Row]:
    """Findings that were seen in a window, the busiest first."""
    return sorted((row for row in rows if was_seen(row, window)), key=lambda row: -int(row["messages"]))


def _moment(moment_ns: int | None) -> str | None:
    return None if moment_ns is None else rfc3339(moment_ns)


Asked = Callable[..., list[Row]]


def _quoted(asked: Asked, limit: int, **where: Any) -> list[Row]:
    """The newest requests with their octets; those that open something before ACK, CANCEL and repetitions."""
    rows = asked("messages", **where, kind="request", limit=limit * LOOKED_AT, with_raw=True)
    return [_sealed(row) for row in sorted(rows, key=lambda row: not row["opener"])[:limit]]


def _sealed(row: Row) -> Row:
    """A message with the digest by which whoever is given the capture recognises it."""
    return row | {"sha256": hashlib.sha256(base64.b64decode(row["raw"])).hexdigest()}


def _campaign(asked: Asked, id: str) -> Facts:
    row = asked("campaign", id=id)[0]
    return _campaign_of(asked, row)


def _campaign_of(asked: Asked, row: Row) -> Facts:
    return {
        "row": row,
        "sweep": asked("sweep", id=row["id"], limit=POINTS),
        "fan": asked("fan", id=row["id"]) if row["relays"] else [],
        "relay_hours": asked("relay_hours", id=row["id"]) if row["relays"] else [],
        "quoted": _quoted(asked, 1, campaign=row["id"]),
    }


def _origin(asked: Asked, address: str) -> Facts:
    return _origin_of(asked, asked("origin", address=address)[0])


def _origin_of(asked: Asked, row: Row) -> Facts:
    """An origin with one request of each of the first relays that wrote it down: independent witnesses."""
    witnesses = [each["relay"] for each in row["by_relays"] if each["how"] == "vouched"][:WITNESSES_QUOTED]
    quoted = [found for relay in witnesses for found in _quoted(asked, 1, relay=relay, origin=row["address"])]
    return {
        "row": row,
        "fan": asked("fan", id=row["campaign"]),
        "quoted": quoted or _quoted(asked, 1, campaign=row["campaign"]),
    }


def _relay_of(asked: Asked, row: Row) -> Facts:
    steps, step_s = steps_over(row["first_seen"], row["last_seen"], MINUTE_S)
    return {
        "row": row,
        "steps": steps,
        "step_s": step_s,
        "timeline": asked("timeline", source=row["address"], facet="verdict", step_s=step_s),
        "quoted": _quoted(asked, MESSAGES_QUOTED, relay=row["address"]),
    }


def _source_of(asked: Asked, row: Row) -> Facts:
    steps, step_s = steps_over(row["first_seen"], row["last_seen"], MINUTE_S)
    leaders: dict[str, list[Row]] = {name: [] for name in SOURCE_FACETS}
    for found in asked("leaders", source=row["address"], facets=",".join(SOURCE_FACETS), limit=LEADERS):
        leaders[found["facet"]].append(found)
    return {
        "row": row,
        "steps": steps,
        "step_s": step_s,
        "timeline": asked("timeline", source=row["address"], step_s=step_s),
        "leaders": leaders,
        "quoted": _quoted(asked, MESSAGES_QUOTED, source=row["address"]),
    }


def _message_of(asked: Asked, row: Row) -> Facts:
    return {"row": _sealed(row), "conversation": asked("conversation", id=row["id"], limit=CONVERSATION)}


_ASKED: Final[Mapping[str, Callable[[Asked, Row], Facts]]] = {
    "source": _source_of,
    "relay": _relay_of,
    "origin": _origin_of,
    "campaign": _campaign_of,
    "message": _message_of,
}
