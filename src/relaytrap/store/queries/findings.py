"""Questions about findings: relays, origins, campaigns, and what their messages are given by them."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from relaytrap.errors import InputError
from relaytrap.evidence.campaign import (
    NAMED_MAX,
    Deeds,
    Tried,
    campaign_id,
    goal_of_campaign,
    title_of_campaign,
)
from relaytrap.evidence.product import product_of, relay_kind
from relaytrap.store.findings_schema import COUNTS, NONE, WORDS
from relaytrap.store.queries.believed import (
    APPARENT,
    BELIEVED,
    CAMPAIGN,
    FRONTING,
    HIDDEN_DIRECT,
    INNER,
    NEWEST,
    PLACED,
    SETTLED_HOURS,
    SETTLED_PLACES,
    campaign_of,
)
from relaytrap.store.queries.filter import Place, storage_address
from relaytrap.store.queries.shape import COLUMNS_FIRST, moment
from relaytrap.store.queries.shape import address as _address  # questions have an option of that name

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["get_campaign", "get_origin", "get_relay", "list_campaigns", "list_origins", "list_relays"]


# ---- relays ------------------------------------------------------------------------------------------------------

# Whoever may be a relay behind another: the hops of a chain, else whom that one names.
BEHIND_IT: Final = (
    f"multiIf(inner = {NONE}, [origin], empty(hops), [inner], arrayMap(hop -> toIPv6OrDefault(hop), hops))"
)
# Every relay with what each hour says of it; apparently direct hours of a hiding relay and hops behind other relays
# included. `key` is the origin that is believed, :: for none.
RELAY_PARTS: Final = (
    f"SELECT relay, verdict, {BELIEVED} AS key, messages, openers, first, last, confidence, kinds, genuine, claims, "
    "masks, agents, transports, country, asn, as_name, origin FROM ("
    "SELECT *, relay AS source FROM relay_hours FINAL) "
    "UNION ALL "
    f"SELECT source AS relay, 'b2bua' AS verdict, {NONE} AS key, messages, openers, first, last, toUInt8(0) AS "
    "confidence, CAST(map(), 'Map(LowCardinality(String), UInt64)') AS kinds, toUInt64(0) AS genuine, toUInt64(0) AS "
    "claims, toUInt64(0) AS masks, agents, transports, country, asn, as_name, "
    f"{NONE} AS origin FROM track_hours FINAL WHERE {HIDDEN_DIRECT} "
    "UNION ALL "
    f"SELECT hop AS relay, 'inner' AS verdict, {BELIEVED} AS key, messages, openers, first, last, toUInt8(0) AS "
    "confidence, CAST(map(), 'Map(LowCardinality(String), UInt64)') AS kinds, toUInt64(0) AS genuine, toUInt64(0) AS "
    "claims, toUInt64(0) AS masks, [] AS agents, [] AS transports, '' AS country, toUInt32(0) AS asn, '' AS as_name, "
    f"origin FROM (SELECT *, relay AS source, arrayJoin({BEHIND_IT}) AS hop FROM relay_hours FINAL) WHERE "
    f"if(inner = {NONE}, origin IN {FRONTING}, hop IN {INNER})"
)
# Origins whose requests bear different User-Agents behind different relays, which then wrote them.
SEEN_DIFFERENTLY: Final = (
    "(SELECT groupArray(key) FROM (SELECT key FROM (SELECT key, relay, arraySort(groupUniqArrayArray(8)(agents)) AS "
    f"agents FROM ({RELAY_PARTS}) WHERE key != {NONE} AND verdict = 'relayed' GROUP BY key, relay) GROUP BY key "
    "HAVING uniq(agents) > 1))"
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
    notes = _notes(store)
    network, place, params = _narrowed(where, "relay")
    if place:
        place = f"AND if(inner_ = messages_, relay IN {{inner_here:Array(IPv6)}}, 1{place})"
        params["inner_here"] = _inner_here(notes["inner"], where)
    page = f"LIMIT {int(limit)} OFFSET {int(offset)}" if limit else ""
    sql = (
        f"SELECT {_address('relay')} AS address, {moment('first_')} AS first_seen, {moment('last_')} AS last_seen, "
        "messages_ AS messages, origins_ AS origins, campaigns_ AS campaigns, kinds_ AS kinds, genuine_ AS genuine, "
        "masks_ AS masks, hidden_ AS hidden, b2bua_ AS b2bua, claims_ AS claims, placed_ AS placed, agents_ AS agents, "
        "confidence_ AS best, inner_ AS inner, transports_ AS transports, country_ AS country, asn_ AS asn, "
        f"as_name_ AS as_name, hasAny(arrayConcat(own_origins_, placed_origins_), {SEEN_DIFFERENTLY}) AS rewritten "
        f"FROM ({_relay_sums(network)}) WHERE (relayed_ > 0 OR b2bua_ > 0 OR inner_ > 0 OR masks_ > 0 OR (hidden_ > 0 "
        f"AND (claims_ > 0 OR placed_ > 0))) {place} ORDER BY {RELAY_ORDERS[sort]} {page} {COLUMNS_FIRST}"
    )
    return [_relay_row(row, notes) for row in store.rows(sql, params)]


def _inner_here(places: "dict[str, tuple[str, int, str]]", where: Place) -> list[str]:
    """Of the relays that were seen only behind others, those whose own address is where it is asked for."""
    return [
        storage_address(relay)
        for relay, (country, asn, _) in places.items()
        if where.country in (None, country) and where.asn in (None, asn)
    ]


def _relay_sums(network: str) -> str:
    placed = (
        "SELECT source AS relay, count() AS placed_, "
        f"groupUniqArray(if(origin = {NONE}, {campaign_of('behind', 'source')}, {campaign_of('origin', 'origin')})) AS "
        f"placed_campaigns_, groupUniqArrayIf(origin, origin != {NONE}) AS placed_origins_ FROM ({PLACED}) GROUP BY "
        "relay"
    )
    parts = (
        "SELECT relay, sum(openers) AS messages_, min(first) AS first_, max(last) AS last_, "
        f"groupUniqArrayIf(key, key != {NONE}) AS own_origins_, sumMap(kinds) AS kinds_, sum(genuine) AS genuine_, "
        "sum(masks) AS masks_, sumIf(claims, verdict = 'hidden') AS claims_, sumIf(openers, verdict = 'relayed') AS "
        "relayed_, sumIf(openers, verdict = 'hidden') AS hidden_, sumIf(openers, verdict = 'b2bua') AS b2bua_, "
        "sumIf(openers, verdict = 'inner') AS inner_, "
        f"max(confidence) AS confidence_, groupUniqArrayArray(8)(agents) AS agents_, "
        "groupUniqArrayArray(8)(transports) AS transports_, anyIf(country, country != '') AS country_, "
        f"anyIf(asn, asn != 0) AS asn_, anyIf(as_name, as_name != '') AS as_name_, countIf(verdict = 'relayed' AND "
        f"key = {NONE}) > 0 AS behind_ FROM ({RELAY_PARTS}) {network} GROUP BY relay"
    )
    return (
        "SELECT *, length(arrayDistinct(arrayConcat(own_origins_, placed_origins_))) AS origins_, "
        f"length(arrayDistinct(arrayConcat(arrayMap(o -> {campaign_of('origin', 'o')}, own_origins_), "
        f"placed_campaigns_))) AS campaigns_ FROM ({parts}) AS p LEFT JOIN ({placed}) AS q USING (relay)"
    )


def _relay_row(row: "Row", notes: "Row") -> "Row":
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
            row["agents"], rewritten=row["rewritten"] or kind == "b2bua", genuine=row["genuine"] > 0 or behind_only
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
    rows = list_relays(store, _only(address), limit=1)
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
            f"WHERE key != {NONE} AND n > 0 ORDER BY n DESC LIMIT 200 {COLUMNS_FIRST}"
        )
        row["for_origins"] = store.rows(sql, params)
    return rows


def _notes(store: "Store") -> "Row":
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


# ---- origins -----------------------------------------------------------------------------------------------------


def list_origins(store: "Store", where: Place, *, limit: int = 50, offset: int = 0) -> "list[Row]":
    """Addresses behind relays, those with most requests first: address, first_seen, last_seen, messages, relays,
    networks, countries (of the relays that vouch), contradictions, confidence, vouched, associated, direct (requests
    by each way), campaign, country, asn, as_name."""
    network, place, params = _narrowed(where, "key")
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
        "vouched + placed AS messages, relays, networks, countries, contradictions, confidence, country, asn, "
        "as_name, vouched, placed AS "
        f"associated, {campaign_of('origin', 'key')} AS campaign FROM ({both}) AS b "
        f"LEFT JOIN (SELECT * FROM origin_findings FINAL) AS o ON b.key = o.origin WHERE 1 {place} "
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
    rows = list_origins(store, _only(address), limit=1)
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
        lying = _notes(store)["lying"]
        row["by_relays"] = [{**each, "names": lying.get(each["relay"], [])} for each in store.rows(sql, params)]
        row["contradicted_by"] = [each["relay"] for each in row["by_relays"] if each["names"]]
    return rows


# ---- campaigns ---------------------------------------------------------------------------------------------------


def _tally(column: str) -> str:
    return f"CAST(sumMapIf([{column}], [toUInt64(1)], {column} != ''), '{COUNTS}')"


# Every part of every campaign: what its tracks did, and what was placed into it. base: "origin" or "behind".
CAMPAIGN_PARTS: Final = (
    "SELECT base, key, hour, openers, first, last, sensors, methods, goals, tools, agents, targets, relays, "
    "if(apparent, openers, 0) AS direct_, if(apparent, 0, openers) AS vouched_, toUInt64(0) AS placed_ "
    f"FROM ({SETTLED_HOURS}) WHERE openers > 0 "
    "UNION ALL "
    "SELECT base, key, toStartOfHour(at) AS hour, count() AS openers, min(at) AS first, max(at) AS last, "
    "groupUniqArray(64)(sensor) "
    f"AS sensors, {_tally('method')} AS methods, {_tally('goal')} AS goals, CAST(map(), '{COUNTS}') AS tools, "
    f"CAST([], '{WORDS}') AS agents, groupBitmapStateIf(target_key, target_key > 0) AS targets, "
    "uniqState(source) AS relays, toUInt64(0) AS direct_, toUInt64(0) AS vouched_, count() AS placed_ "
    f"FROM ({SETTLED_PLACES}) GROUP BY base, key, hour"
)
NUMERIC: Final = "bitmapSubsetInRange(groupBitmapMergeState(targets), toUInt64(1), toUInt64(10000000))"
CAMPAIGN_SUMS: Final = (
    "SELECT base, key, sum(openers) AS messages_, min(first) AS first_, max(last) AS last_, "
    "groupUniqArrayArray(64)(sensors) AS sensors_, sumMap(methods) AS methods_, sumMap(goals) AS goals_, "
    "sumMap(tools) AS tools_, groupUniqArrayArray(12)(agents) AS agents_, groupBitmapMerge(targets) AS targets_, "
    f"bitmapMin({NUMERIC}) AS low_, bitmapMax({NUMERIC}) AS high_, bitmapCardinality({NUMERIC}) AS extensions_, "
    f"bitmapToArray(bitmapSubsetLimit({NUMERIC}, toUInt64(1), toUInt64({NAMED_MAX + 1}))) AS some_extensions_, "
    "uniqMerge(relays) AS relays_, sum(direct_) AS direct_sum, sum(vouched_) AS vouched_sum, sum(placed_) AS "
    "placed_sum, "
    "uniqExact(hour) AS hours_ "
    f"FROM ({CAMPAIGN_PARTS})"
)
CAMPAIGN_ORDERS: Final = {
    "messages": "messages_ DESC, key",
    "last_seen": "last_ DESC, key",
    "first_seen": "first_ DESC, key",
    "relays": "relays_ DESC, messages_ DESC, key",
}


def list_campaigns(
    store: "Store", *, limit: int = 50, offset: int = 0, sort: str = "messages", relayed: bool = False, id: str = ""
) -> "list[Row]":
    """Campaigns: id, goal, title, origin (null when nobody is vouched for), behind (the relay then), confidence,
    first_seen, last_seen, messages, vouched, associated, direct, relays, sensors, targets, range, coverage, methods,
    tools, user_agents, per_hour, active_hours.

    confidence: in the origin, 0 to 100; null where no relay vouches for one: it came direct, or nobody knows. limit: 0
    for all. sort: messages, last_seen, first_seen or relays, the largest first. relayed: only those that came
    through relays.
    """
    if sort not in CAMPAIGN_ORDERS:
        raise InputError(f"sort: {sort!r} is none of {', '.join(CAMPAIGN_ORDERS)}")
    page = f"LIMIT {int(limit)} OFFSET {int(offset)}" if limit else ""
    conditions = ["relays_ > 0"] if relayed else []
    if id:
        conditions.append(f"{CAMPAIGN} = {{id:String}}")
    having = f"HAVING {' AND '.join(conditions)}" if conditions else ""
    sql = (
        f"SELECT base, {_address('key')} AS address, {moment('first_')} AS first_seen, {moment('last_')} AS last_seen, "
        "messages_, sensors_, methods_, goals_, tools_, agents_, targets_, low_, high_, extensions_, some_extensions_, "
        "relays_, "
        "direct_sum, vouched_sum, placed_sum, hours_, confidence, dateDiff('second', first_, last_) AS seconds_ "
        f"FROM ({CAMPAIGN_SUMS} GROUP BY base, key {having}) AS c "
        "LEFT JOIN (SELECT * FROM origin_findings FINAL) AS o ON c.key = o.origin "
        f"ORDER BY {CAMPAIGN_ORDERS[sort]} {page} {COLUMNS_FIRST}"
    )
    return [_campaign_row(row) for row in store.rows(sql, {"id": id} if id else {})]


def _campaign_row(row: "Row") -> "Row":
    through = row["base"] == "origin"
    tried = Tried(row["targets_"], row["extensions_"], row["low_"], row["high_"], row["some_extensions_"])
    goal = goal_of_campaign(
        Deeds(row["goals_"], row["methods_"], row["targets_"], len(row["sensors_"]), tried.coverage)
    )
    return {
        "id": campaign_id(row["base"], row["address"]),
        "goal": goal,
        "title": title_of_campaign(goal, tried),
        "origin": row["address"] if through else None,
        "behind": None if through else row["address"],
        "confidence": (row["confidence"] or None) if through else None,
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "messages": row["messages_"],
        "vouched": row["vouched_sum"],
        "associated": row["placed_sum"] if through else 0,
        "direct": row["direct_sum"],
        "relays": row["relays_"],
        "sensors": sorted(row["sensors_"]),
        "targets": row["targets_"],
        "range": [row["low_"], row["high_"]] if row["extensions_"] > 1 else None,
        "coverage": tried.coverage,
        "methods": row["methods_"],
        "goals": row["goals_"],
        "tools": row["tools_"],
        "user_agents": sorted(agent for agent in row["agents_"] if agent),
        "per_hour": round(row["messages_"] / max(row["seconds_"] / 3600, 1.0), 1),
        "active_hours": row["hours_"],
    }


def get_campaign(store: "Store", *, id: str) -> "list[Row]":
    """One campaign as in `campaigns`, with its schedule, numbers, passwords, relays an hour and evidence."""
    from relaytrap.store.queries.campaign import details_of

    rows = list_campaigns(store, id=id, limit=1)
    return [row | details_of(store, row) for row in rows]


def _only(address: str) -> Place:
    """One address; InputError for a network, and for anything else."""
    try:
        storage_address(address.strip("[]"))
    except ValueError:
        raise InputError(f"address: {address!r} is no address; write 192.0.2.7 or 2001:db8::1") from None
    return Place(network=address)


def _narrowed(where: Place, column: str) -> tuple[str, str, dict[str, Any]]:
    """A place as a clause on a column of addresses, as further conditions on `country` and `asn`, and their
    parameters: an address is known before anything is summed, the rest afterwards."""
    params: dict[str, Any] = {}
    network = Place(network=where.network).conditions(params, network=column)
    place = dataclasses.replace(where, network=None).conditions(params)
    return "".join(f"WHERE {each}" for each in network), "".join(f" AND {each}" for each in place), params
