"""The join from messages to what was found over sets: campaign, and the origin that is believed in the end.

A message's own bytes give a verdict and perhaps an origin (columns). Conclusions over sets may say otherwise: what
looked direct came through a host that makes requests anew; a relay's word is not believed; what was hidden fits into a
campaign. They are few, or asked for by the message's identifier, so a page of messages costs three small queries.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from relaytrap.evidence.campaign import campaign_id
from relaytrap.evidence.origin import Settled
from relaytrap.evidence.path import inner_of
from relaytrap.store.findings_schema import NONE
from relaytrap.store.queries.believed import PLACED_AT
from relaytrap.store.queries.filter import storage_address
from relaytrap.store.queries.shape import COLUMNS_FIRST, address, hex_id

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["attach_campaigns"]

NO_TRACK: Final = "0" * 16
NO_STACK: Final = "0" * 16


@dataclass(slots=True)
class _Known:
    """Conclusions of one version."""

    version: int = -1
    settled: Settled = field(default_factory=Settled)


_KNOWN: "WeakKeyDictionary[Store, _Known]" = WeakKeyDictionary()


def attach_campaigns(store: "Store", rows: "list[Row]") -> None:
    """Give each row `campaign` (id or null), `association` (whether the campaign or origin was found so) and
    `association_why`, and set path_verdict, relay, origin and origin_confidence to what is believed, in place.

    Rows need the columns of list_messages.
    """
    settled = _settled(store)
    guests = [row for row in rows if _believe(row, settled)]
    places = _places(store, [int(row["id"], 16) for row in guests]) if guests else {}
    for row in guests:
        _place(row, places.get(row["id"]))
    scores = _scores(store, {row["origin"] for row in rows if row["origin"] is not None})
    for row in rows:
        best = scores.get(row["origin"]) if row["origin"] is not None else 0
        if row.pop("odds") is None:
            row["origin_confidence"] = row["origin_confidence"] if best is None else best
        elif best:
            row["origin_confidence"] = min(row["origin_confidence"], best)


def _believe(row: "Row", settled: Settled) -> bool:
    """Set what is believed of a row; gives whether it is a guest, to be looked up among the placements."""
    row |= {"campaign": None, "association": False, "association_why": "", "odds": None}
    if row["track"] == NO_TRACK:
        return False
    verdict = row["path_verdict"]
    if verdict == "direct" and row["stack"] == NO_STACK and row["source"] in settled.hosts:
        row["path_verdict"] = "unknown"  # an ACK or BYE: its own, or for whom it hides
        return False
    if verdict in ("direct", "forged"):
        if verdict == "forged" or (row["source"], int(row["stack"], 16)) not in settled.hiding:
            row["campaign"] = campaign_id("origin", row["source"])
            return False
        row |= {"path_verdict": "hidden", "relay": row["source"], "association": True}
        row["campaign"] = campaign_id("behind", row["source"])
        return True
    if verdict == "relayed" and row["origin"] is not None:
        said = _believed(row, settled)
        row["campaign"] = campaign_id("origin", said) if said else campaign_id("behind", row["source"])
        if said != row["origin"]:
            is_set_aside = row["origin"] in settled.lies
            row |= {"origin": said or None, "association": bool(said)}
            return is_set_aside
        return False
    row["campaign"] = campaign_id("behind", row["source"])
    return verdict in ("hidden", "relayed")


def _believed(row: "Row", settled: Settled) -> str:
    deeper = row["claim"] or "" if row["via_count"] > len(row["chain"]) + 2 else ""
    return settled.believed(row["origin"], inner_of(row["chain"]), deeper)


def _place(row: "Row", place: "Row | None") -> None:
    if place is None or place["origin"] is None:
        return
    inferred = place["inferred"]
    row |= {
        "origin": place["origin"],
        "origin_confidence": min(60 + inferred, 90) if inferred else min(40 + int(10 * place["odds"]), 90),
        "campaign": campaign_id("origin", place["origin"]),
        "association": True,
        "association_why": place["why"],
        "odds": place["odds"],
    }


def _settled(store: "Store") -> Settled:
    """Conclusions, read again when there are newer ones."""
    known = _KNOWN.setdefault(store, _Known())
    version = store.row("SELECT max(version) AS version FROM conclusions")["version"]
    if version != known.version:
        settled = Settled()
        sql = "SELECT kind, one, other, said, confidence FROM conclusions WHERE version = {version:UInt64}"
        for row in store.rows(sql, {"version": version}):
            _add(settled, row)
        _KNOWN[store] = known = _Known(version, settled)
    return known.settled


def _add(settled: Settled, row: "Row") -> None:
    one, other = row["one"], row["other"]
    match row["kind"]:
        case "hiding":
            settled.hiding[one, int(other)] = row["confidence"]
            settled.hosts.add(one)
        case "lying" | "fronting":
            settled.lies.add(other)
        case "doubted":
            settled.doubts.add(other)
        case "chained":
            settled.chained[one, other] = row["said"]
        case "behind":
            settled.behind[one, other] = row["said"]


def _places(store: "Store", ids: list[int]) -> "dict[str, Row]":
    sql = (
        f"SELECT {hex_id('id')} AS id, if({PLACED_AT} = {NONE}, NULL, {address('origin')}) AS origin, odds, why, "
        "inferred "
        f"FROM placements FINAL WHERE id IN {{ids:Array(UInt64)}} {COLUMNS_FIRST}"
    )
    return {row["id"]: row for row in store.rows(sql, {"ids": ids})}


def _scores(store: "Store", origins: Iterable[str]) -> dict[str, int]:
    wanted = [storage_address(each) for each in sorted(origins)]
    if not wanted:
        return {}
    sql = (
        f"SELECT {address('origin')} AS origin, confidence FROM origin_findings FINAL "
        f"WHERE origin IN {{wanted:Array(IPv6)}} {COLUMNS_FIRST}"
    )
    return {row["origin"]: row["confidence"] for row in store.rows(sql, {"wanted": wanted})}
