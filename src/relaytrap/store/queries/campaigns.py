"""The question for campaigns: what belongs together, whoever sent it and whichever way it came."""

from typing import TYPE_CHECKING, Any, Final

from relaytrap.errors import InputError
from relaytrap.evidence.campaign import NAMED_MAX, Deeds, Tried, campaign_id, goal_of_campaign, title_of_campaign
from relaytrap.store.findings_schema import COUNTS, WORDS
from relaytrap.store.queries.believed import SETTLED_HOURS, SETTLED_PLACES
from relaytrap.store.queries.filter import Seen
from relaytrap.store.queries.members import Members, find_campaign, remember_owner
from relaytrap.store.queries.shape import COLUMNS_FIRST, address, moment

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_campaigns"]


def _tally(column: str) -> str:
    return f"CAST(sumMapIf([{column}], [toUInt64(1)], {column} != ''), '{COUNTS}')"


def _parts(hours: str, places: str) -> str:
    """Every part of campaigns: what tracks did, and what was placed. hours, places: with base ("origin" or "behind")
    and key."""
    return (
        "SELECT base, key, hour, openers, first, last, sensors, methods, goals, tools, agents, targets, relays, "
        "if(apparent, openers, 0) AS direct_, if(apparent, 0, openers) AS vouched_, toUInt64(0) AS placed_ "
        f"FROM ({hours}) WHERE openers > 0 "
        "UNION ALL "
        "SELECT base, key, toStartOfHour(at) AS hour, count() AS openers, min(at) AS first, max(at) AS last, "
        f"groupUniqArray(64)(sensor) AS sensors, {_tally('method')} AS methods, {_tally('goal')} AS goals, "
        f"CAST(map(), '{COUNTS}') AS tools, CAST([], '{WORDS}') AS agents, "
        "groupBitmapStateIf(target_key, target_key > 0) AS targets, uniqState(source) AS relays, "
        "toUInt64(0) AS direct_, toUInt64(0) AS vouched_, count() AS placed_ "
        f"FROM ({places}) GROUP BY base, key, hour"
    )


EVERY_PART: Final = _parts(SETTLED_HOURS, SETTLED_PLACES)
# What a campaign is chosen by, and put in order; the number of relays only where it is asked for.
AMOUNTS: Final = "sum(openers) AS messages_, min(first) AS first_, max(last) AS last_"
RELAYS: Final = "uniqMerge(relays) AS relays_"
NUMERIC: Final = "bitmapSubsetInRange(groupBitmapMergeState(targets), toUInt64(1), toUInt64(10000000))"
DETAILS: Final = (
    f"{AMOUNTS}, {RELAYS}, groupUniqArrayArray(64)(sensors) AS sensors_, sumMap(methods) AS methods_, "
    "sumMap(goals) AS goals_, sumMap(tools) AS tools_, groupUniqArrayArray(12)(agents) AS agents_, "
    "bitmapCardinality(groupBitmapMergeState(targets)) AS targets_, "
    f"bitmapMin({NUMERIC}) AS low_, bitmapMax({NUMERIC}) AS high_, bitmapCardinality({NUMERIC}) AS extensions_, "
    f"bitmapToArray(bitmapSubsetLimit({NUMERIC}, toUInt64(1), toUInt64({NAMED_MAX + 1}))) AS some_extensions_, "
    "sum(direct_) AS direct_sum, sum(vouched_) AS vouched_sum, sum(placed_) AS placed_sum, uniqExact(hour) AS hours_"
)
CAMPAIGN_ORDERS: Final = {
    "messages": "messages_ DESC, key, base",
    "last_seen": "last_ DESC, key, base",
    "first_seen": "first_ DESC, key, base",
    "relays": "relays_ DESC, messages_ DESC, key, base",
}


def list_campaigns(
    store: "Store",
    where: Seen,
    *,
    limit: int = 50,
    offset: int = 0,
    sort: str = "messages",
    relayed: bool = False,
    id: str = "",
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
    params: dict[str, Any] = {}
    having = f"HAVING {'relays_ > 0' if relayed else '1'}{where.seen(params)}"
    if id:
        return _only(store, id, having, params)[offset : offset + limit if limit else None]
    chosen = f"{having} ORDER BY {CAMPAIGN_ORDERS[sort]}"
    some = ""
    if limit:
        # First which they are: what else is known of a campaign takes most of the work.
        amounts = f"{AMOUNTS}, {RELAYS}" if relayed or sort == "relays" else AMOUNTS
        page = f"{_sums(amounts, EVERY_PART)} {chosen} LIMIT {int(limit)} OFFSET {int(offset)}"
        some = f"WHERE (base, key) IN (SELECT base, key FROM ({page}))"
    return _campaigns(store, _sums(DETAILS, EVERY_PART, some), chosen, params)


def _only(store: "Store", id: str, having: str, params: dict[str, Any]) -> "list[Row]":
    """The campaign of an identifier, of which its own rows alone are read."""
    found = find_campaign(store, id)
    if found is None:
        return []
    members = Members.read(store, *found)
    sums = _sums(DETAILS, _parts(members.hours, members.settled_places))
    rows = _campaigns(store, sums, having, members.params | params)
    for row in rows:
        members.remember(store, row)
    return rows


def _sums(columns: str, parts: str, some: str = "") -> str:
    return f"SELECT base, key, {columns} FROM ({parts}) {some} GROUP BY base, key"


def _campaigns(store: "Store", sums: str, chosen: str, params: dict[str, Any]) -> "list[Row]":
    having, _, order = chosen.partition("ORDER BY")
    sql = (
        f"SELECT base, {address('key')} AS address, {moment('first_')} AS first_seen, {moment('last_')} AS last_seen, "
        "messages_, sensors_, methods_, goals_, tools_, agents_, targets_, low_, high_, extensions_, some_extensions_, "
        "relays_, direct_sum, vouched_sum, placed_sum, hours_, confidence, dateDiff('second', first_, last_) AS "
        f"seconds_ FROM ({sums} {having}) AS c LEFT JOIN (SELECT * FROM origin_findings FINAL) AS o "
        f"ON c.key = o.origin {'ORDER BY ' + order if order else ''} {COLUMNS_FIRST}"
    )
    rows = [_campaign_row(row) for row in store.rows(sql, params)]
    for row in rows:
        remember_owner(row)
    return rows


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
