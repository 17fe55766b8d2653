"""What conclusions are drawn from, out of the sums of hours and windows, and where conclusions are kept.

Sets are formed here, in SQL; the Python side sees one row for each origin, and only groups and vouches that may matter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from relaytrap.evidence.origin import Origin, Settled
from relaytrap.evidence.testimony import Standing, Testimony, Vouch
from relaytrap.evidence.visits import GroupFit, GroupKey
from relaytrap.store.findings_schema import NO_ADDRESS, NONE
from relaytrap.store.queries.filter import storage_address
from relaytrap.store.queries.shape import address

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = [
    "conclusion_rows",
    "read_groups",
    "read_origins",
    "read_standing",
    "read_testimony",
    "standing_among",
    "write_conclusions",
    "write_origins",
]

# Groups below both of these cannot lead to any conclusion.
ODDS_MIN: Final = 8
CLAIMS_MIN: Final = 3
DOUBT_MIN: Final = 3
# Origins that a relay shares with others, as many as are needed to find one that nobody doubts.
SHARED_KEPT: Final = 16


# Of windows that were not split since.
CURRENT: Final = "(start, width, version) IN (SELECT start, width, version FROM windows FINAL WHERE alive)"

# Stack and shape of several sources that fit together, though perhaps none does alone.
POOLS: Final = (
    f"SELECT stack, shape FROM group_fits FINAL WHERE verdict = 'direct' AND {CURRENT} GROUP BY stack, shape "
    f"HAVING sum(log_odds) >= {ODDS_MIN} AND uniqExact(source) > 1"
)


# Addresses that few relays name, whose requests fit elsewhere though perhaps none of the relays' do alone.
TOLD: Final = (
    f"SELECT named FROM group_fits FINAL WHERE named != {NONE} AND {CURRENT} GROUP BY named "
    f"HAVING sum(log_odds) >= {DOUBT_MIN}"
)

# Relays that name several addresses, whose requests fit elsewhere though perhaps no address's do alone.
STORIES: Final = (
    f"SELECT source FROM group_fits FINAL WHERE named != {NONE} AND {CURRENT} GROUP BY source "
    f"HAVING sum(log_odds) >= {DOUBT_MIN} AND uniq(named) > 1"
)


def read_groups(store: "Store") -> list[GroupFit]:
    """Sums of groups over all windows, those that may matter."""
    sums = ", ".join(f"sum({n}) AS {n}" for n in ("visits", "inside", "fitting", "pairs", "between", "claims"))
    sql = (
        f"SELECT {address('source')} AS source, stack, shape, {address('named')} AS named, min(verdict) AS verdict, "
        f"{address('argMax(host, (visits, host))')} AS host, {sums}, sum(log_odds) AS log_odds FROM ("
        f"SELECT source, stack, shape, named, host, min(verdict) AS verdict, {sums}, sum(log_odds) AS log_odds "
        f"FROM group_fits FINAL WHERE {CURRENT} "
        "GROUP BY source, stack, shape, named, host) GROUP BY source, stack, shape, named "
        f"HAVING sum(log_odds) >= {ODDS_MIN} OR sum(claims) >= {CLAIMS_MIN} OR (stack, shape) IN ({POOLS}) OR named "
        f"IN ({TOLD}) OR (named != {NONE} AND source IN ({STORIES})) SETTINGS prefer_column_name_to_alias = 1"
    )
    found = []
    for row in store.rows(sql):
        named = row.pop("named")
        key = GroupKey(row.pop("source"), row.pop("stack"), row.pop("shape"), "" if named == NO_ADDRESS else named)
        row["host"] = "" if row["host"] == NO_ADDRESS else row["host"]
        found.append(GroupFit(key, **row))
    return found


VOUCHING: Final = f"verdict = 'relayed' AND origin != {NONE}"
# One operator: an autonomous system, or else a /16 of IPv4 or a /32 of IPv6.
NETWORK: Final = (
    "if(asn > 0, toString(asn), "
    "toString(IPv6CIDRToRange(relay, if(startsWith(IPv6NumToString(relay), '::ffff:'), 112, 32)).1))"
)


# Rows written again have the same relays and addresses, so none of this needs FINAL.


def read_testimony(store: "Store", groups: Sequence[GroupFit], standing: dict[str, Standing]) -> Testimony:
    """What relays vouch for, as far as conclusions over these groups need it. standing: see read_standing."""
    testimony = Testimony(standing)
    lone = {standing.only for standing in testimony.standing.values() if standing.only}
    lone |= {group.key.source for group in groups if group.key.origin}
    testimony.shared = _shared(store, sorted(lone))
    asked_pairs = {(group.key.source, group.host) for group in groups if group.key.origin and group.host}
    testimony.pairs = _pairs(store, asked_pairs)
    testimony.chained = _vouches(store, f"inner != {NONE}")
    testimony.deeper = _vouches(store, f"inner = {NONE} AND deeper != {NONE}")
    asked = {hop for vouch in testimony.chained for hop in vouch.hops} | {vouch.origin for vouch in testimony.deeper}
    testimony.sources = _sources(store, sorted(asked))
    return testimony


def read_standing(store: "Store", hours: Sequence[int] | None = None) -> dict[str, Standing]:
    """How many saw each origin themselves: of every origin, or of those that some hours name (seconds)."""
    some = ""
    if hours is not None:
        some = (
            f"AND origin IN (SELECT origin FROM relay_hours WHERE {VOUCHING} AND toUnixTimestamp(hour) IN "
            f"({', '.join(map(str, map(int, hours))) or '0'}))"
        )
    return standing_among(store, some)


def standing_among(store: "Store", condition: str, params: Mapping[str, Any] | None = None) -> dict[str, Standing]:
    """The same among the vouches that a further condition leaves ("AND ..."): of the origins that they name."""
    sql = (
        f"SELECT {address('origin')} AS origin, uniqExact(relay) AS relays, uniqExact({NETWORK}) AS networks, "
        f"uniqExactIf(country, country != '') AS countries, max(confidence) AS best, {address('any(relay)')} AS only "
        f"FROM relay_hours WHERE {VOUCHING} AND inner = {NONE} {condition} GROUP BY origin "
        "SETTINGS prefer_column_name_to_alias = 1"
    )
    return {
        row["origin"]: Standing(
            row["relays"], row["networks"], row["countries"], row["best"], row["only"] if row["relays"] == 1 else ""
        )
        for row in store.rows(sql, params)
    }


def _shared(store: "Store", relays: Sequence[str]) -> dict[str, set[str]]:
    """Relay → some origins that it and another relay saw, of some relays."""
    several = (
        f"SELECT origin FROM relay_hours WHERE {VOUCHING} AND inner = {NONE} GROUP BY origin "
        "HAVING uniqExact(relay) > 1"
    )
    sql = (
        f"SELECT {address('relay')} AS by, groupUniqArray({SHARED_KEPT})({address('origin')}) AS origins "
        f"FROM relay_hours WHERE {VOUCHING} AND inner = {NONE} AND relay IN {{relays:Array(IPv6)}} "
        f"AND origin IN ({several}) GROUP BY relay SETTINGS prefer_column_name_to_alias = 1"
    )
    if not relays:
        return {}
    return {row["by"]: set(row["origins"]) for row in store.rows(sql, {"relays": _stored(relays)})}


def _pairs(store: "Store", asked: set[tuple[str, str]]) -> set[tuple[str, str]]:
    if not asked:
        return set()
    relays, origins = sorted({relay for relay, _ in asked}), sorted({origin for _, origin in asked})
    sql = (
        f"SELECT DISTINCT {address('relay')} AS relay, {address('origin')} AS origin FROM relay_hours "
        f"WHERE {VOUCHING} AND inner = {NONE} AND relay IN {{relays:Array(IPv6)}} "
        "AND origin IN {origins:Array(IPv6)} SETTINGS prefer_column_name_to_alias = 1"
    )
    rows = store.rows(sql, {"relays": _stored(relays), "origins": _stored(origins)})
    return {(row["relay"], row["origin"]) for row in rows}


def _vouches(store: "Store", where: str) -> list[Vouch]:
    columns = ", ".join(f"{address(name)} AS {name}" for name in ("relay", "origin", "inner", "deeper"))
    sql = (
        f"SELECT {columns}, max(confidence) AS confidence, any({NETWORK}) AS network, any(country) AS country, "
        f"hops FROM relay_hours WHERE {VOUCHING} AND {where} GROUP BY relay, origin, inner, deeper, hops "
        "SETTINGS prefer_column_name_to_alias = 1"
    )
    found = []
    for row in store.rows(sql):
        inner = row.pop("inner")
        row["hops"] = tuple(row["hops"]) or (() if inner == NO_ADDRESS else (inner,))
        row["deeper"] = "" if row["deeper"] == NO_ADDRESS else row["deeper"]
        found.append(Vouch(**row))
    return found


def _sources(store: "Store", asked: Sequence[str]) -> set[str]:
    """Those of some addresses that handed requests on to us."""
    if not asked:
        return set()
    sql = (
        f"SELECT DISTINCT {address('relay')} AS relay FROM relay_hours WHERE verdict IN ('relayed', 'hidden') "
        "AND relay IN {asked:Array(IPv6)} SETTINGS prefer_column_name_to_alias = 1"
    )
    return {row["relay"] for row in store.rows(sql, {"asked": _stored(asked)})}


def _stored(addresses: Iterable[str]) -> list[str]:
    return [storage_address(each) for each in addresses]


# ---- conclusions -------------------------------------------------------------------------------------------------


# Country, autonomous system and its name of an address.
LookUp = Callable[[str], tuple[str, int, str]]


def conclusion_rows(settled: Settled, look_up: LookUp) -> list[dict[str, Any]]:
    """Settled as rows (kind, one, other, said, confidence), in a fixed order.

    An inner relay never sent us anything, so no message's row has its network: `other` is its country, `said` the
    autonomous system's number and name.
    """
    rows = [("hiding", source, str(stack), "", score) for (source, stack), score in settled.hiding.items()]
    rows += [("lying", relay, origin, "", 0) for relay, origins in settled.lying.items() for origin in origins]
    rows += [("doubted", relay, origin, "", 0) for relay, origins in settled.doubted.items() for origin in origins]
    rows += [("fronting", relay, origin, "", 0) for relay, origins in settled.fronting.items() for origin in origins]
    for relay in settled.inner:
        country, asn, as_name = look_up(relay)
        rows.append(("inner", relay, country, f"{asn} {as_name}", 0))
    rows += [("chained", inner, origin, said, 0) for (inner, origin), said in settled.chained.items()]
    rows += [("behind", origin, deeper, said, 0) for (origin, deeper), said in settled.behind.items()]
    rows += [("unseen", origin, "", "", 0) for origin in settled.unseen]
    names = ("kind", "one", "other", "said", "confidence")
    return [dict(zip(names, row, strict=True)) for row in sorted(rows)]


def write_conclusions(store: "Store", rows: Sequence[Mapping[str, Any]], version: int) -> None:
    """Replace all conclusions; a row of kind "all" marks the version even when there are none."""
    marked = [{"kind": "all", "one": "", "other": "", "said": "", "confidence": 0}, *rows]
    store.insert_rows("conclusions", [{**row, "version": version} for row in marked])


def read_origins(store: "Store") -> dict[str, Origin]:
    """The standing of every origin as last written."""
    sql = (
        f"SELECT {address('origin')} AS address, confidence, relays, networks, countries, contradictions "
        "FROM origin_findings FINAL WHERE confidence > 0"
    )
    return {row["address"]: Origin(**row) for row in store.rows(sql)}


def write_origins(
    store: "Store",
    origins: Iterable[Origin],
    gone: Iterable[str],
    version: int,
    look_up: LookUp,
) -> None:
    """Replace the standing of some origins; those gone get confidence 0."""
    rows = [
        {
            "origin": storage_address(each.address),
            "confidence": each.confidence,
            "relays": each.relays,
            "networks": each.networks,
            "countries": each.countries,
            "contradictions": each.contradictions,
            "version": version,
        }
        | dict(zip(("country", "asn", "as_name"), look_up(each.address), strict=True))
        for each in (*origins, *(Origin(address, 0, 0, 0, 0) for address in gone))
    ]
    store.insert_rows("origin_findings", rows)
