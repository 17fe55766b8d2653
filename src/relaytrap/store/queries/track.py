"""The join from messages to what the analysis over sets says of them, by the messages' track."""

from typing import TYPE_CHECKING

from relaytrap.store.queries.shape import COLUMNS_FIRST, address_or_null, hex_id

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["attach_campaigns"]

NO_TRACK = "0" * 16


def attach_campaigns(store: "Store", rows: "list[Row]") -> None:
    """Give each row `campaign` (id or null) and `association` ("direct", "association" or null), in place.

    A row whose own bytes name no origin takes the one that its track has by association.
    """
    tracks = sorted({int(row["track"], 16) for row in rows if row["track"] != NO_TRACK})
    said = _said_of(store, tracks) if tracks else {}
    for row in rows:
        found = said.get(row["track"])
        row["campaign"] = found["campaign"] or None if found else None
        row["association"] = found["association"] or None if found else None
        if found and row["origin"] is None and found["origin"] is not None:
            row["origin"], row["origin_confidence"] = found["origin"], found["origin_confidence"]


def _said_of(store: "Store", tracks: list[int]) -> "dict[str, Row]":
    sql = (
        f"SELECT {hex_id('track')} AS track, campaign, association, {address_or_null('origin')} AS origin, "
        f"origin_confidence FROM tracks FINAL WHERE track IN {{tracks:Array(UInt64)}} {COLUMNS_FIRST}"
    )
    return {row["track"]: row for row in store.rows(sql, {"tracks": tracks})}
