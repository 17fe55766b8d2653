"""Questions about one campaign: what its pictures need, and what its requests tried."""

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from relaytrap.clock import parse_rfc3339
from relaytrap.evidence.campaign import schedule_of
from relaytrap.store.findings_schema import NONE, REQUESTS
from relaytrap.store.queries.campaigns import list_campaigns
from relaytrap.store.queries.filter import Seen
from relaytrap.store.queries.members import NO_PLACES, Members
from relaytrap.store.queries.numbers import READING
from relaytrap.store.queries.shape import COLUMNS_FIRST, address, hex_id, moment

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = [
    "details_of",
    "fan_of",
    "get_campaign",
    "query_fan",
    "query_relay_hours",
    "query_sweep",
    "relay_hours_of",
    "sweep_of",
]

LISTED: Final = 50
POINTS: Final = 20_000
EDGES: Final = 500


def get_campaign(store: "Store", *, id: str) -> "list[Row]":
    """One campaign as in `campaigns`, with its schedule, numbers, passwords, relays an hour and evidence."""
    return [row | details_of(store, row) for row in list_campaigns(store, Seen(), id=id)]


def _campaign(store: "Store", id: str) -> "Row | None":
    return next(iter(list_campaigns(store, Seen(), id=id)), None)


def _between(row: "Row") -> str:
    """The time a campaign took, so that only its partitions are read."""
    first, last = parse_rfc3339(row["first_seen"]), parse_rfc3339(row["last_seen"])
    return f"received_at >= fromUnixTimestamp64Nano({first}) AND received_at <= fromUnixTimestamp64Nano({last})"


def query_sweep(store: "Store", *, id: str, limit: int = POINTS) -> "list[Row]":
    """Points of the sweep chart, oldest first: message, received_at, target, number (null when it is none), relay
    (null when direct), sensor, method, association. At most `limit`, spread evenly over all."""
    row = _campaign(store, id)
    return sweep_of(store, row, limit=limit) if row else []


