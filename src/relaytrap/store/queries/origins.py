"""Questions about origins: where traffic behind relays is inferred to start."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from relaytrap.store.findings_schema import NONE
from relaytrap.store.queries.believed import APPARENT, BELIEVED, PLACED, campaign_of
from relaytrap.store.queries.filter import Place, storage_address
from relaytrap.store.queries.relays import read_notes
from relaytrap.store.queries.shape import COLUMNS_FIRST, moment
from relaytrap.store.queries.shape import address as _address  # a question has an option of that name

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["get_origin", "list_origins"]


def list_origins(store: "Store", where: Place, *, limit: int = 50, offset: int = 0) -> "list[Row]":
    """Addresses behind relays, those with most requests first: address, first_seen, last_seen, messages, relays,
    networks, countries (of the relays that vouch), contradictions, confidence, vouched, associated, direct (requests
    by each way), campaign, country, asn, as_name."""
    network, place, params = where.narrowed_on("key")
    own = (
        f"SELECT {BELIEVED} AS key, sum(openers) AS vouched_, toUInt64(0) AS placed_, min(first) AS f, max(last) AS l "
        "FROM (SELECT *, relay AS source FROM relay_hours FINAL) GROUP BY key"
    )
    placed = (
        "SELECT origin AS key, toUInt64(0) AS vouched_, count() AS placed_, min(at) AS f, max(at) AS l "
        f"FROM ({PLACED}) GROUP BY key"
    )
    page = f"LIMIT {int(limit)} OFFSET {int(offset)}" if limit else ""
    both = (
        "SELECT key, sum(vouched_) AS vouched, sum(placed_) AS placed, min(f) AS first_, max(l) AS last_ "
        f"FROM ({own} UNION ALL {placed}) {network or 'WHERE 1'} AND key != {NONE} GROUP BY key HAVING vouched + "
        "placed > 0"
    )
    sql = (
        f"SELECT {_address('key')} AS address, {moment('first_')} AS first_seen, {moment('last_')} AS last_seen, "
        "vouched + placed AS messages, relays, networks, countries, contradictions, confidence, country, asn, as_name, "
        f"vouched, placed AS associated, {campaign_of('origin', 'key')} AS campaign FROM ({both}) AS b "
        "LEFT JOIN (SELECT * FROM origin_findings FINAL) AS o ON b.key = o.origin "
        # Of one that was never named before nothing is concluded until the update that found it ends.
        f"WHERE (confidence > 0 OR vouched = 0){place}{where.seen(params)} "
        f"ORDER BY vouched + placed DESC, key {page} {COLUMNS_FIRST}"
    )
    rows = store.rows(sql, params)
    direct = _direct(store, [row["address"] for row in rows])
    return [{**row, **direct.get(row["address"], NOT_DIRECT)} for row in rows]


NOT_DIRECT: Final[dict[str, Any]] = {"direct": 0}


def _direct(store: "Store", addresses: Sequence[str]) -> "dict[str, Row]":
    """Requests that came straight from some addresses."""
    if not addresses:
        return {}
    sql = (
        f"SELECT {_address('source')} AS address, sum(openers) AS direct FROM track_hours FINAL WHERE {APPARENT} "
        f"AND source IN {{wanted:Array(IPv6)}} GROUP BY source {COLUMNS_FIRST}"
    )
    rows = store.rows(sql, {"wanted": [storage_address(each) for each in addresses]})
    return {row.pop("address"): row for row in rows}


def get_origin(store: "Store", *, address: str) -> "list[Row]":
    """One origin as in `origins`, with `by_relays`, a row for each relay that it came through: relay, how, requests,
    associated (of them by association), names (addresses that it falsely names), first_seen, last_seen; and with
    `contradicted_by`: the relays among them that name somebody else.

    how: "vouched" when it saw the origin itself and wrote it down, "through" when it handed on the word of a relay
    before it, "association" when neither.
    """
    rows = list_origins(store, Place.of_address(address), limit=1)
    for row in rows:
        params = {"only": storage_address(row["address"])}
        own = (
            f"SELECT relay, {BELIEVED} AS key, openers AS n, first AS f, last AS l, "
            f"if(origin = key AND inner = {NONE}, 'vouched', 'through') AS way "
            "FROM (SELECT *, relay AS source FROM relay_hours FINAL)"
        )
        placed = (
            f"SELECT source AS relay, origin AS key, 1 AS n, at AS f, at AS l, 'association' AS way FROM ({PLACED})"
        )
        sql = (
            f"SELECT {_address('relay')} AS relay, multiIf(countIf(way = 'vouched' AND n > 0) > 0, 'vouched', "
            "countIf(way = 'through' AND n > 0) > 0, 'through', 'association') AS how, sum(n) AS requests, "
            "sumIf(n, way = 'association') AS associated, "
            f"{moment('min(f)')} AS first_seen, {moment('max(l)')} AS last_seen "
            f"FROM ({own} UNION ALL {placed}) WHERE key = {{only:IPv6}} "
            "GROUP BY relay HAVING requests > 0 ORDER BY requests DESC, relay LIMIT 1000"
        )
        lying = read_notes(store)["lying"]
        row["by_relays"] = [{**each, "names": lying.get(each["relay"], [])} for each in store.rows(sql, params)]
        row["contradicted_by"] = [each["relay"] for each in row["by_relays"] if each["names"]]
    return rows
