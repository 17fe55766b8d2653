"""Questions for block lists: who attacked from an address of its own, and which sensors saw an origin or a relay.

An address above a UDP datagram is whatever its sender wrote there. Three things prove that it is the sender's: we
answered it over a connection, which needs a handshake; it returned the To tag of an answer of ours; it answered a
challenge of ours. A value proves something only where we made it: of a tag that the sender brings itself our answer is
an echo, so it must have been in an answer before it was in any request. And nobody may be able to guess it: PJSIP makes
tags of the request's branch, Cisco's have four random digits, those of Kamailio follow from the request. An answer with
several Vias proves nothing of a source: a proxy that never asked hands it on to the next Via, which the sender chose.
Nor does a WebSocket: browsers open one, and send over it whatever a page that they show wants.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from relaytrap.evidence.indicator import EVIDENCE, PERSISTENT_HOURS, PERSISTENT_REQUESTS, PROOFS
from relaytrap.evidence.testimony import Standing
from relaytrap.store.queries.believed import SETTLED_HOURS, SETTLED_PLACES
from relaytrap.store.queries.filter import Filter, storage_address
from relaytrap.store.queries.shape import COLUMNS_FIRST, address, moment
from relaytrap.store.testimony import standing_among

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = [
    "count_direct_sources",
    "list_direct_sources",
    "list_sensors_of_origins",
    "list_sensors_of_relays",
    "read_proven_standing",
]

LISTED: Final = 8
# How long a tag or nonce may be on its way, and how far before the asked time answers are looked at: longer, so that a
# request whose tag our answer only echoed is among what is looked at as well.
RETURNED_WITHIN_S: Final = 600
BEFORE_NS: Final = 3_600_000_000_000

# Tags with 32 random bits and more: Asterisk's chan_sip, and PJSIP within a dialog.
RANDOM_TAG: Final = "match(to_tag, '^(as[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$')"
OF_OURS: Final = " AND ".join(f"position({column}, to_tag) = 0" for column in ("branch", "call_id", "from_tag"))
SHOWN: Final = (
    f"multiIf(connection OR tag OR challenge, 'proven', requests >= {PERSISTENT_REQUESTS} AND hours >= "
    f"{PERSISTENT_HOURS}, 'persistent', 'any')"
)
REQUEST: Final = "direction = 'in' AND kind = 'request'"
ANSWER: Final = "direction = 'out' AND kind = 'response'"
NONCE: Final = (
    "splitByChar('*', credentials)[-6]"  # John the Ripper's form ends in nonce, cnonce, nc, qop, hash, digest
)


def list_direct_sources(
    store: "Store", where: Filter, *, sensors: str = "", evidence: str = "any", limit: int = 0
) -> "list[Row]":
    """Sources of requests that nobody handed on for another, first those that showed most, then by requests: address,
    country, asn, as_name, requests, hours (different ones), sensors (how many), goals, tools (up to eight of each),
    first_seen, last_seen, proof, shown, of.

    proof: what shows that the address is the sender's: connection, tag, challenge; empty when nothing does. shown: the
    strictest key of evidence.indicator.EVIDENCE that it meets; evidence: only those that meet this one. of: how many
    there are without the limit. sensors: only what these saw, their names joined by commas; empty: all. limit: 0 for
    all.
    """
    clause, params = _requests(where, sensors)
    proofs = ", ".join(
        f"(source IN (SELECT source FROM ({sql}))) AS {name}"
        for name, sql in _proofs(where, sensors, params, f"{ANSWER} AND via_count < 2").items()
    )
    listed = ", ".join(
        f"arraySort(groupUniqArrayIf({LISTED})({column}, {column} != '')) AS {name}"
        for name, column in (("goals", "goal"), ("tools", "tool"))
    )
    sums = (
        "SELECT source, any(country) AS country_, any(asn) AS asn_, any(as_name) AS as_name_, count() AS requests, "
        f"uniqExact(toStartOfHour(received_at)) AS hours, uniqExact(sensor) AS sensors_, {listed}, "
        f"min(received_at) AS first_, max(received_at) AS last_ FROM messages WHERE {clause} GROUP BY source"
    )
    params["levels"] = list(EVIDENCE)[: list(EVIDENCE).index(evidence) + 1]
    page = f"LIMIT {int(limit)}" if limit else ""
    rows = store.rows(
        f"SELECT {address('source')} AS address, country_ AS country, asn_ AS asn, as_name_ AS as_name, requests, "
        f"hours, sensors_ AS sensors, goals, tools, {moment('first_')} AS first_seen, {moment('last_')} AS last_seen, "
        f"connection, tag, challenge, shown, count() OVER () AS of FROM (SELECT *, {proofs}, {SHOWN} AS shown "
        f"FROM ({sums})) WHERE shown IN {{levels:Array(String)}} "
        f"ORDER BY indexOf({{levels:Array(String)}}, shown), requests DESC, source {page} {COLUMNS_FIRST}",
        params,
    )
    return [row | {"proof": [name for name in PROOFS if row.pop(name)]} for row in rows]


def count_direct_sources(store: "Store", where: Filter, *, sensors: str = "") -> int:
    """How many sources `list_direct_sources` knows, whatever they showed."""
    clause, params = _requests(where, sensors)
    return int(store.row(f"SELECT uniqExact(source) AS n FROM messages WHERE {clause}", params)["n"])


def _requests(where: Filter, sensors: str) -> tuple[str, dict[str, Any]]:
    """Conditions of the requests that count, and their parameters."""
    params: dict[str, Any] = {}
    conditions = [REQUEST, "path_verdict IN ('direct', 'forged')", *where.conditions(params)]
    if sensors:
        params["sensors"] = sensors.split(",")
        conditions.append("sensor IN {sensors:Array(String)}")
    return " AND ".join(conditions), params


def _proofs(where: Filter, sensors: str, params: dict[str, Any], answer: str = ANSWER) -> dict[str, str]:
    """Way to prove an address → SELECT of source and call_id of the calls in which that was done.

    answer: which of ours count. Parameters are put into params.
    """
    at = around = _span(where, sensors, params)
    if where.since is not None:
        params["since_before"] = where.since - BEFORE_NS
        around = at.replace("{since:Int64}", "{since_before:Int64}")
    tagged = f"{REQUEST} AND transport = 'udp' AND {RANDOM_TAG} AND {at}"
    answered = f"{REQUEST} AND transport = 'udp' AND {NONCE} != '' AND {at}"
    in_time = f"issued < returned AND dateDiff('second', issued, returned) <= {RETURNED_WITHIN_S}"
    return {
        "connection": f"SELECT source, call_id FROM messages WHERE {ANSWER} AND transport IN ('tcp', 'tls') AND {at}",
        "tag": (
            "SELECT source, call_id FROM (SELECT source, call_id, minIf(received_at, direction = 'out') AS issued, "
            "minIf(received_at, direction = 'in') AS returned, countIf(direction = 'out') AS answers, "
            f"countIf(direction = 'out' AND NOT ({answer} AND {OF_OURS})) AS others FROM messages "
            f"WHERE transport = 'udp' AND {RANDOM_TAG} AND (({REQUEST}) OR ({ANSWER})) AND {around} "
            f"AND (source, to_tag) IN (SELECT source, to_tag FROM messages WHERE {tagged}) "
            f"GROUP BY source, sensor, call_id, to_tag) WHERE answers > 0 AND others = 0 AND {in_time}"
        ),
        "challenge": (
            f"SELECT source, call_id FROM messages WHERE {answer} AND transport = 'udp' AND "
            f"status_code IN (401, 407) AND {around} "
            f"AND (source, call_id) IN (SELECT source, call_id FROM messages WHERE {answered}) AND "
            '(source, call_id, extract(raw, \'nonce="([^"]+)"\')) IN '
            f"(SELECT source, call_id, {NONCE} FROM messages WHERE {answered})"
        ),
    }


def _span(where: Filter, sensors: str, params: dict[str, Any]) -> str:
    """Condition of the time and of the sensors alone."""
    conditions = ["1", *Filter(since=where.since, until=where.until).conditions(params)]
    if sensors:
        params["sensors"] = sensors.split(",")
        conditions.append("sensor IN {sensors:Array(String)}")
    return " AND ".join(conditions)


def read_proven_standing(
    store: "Store", where: Filter, origins: Sequence[str], *, sensors: str = ""
) -> dict[str, Standing]:
    """How many relays saw each of these origins themselves, and said so in calls in which they proved their own
    address; without those that none did.

    A relay whose address is made up can say anything, and so can a thousand of them that agree. What a relay proved in
    one call says nothing of another, which somebody may send in its name; nor does a call in which it seems to name
    several origins, or none once. sensors: only what these saw, their names joined by commas; empty: all.
    """
    if not origins:
        return {}
    params: dict[str, Any] = {"wanted": [storage_address(each) for each in origins]}
    proven = " UNION ALL ".join(_proofs(where, sensors, params).values())
    at = _span(where, sensors, params)
    vouches = (
        f"SELECT source, any(origin) FROM messages WHERE {REQUEST} AND via_count > 1 AND {at} "
        f"AND (source, call_id) IN ({proven}) GROUP BY source, call_id "
        "HAVING min(origin) = max(origin) AND min(path_verdict = 'relayed' AND empty(chain))"
    )
    return standing_among(store, f"AND origin IN {{wanted:Array(IPv6)}} AND (relay, origin) IN ({vouches})", params)


def list_sensors_of_origins(store: "Store", addresses: Sequence[str]) -> dict[str, set[str]]:
    """Of each of these origins the sensors that its requests reached, however they came."""
    sql = (
        f"SELECT {address('key')} AS address, groupUniqArrayArray(sensors) AS sensors FROM ("
        f"SELECT key, sensors FROM ({SETTLED_HOURS}) WHERE base = 'origin' UNION ALL "
        f"SELECT key, [toString(sensor)] AS sensors FROM ({SETTLED_PLACES}) WHERE base = 'origin') "
        f"WHERE key IN {{wanted:Array(IPv6)}} GROUP BY key {COLUMNS_FIRST}"
    )
    return _by_address(store, sql, addresses)


def list_sensors_of_relays(store: "Store", addresses: Sequence[str]) -> dict[str, set[str]]:
    """Of each of these relays the sensors that its requests reached."""
    sql = (
        f"SELECT {address('source')} AS address, groupUniqArray(sensor) AS sensors FROM messages "
        f"WHERE {REQUEST} AND source IN {{wanted:Array(IPv6)}} GROUP BY source {COLUMNS_FIRST}"
    )
    return _by_address(store, sql, addresses)


def _by_address(store: "Store", sql: str, addresses: Sequence[str]) -> dict[str, set[str]]:
    if not addresses:
        return {}
    rows = store.rows(sql, {"wanted": [storage_address(each) for each in addresses]})
    return {row["address"]: set(row["sensors"]) for row in rows}