def sweep_of(store: "Store", row: "Row", *, limit: int) -> "list[Row]":
    """The same for a row of list_campaigns."""
    members = Members.of(store, row)
    step = max(row["messages"] // max(int(limit), 1), 1)
    number = "if(target_key > 0 AND target_key < 9223372036854775808, target_key, NULL)"
    guests = f"SELECT id FROM ({members.places})"
    sql = (
        f"SELECT {hex_id('id')} AS message, {moment('received_at')} AS received_at, target, {number} AS number, "
        f"if(guest OR relay != {NONE}, {address('source')}, NULL) AS relay, sensor, method, CAST(guest, 'Bool') AS "
        "association FROM ("
        f"SELECT id, received_at, target, target_key, relay, source, sensor, method, id IN ({guests}) AS guest "
        f"FROM messages WHERE {REQUESTS} AND opener AND {_between(row)} AND (track IN {members.tracks} OR guest) "
        f"AND id % {step} = 0) ORDER BY received_at, id LIMIT {int(limit)} {COLUMNS_FIRST}"
    )
    return store.rows(sql, members.params)


def query_relay_hours(store: "Store", *, id: str) -> "list[Row]":
    """Hour by hour: hour, requests, relays (different ones), sensors, and the relays' countries (country → relays)."""
    row = _campaign(store, id)
    return relay_hours_of(store, row) if row else []


def relay_hours_of(store: "Store", row: "Row") -> "list[Row]":
    """The same for a row of list_campaigns."""
    members = Members.of(store, row)
    own = (
        "SELECT hour, relay, openers AS n, country FROM relay_hours FINAL "
        f"WHERE openers > 0 AND track IN {members.tracks}"
    )
    # Whatever a relay hides, its own country is known.
    countries = (
        "SELECT source, anyIf(country, country != '') AS country FROM track_hours "
        f"WHERE source IN (SELECT source FROM ({members.places})) GROUP BY source"
    )
    placed = (
        "SELECT toStartOfHour(at) AS hour, source AS relay, 1 AS n, country "
        f"FROM ({members.places}) AS placed LEFT JOIN ({countries}) AS known USING (source)"
    )
    sql = (
        f"SELECT {moment('hour')} AS hour, sum(n) AS requests, uniqExact(relay) AS relays, "
        "sumMap(map(country, toUInt64(n))) AS countries "
        f"FROM ({own} UNION ALL {placed}) GROUP BY hour ORDER BY hour {COLUMNS_FIRST}"
    )
    return store.rows(sql, members.params)


def query_fan(store: "Store", *, id: str, limit: int = EDGES) -> "list[Row]":
    """Edges of the fan from origin through relays to sensors: origin (null when unknown), relay (null when direct),
    sensor, requests, association."""
    row = _campaign(store, id)
    return fan_of(store, row, limit=limit) if row else []


def fan_of(store: "Store", row: "Row", *, limit: int = EDGES) -> "list[Row]":
    """The same for a row of list_campaigns."""
    members = Members.of(store, row)
    own = (
        f"SELECT if(relay = {NONE}, NULL, {address('relay')}) AS relay, sensor, count() AS requests, false AS "
        "association "
        f"FROM messages WHERE {REQUESTS} AND opener AND {_between(row)} AND track IN {members.tracks} "
        "GROUP BY relay, sensor"
    )
    placed = (
        f"SELECT {address('source')} AS relay, sensor, count() AS requests, true AS association "
        f"FROM ({members.places}) GROUP BY source, sensor"
    )
    order = f"ORDER BY requests DESC, relay, sensor LIMIT {int(limit)} {COLUMNS_FIRST}"
    edges = store.rows(f"SELECT * FROM ({own} UNION ALL {placed}) {order}", members.params)
    return [{"origin": row["origin"], **edge} for edge in edges]


def details_of(store: "Store", row: "Row") -> dict[str, Any]:
    """What list_campaigns leaves out: schedule, relays_per_hour, numbers, passwords, ranges by method, evidence."""
    members = Members.of(store, row)
    belongs = f"(track IN {members.tracks} OR id IN (SELECT id FROM ({members.places})))"
    mine = f"{REQUESTS} AND opener AND {_between(row)} AND {belongs}"
    hours = _busy_hours(store, members)
    numbers = store.rows(
        f"SELECT dialled_core AS core, {READING}, groupUniqArray(24)(dialled_prefix) AS prefixes, "
        f"count() AS requests FROM messages WHERE {mine} AND dialled_core != '' "
        f"GROUP BY core ORDER BY requests DESC, core LIMIT {LISTED} {COLUMNS_FIRST}",
        members.params,
    )
    return {
        "schedule": dataclasses.asdict(schedule_of([(each["hour"], each["requests"]) for each in hours])),
        "relays_per_hour": max((each["relays"] for each in hours), default=0),
        "numbers": numbers,
        "passwords": _passwords(store, mine, members.params) if "password" in row["goals"] else [],
        "evidence": _reasons(store, members, row),
    }


def _busy_hours(store: "Store", members: Members) -> "list[Row]":
    """Requests and relays by hour (seconds since the epoch)."""
    own = (
        "SELECT toUnixTimestamp(hour) AS hour, openers AS n, relays FROM track_hours FINAL "
        f"WHERE track IN {members.tracks}"
    )
    placed = (
        "SELECT toUnixTimestamp(toStartOfHour(at)) AS hour, count() AS n, uniqState(source) AS relays "
        f"FROM ({members.places}) GROUP BY hour"
    )
    sql = (
        f"SELECT hour, sum(n) AS requests, uniqMerge(relays) AS relays FROM ({own} UNION ALL {placed}) "
        "GROUP BY hour HAVING requests > 0 ORDER BY hour"
    )
    return store.rows(sql, members.params)


def _passwords(store: "Store", mine: str, params: dict[str, Any]) -> "list[Row]":
    """Passwords that scanners wrote into their tags as user:password."""
    place = "JSONExtractString(each, 3) = 'credentials'"
    sql = (
        "SELECT JSONExtractString(each, 4) AS tried, count() AS requests FROM ("
        f"SELECT arrayJoin(JSONExtractArrayRaw(decoded)) AS each FROM messages WHERE {mine} AND goal = 'password' "
        f"AND decoded != '') WHERE {place} GROUP BY tried ORDER BY requests DESC, tried LIMIT {LISTED} {COLUMNS_FIRST}"
    )
    return store.rows(sql, params)


def _reasons(store: "Store", members: Members, row: "Row") -> "list[Row]":
    """Why requests belong together, with how many each reason holds for."""
    reasons = []
    if row["vouched"]:
        sql = "SELECT relays FROM origin_findings FINAL WHERE origin = {key:IPv6}"
        relays = next((found["relays"] for found in store.rows(sql, members.params)), 1)
        text = f"{relays} relays say that they took these requests from {row['origin']}."
        reasons.append({"why": text, "requests": row["vouched"], "association": False})
    if row["direct"]:
        text = f"They came straight from {row['origin']}."
        reasons.append({"why": text, "requests": row["direct"], "association": False})
    if members.places == NO_PLACES:
        return reasons
    sql = (
        "SELECT replaceOne(replaceRegexpOne(why, ' of which [0-9]+% is vouched for', ''), ' at its end', '') AS "
        f"reason, count() AS requests FROM ({members.places}) WHERE why != '' "
        "GROUP BY reason ORDER BY requests DESC, reason LIMIT 20"
    )
    placed = store.rows(sql, members.params)
    return reasons + [{"why": each["reason"], "requests": each["requests"], "association": True} for each in placed]
