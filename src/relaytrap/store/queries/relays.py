"""Questions about relays: hosts that forwarded for others."""

from typing import TYPE_CHECKING, Final

from relaytrap.errors import InputError
from relaytrap.evidence.product import product_of, relay_kind
from relaytrap.store.findings_schema import NONE
from relaytrap.store.queries.believed import (
    BELIEVED,
    FRONTING,
    HIDDEN_DIRECT,
    INNER,
    NEWEST,
    PLACED,
    campaign_of,
)
from relaytrap.store.queries.filter import Place, storage_address
from relaytrap.store.queries.shape import COLUMNS_FIRST, moment
from relaytrap.store.queries.shape import address as _address  # a question has an option of that name

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["get_relay", "list_relays", "read_notes"]

# Whoever may be a relay behind another: the hops of a chain, else whom that one names.
BEHIND_IT: Final = (
    f"multiIf(inner = {NONE}, [origin], empty(hops), [inner], arrayMap(hop -> toIPv6OrDefault(hop), hops))"
)
# What is not known of a relay from messages that it did not hand to us itself.
UNTOLD: Final = (
    "toUInt8(0) AS confidence, CAST(map(), 'Map(LowCardinality(String), UInt64)') AS kinds, toUInt64(0) AS genuine, "
    "toUInt64(0) AS claims, toUInt64(0) AS masks"
)
NOWHERE: Final = "'' AS country, toUInt32(0) AS asn, '' AS as_name"
# What each hour says of those who handed its messages to us. `key` is the origin that is believed, :: for none.
HANDED_ON: Final = (
    f"SELECT relay, verdict, {BELIEVED} AS key, messages, openers, first, last, confidence, kinds, genuine, claims, "
    "masks, agents, transports, country, asn, as_name FROM (SELECT *, relay AS source FROM relay_hours FINAL)"
)
# Every relay with all that says something of it: also apparently direct hours of a host that hides ("b2bua"), hops
# behind other relays ("inner"), and requests that were placed ("placed", which count among the others already).
RELAY_PARTS: Final = (
    f"{HANDED_ON} UNION ALL "
    f"SELECT source AS relay, 'b2bua' AS verdict, {NONE} AS key, messages, openers, first, last, {UNTOLD}, agents, "
    f"transports, country, asn, as_name FROM track_hours FINAL WHERE {HIDDEN_DIRECT} UNION ALL "
    f"SELECT hop AS relay, 'inner' AS verdict, {BELIEVED} AS key, messages, openers, first, last, {UNTOLD}, "
    f"[] AS agents, [] AS transports, {NOWHERE} FROM (SELECT *, relay AS source, arrayJoin({BEHIND_IT}) AS hop "
    f"FROM relay_hours FINAL WHERE inner != {NONE} OR origin IN {FRONTING}) WHERE inner = {NONE} OR hop IN {INNER} "
    "UNION ALL "
    "SELECT source AS relay, 'placed' AS verdict, origin AS key, toUInt64(0) AS messages, toUInt64(0) AS openers, at "
    f"AS first, at AS last, {UNTOLD}, [] AS agents, [] AS transports, {NOWHERE} FROM ({PLACED})"
)
# Origins whose requests bear different User-Agents behind different relays, which then wrote them.
SEEN_DIFFERENTLY: Final = (
    "(SELECT key FROM (SELECT key, relay, arraySort(groupUniqArrayArray(8)(agents)) AS written "
    f"FROM ({HANDED_ON}) WHERE key != {NONE} AND verdict = 'relayed' GROUP BY key, relay) GROUP BY key "
    "HAVING uniq(written) > 1)"
)
# What a relay is chosen by, and put in order.
AMOUNTS: Final = (
    "sum(openers) AS messages_, min(first) AS first_, max(last) AS last_, sum(masks) AS masks_, "
    "sumIf(claims, verdict = 'hidden') AS claims_, sumIf(openers, verdict = 'relayed') AS relayed_, "
    "sumIf(openers, verdict = 'hidden') AS hidden_, sumIf(openers, verdict = 'b2bua') AS b2bua_, "
    "sumIf(openers, verdict = 'inner') AS inner_, countIf(verdict = 'placed') AS placed_, "
    "anyIf(country, country != '') AS country, anyIf(asn, asn != 0) AS asn"
)
# Exact, and half the work of comparing addresses.
ORIGINS: Final = f"uniqExactIf(cityHash64(key), key != {NONE}) AS origins_"
# Every origin is a campaign, and all that was placed nowhere is one more.
DETAILS: Final = (
    f"{AMOUNTS}, {ORIGINS}, origins_ + (countIf(verdict = 'placed' AND key = {NONE}) > 0) AS campaigns_, "
    "sumMap(kinds) AS kinds_, sum(genuine) AS genuine_, max(confidence) AS confidence_, "
    "groupUniqArrayArray(8)(agents) AS agents_, groupUniqArrayArray(8)(transports) AS transports_, "
    "anyIf(as_name, as_name != '') AS as_name"
)
# Others only claim that they are relays.
IS_RELAY: Final = (
    "(relayed_ > 0 OR b2bua_ > 0 OR inner_ > 0 OR masks_ > 0 OR (hidden_ > 0 AND (claims_ > 0 OR placed_ > 0)))"
)
RELAY_ORDERS: Final = {
    "messages": "messages_ DESC, relay",
    "last_seen": "last_ DESC, relay",
    "first_seen": "first_ DESC, relay",
    "origins": "origins_ DESC, messages_ DESC, relay",
}


