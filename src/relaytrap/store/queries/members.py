"""What makes one campaign up: its tracks, and its placements.

Whom a track belongs to follows from conclusions over everything, which takes longer to work out than what is then
asked of the campaign's own rows. So it is worked out once for all that a page asks of a campaign, unless the campaign
is so large that its list would be the burden.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from relaytrap.store.findings_schema import NONE
from relaytrap.store.queries.believed import APPARENT, BEHIND, BELIEVED, CAMPAIGN, PLACED, SETTLED_HOURS, SETTLED_PLACES
from relaytrap.store.queries.filter import storage_address

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["NO_PLACES", "Members", "find_campaign", "remember_owner"]

LISTED_MAX: Final = 10_000
"""Tracks, and placements, that are looked up once; more are looked up by each question."""
REMEMBERED: Final = 8

# Tracks and placements of the campaign under {key:IPv6}: an origin's, or what stands behind a relay.
TRACKS: Final = {
    "origin": (
        f"SELECT track FROM track_hours FINAL WHERE if({APPARENT}, source, {BELIEVED}) = {{key:IPv6}} GROUP BY track"
    ),
    "behind": f"SELECT track FROM track_hours FINAL WHERE {BEHIND} AND source = {{key:IPv6}} GROUP BY track",
}
PLACES: Final = {
    "origin": f"SELECT * FROM ({PLACED}) WHERE origin = {{key:IPv6}}",
    "behind": f"SELECT * FROM ({PLACED}) WHERE origin = {NONE} AND source = {{key:IPv6}}",
}
NO_PLACES: Final = "SELECT * FROM placements WHERE 0"


def find_campaign(store: "Store", id: str) -> tuple[str, str] | None:
    """Whose campaign has an identifier: base and address as stored; None for nobody's."""
    if known := _OWNERS.get(id):
        return known
    sql = (
        f"SELECT base, toString(key) AS key FROM (SELECT base, key FROM ({SETTLED_HOURS}) WHERE openers > 0 GROUP BY "
        f"base, key UNION DISTINCT SELECT base, key FROM ({SETTLED_PLACES}) GROUP BY base, key) "
        f"WHERE {CAMPAIGN} = {{id:String}} LIMIT 1 SETTINGS prefer_column_name_to_alias = 1"
    )
    return next(((row["base"], row["key"]) for row in store.rows(sql, {"id": id})), None)


# Identifiers of campaigns that were told → whose they are, which never changes.
_OWNERS: dict[str, tuple[str, str]] = {}
OWNERS_MAX: Final = 1 << 14


def remember_owner(row: "Row") -> None:
    """Spare the next question about the campaign of a row of list_campaigns the search for its identifier."""
    if len(_OWNERS) >= OWNERS_MAX:
        _OWNERS.clear()
    _OWNERS[row["id"]] = _owner(row)


def _owner(row: "Row") -> tuple[str, str]:
    return "origin" if row["origin"] else "behind", storage_address(row["origin"] or row["behind"])


class Members(NamedTuple):
    """SQL for a campaign's tracks (a set) and for its placements (a SELECT), and the parameters of both."""

    tracks: str
    places: str
    params: dict[str, Any]

    @classmethod
    def of(cls, store: "Store", row: "Row") -> "Members":
        """Those of a row of list_campaigns."""
        found = _RECENT.get(store, {}).get(_known_by(row))
        if found is None:
            base, key = _owner(row)
            # The engine goes through all placements to find a campaign's, which is spared where there are none.
            is_placed = base == "behind" or row["associated"] > 0
            found = cls.read(store, base, key, is_placed=is_placed)
            found.remember(store, row)
        return found

    @classmethod
    def read(cls, store: "Store", base: str, key: str, *, is_placed: bool = True) -> "Members":
        """Those of the campaign of an address, as stored. is_placed: whether it can have placements."""
        params: dict[str, Any] = {"base": base, "key": key}
        tracks, places = f"({TRACKS[base]})", PLACES[base] if is_placed else NO_PLACES
        listed = _listed(store, "track", tracks, params)
        if len(listed) <= LISTED_MAX:
            tracks, params["tracks"] = "{tracks:Array(UInt64)}", listed
        listed = _listed(store, "id", f"({places})", params) if is_placed else []
        if not listed:
            places = NO_PLACES
        elif len(listed) <= LISTED_MAX:
            places, params["places"] = "SELECT * FROM placements FINAL WHERE id IN {places:Array(UInt64)}", listed
        return cls(tracks, places, params)

    def remember(self, store: "Store", row: "Row") -> None:
        """Have `of` give these for a row, until others were asked for."""
        held = list(_RECENT.get(store, {}).items())
        _RECENT[store] = dict([*held[1 - REMEMBERED :], (_known_by(row), self)])

    @property
    def hours(self) -> str:
        """SELECT of what the tracks did, as believed.SETTLED_HOURS."""
        return (
            f"SELECT *, {APPARENT} AS apparent, {{base:String}} AS base, {{key:IPv6}} AS key "
            f"FROM track_hours FINAL WHERE track IN {self.tracks}"
        )

    @property
    def settled_places(self) -> str:
        """SELECT of the placements, as believed.SETTLED_PLACES."""
        return f"SELECT *, {{base:String}} AS base, {{key:IPv6}} AS key FROM ({self.places})"


_RECENT: "WeakKeyDictionary[Store, dict[tuple[Any, ...], Members]]" = WeakKeyDictionary()
# Columns of list_campaigns that change with whatever joins a campaign or leaves it.
KNOWN_BY: Final = ("id", "messages", "vouched", "associated", "direct", "first_seen", "last_seen")


def _known_by(row: "Row") -> tuple[Any, ...]:
    return tuple(row[name] for name in KNOWN_BY)


def _listed(store: "Store", column: str, rows: str, params: dict[str, Any]) -> list[int]:
    sql = f"SELECT {column} FROM {rows} LIMIT {LISTED_MAX + 1}"
    return [row[column] for row in store.rows(sql, params)]