def list_relays(
    store: "Store", where: Place, *, limit: int = 50, offset: int = 0, sort: str = "messages"
) -> "list[Row]":
    """Hosts that forwarded for others: address, first_seen, last_seen, messages (requests that open something),
    origins, campaigns, kind, product, country, asn, as_name, confidence, reliable, contradicts (addresses it alone
    names against others), transports.

    limit: 0 for all. sort: messages, last_seen, first_seen or origins, the largest first.
    """
    if sort not in RELAY_ORDERS:
        raise InputError(f"sort: {sort!r} is none of {', '.join(RELAY_ORDERS)}")
    notes = read_notes(store)
    network, place, params = where.narrowed_on("relay")
    if place:
        place = f" AND if(inner_ = messages_, relay IN {{inner_here:Array(IPv6)}}, 1{place})"
        params["inner_here"] = _inner_here(notes["inner"], where)
    chosen = f"WHERE {IS_RELAY}{place}{where.seen(params)} ORDER BY {RELAY_ORDERS[sort]}"
    if limit:
        chosen += f" LIMIT {int(limit)} OFFSET {int(offset)}"
        # First who they are: what else is known of a relay takes most of the work.
        some = f"{AMOUNTS}, {ORIGINS}" if sort == "origins" else AMOUNTS
        network = f"WHERE relay IN (SELECT relay FROM ({_sums(some, network)}) {chosen})"
    sql = (
        f"SELECT {_address('relay')} AS address, {moment('first_')} AS first_seen, {moment('last_')} AS last_seen, "
        "messages_ AS messages, origins_ AS origins, campaigns_ AS campaigns, kinds_ AS kinds, genuine_ AS genuine, "
        "masks_ AS masks, b2bua_ AS b2bua, agents_ AS agents, confidence_ AS best, inner_ AS inner, "
        "transports_ AS transports, country, asn, as_name "
        f"FROM ({_sums(DETAILS, network)}) {chosen.partition(' LIMIT ')[0]} {COLUMNS_FIRST}"
    )
    rows = store.rows(sql, params)
    rewriting = _rewriting(store, [row["address"] for row in rows if _named_by(row["agents"])])
    return [_relay_row(row, notes, rewriting) for row in rows]


def _sums(columns: str, network: str) -> str:
    return f"SELECT relay, {columns} FROM ({RELAY_PARTS}) {network} GROUP BY relay"


def _inner_here(places: "dict[str, tuple[str, int, str]]", where: Place) -> list[str]:
    """Of the relays that were seen only behind others, those whose own address is where it is asked for."""
    return [
        storage_address(relay)
        for relay, (country, asn, _) in places.items()
        if where.country in (None, country) and where.asn in (None, asn)
    ]


def _named_by(agents: list[str]) -> str:
    """The product of a relay if it writes the User-Agents itself."""
    return product_of(agents, rewritten=True, genuine=False)


def _rewriting(store: "Store", relays: list[str]) -> set[str]:
    """Those of some relays that hand on for an origin whose requests bear another User-Agent behind other relays."""
    if not relays:
        return set()
    sql = (
        f"SELECT DISTINCT {_address('relay')} AS address FROM ({RELAY_PARTS}) "
        f"WHERE relay IN {{relays:Array(IPv6)}} AND key IN {SEEN_DIFFERENTLY}"
    )
    return {row["address"] for row in store.rows(sql, {"relays": [storage_address(each) for each in relays]})}


def _relay_row(row: "Row", notes: "Row", rewriting: set[str]) -> "Row":
    name = row["address"]
    contradicts = notes["lying"].get(name, [])
    kind = relay_kind(row["kinds"], lying=bool(contradicts), b2bua=row["b2bua"] > 0, masked=row["masks"] > 0)
    place = (row["country"], row["asn"], row["as_name"])
    behind_only = row["inner"] == row["messages"]
    if behind_only:
        kind, place = "inner", notes["inner"].get(name, place)
    return {
        "address": name,
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "messages": row["messages"],
        "origins": row["origins"],
        "campaigns": row["campaigns"],
        "kind": kind,
        # A hop behind another is believed only where the branches above it are Kamailio's own (evidence.via_walk).
        "product": product_of(
            row["agents"], rewritten=name in rewriting or kind == "b2bua", genuine=row["genuine"] > 0 or behind_only
        ),
        "country": place[0],
        "asn": place[1],
        "as_name": place[2],
        "confidence": _relay_confidence(row, notes["hiding"].get(name, 0)),
        "reliable": not contradicts,
        "contradicts": contradicts,
        "transports": row["transports"],
    }


def _relay_confidence(row: "Row", hiding: int) -> int:
    """0 to 99: a genuine hop is as good as proof; a stripped or rebuilt one rests on fitting into a campaign."""
    if row["genuine"] or row["masks"]:
        return min(90 + int(row["messages"]), 99)
    if row["inner"] == row["messages"]:
        return 70
    if row["origins"]:
        return max(hiding, 60) if row["b2bua"] else min(65 + int(row["best"]) // 5 + min(int(row["messages"]), 20), 95)
    return max(hiding, 50)


def get_relay(store: "Store", *, address: str) -> "list[Row]":
    """One relay as in `relays`, with `for_origins`: each origin it forwarded for, requests, first and last seen, and
    how (`vouched` or `association`); no row for an address that is no relay."""
    rows = list_relays(store, Place.of_address(address), limit=0)
    for row in rows:
        params = {"only": storage_address(row["address"])}
        own = (
            f"SELECT {BELIEVED} AS key, sum(openers) AS n, min(first) AS f, max(last) AS l, 'vouched' AS how "
            "FROM (SELECT *, relay AS source FROM relay_hours FINAL) WHERE relay = {only:IPv6} GROUP BY key"
        )
        placed = (
            f"SELECT origin AS key, count() AS n, min(at) AS f, max(at) AS l, 'association' AS how FROM ({PLACED}) "
            "WHERE source = {only:IPv6} GROUP BY key"
        )
        sql = (
            f"SELECT {_address('key')} AS origin, {campaign_of('origin', 'key')} AS campaign, n AS requests, "
            f"{moment('f')} AS first_seen, {moment('l')} AS last_seen, how FROM ({own} UNION ALL {placed}) "
            f"WHERE key != {NONE} AND n > 0 ORDER BY n DESC, key LIMIT 200 {COLUMNS_FIRST}"
        )
        row["for_origins"] = store.rows(sql, params)
    return rows


def read_notes(store: "Store") -> "Row":
    """Conclusions about relays: lying (relay → whom it names), hiding (relay → confidence), inner (relay → country,
    autonomous system, its name)."""
    found: Row = {"lying": {}, "hiding": {}, "inner": {}}
    sql = (
        "SELECT kind, one, other, said, confidence FROM conclusions "
        f"WHERE kind IN ('lying', 'hiding', 'inner') AND {NEWEST} ORDER BY kind, one, other"
    )
    for row in store.rows(sql):
        if row["kind"] == "lying":
            found["lying"].setdefault(row["one"], []).append(row["other"])
        elif row["kind"] == "hiding":
            found["hiding"][row["one"]] = max(found["hiding"].get(row["one"], 0), row["confidence"])
        else:
            asn, _, as_name = row["said"].partition(" ")
            found["inner"][row["one"]] = (row["other"], int(asn or 0), as_name)
    return found
