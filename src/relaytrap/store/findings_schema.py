"""Tables of the findings over sets: sums of messages by hour, places of guests, conclusions.

All are derived from `messages` by hub.analyse and can be emptied at any time. Rows are never changed: what is worked
out again is written again with a higher `version`, and the engine keeps the newest of each key (read with FINAL). One
partition is one day, so that a day can be dropped and made again.
"""

from typing import Final

from relaytrap.store.schema import EMBEDDED, WORD, Layout

__all__ = ["COUNTS", "FINDINGS", "REQUESTS", "WORDS", "findings_ddl", "relay_hours_select", "track_hours_select"]

# Plain text in lists: a dictionary for each of these columns made writing an hour of a track take 12 us instead of 7.
WORDS: Final = "Array(String)"
TIME: Final = "DateTime64(9, 'UTC')"
HOUR: Final = "DateTime('UTC')"
COUNTS: Final = "Map(String, UInt64)"

# Table → columns, key, expression of the partition.
FINDINGS: Final[dict[str, tuple[str, str, str]]] = {
    # Messages of every twenty seconds, with a sum that changes whenever one of them or its track does: what is new.
    "buckets": (
        f"""bucket {HOUR}, messages UInt64, openers UInt64, checksum UInt64, version UInt64""",
        "bucket",
        "toYYYYMMDD(bucket)",
    ),
    # Windows of association (see hub.analyse); alive: 0 once a window was split.
    "windows": (
        f"""start {HOUR}, width UInt32, alive UInt8, version UInt64""",
        "(start, width)",
        "toYYYYMMDD(start)",
    ),
    # Every hour of every track.
    "track_hours": (
        f"""hour {HOUR}, track UInt64, verdict {WORD}, source IPv6, origin IPv6, inner IPv6, deeper IPv6, shape UInt64,
        stack UInt64, messages UInt64, openers UInt64, first {TIME}, last {TIME}, sensors {WORDS}, methods {COUNTS},
        goals {COUNTS}, tools {COUNTS}, agents {WORDS}, transports {WORDS}, country {WORD}, asn UInt32, as_name {WORD},
        targets AggregateFunction(groupBitmap, UInt64), relays AggregateFunction(uniq, IPv6), version UInt64""",
        "(hour, track)",
        "toYYYYMMDD(hour)",
    ),
    # Every hour of every track through every relay.
    "relay_hours": (
        f"""hour {HOUR}, relay IPv6, track UInt64, verdict {WORD}, origin IPv6, inner IPv6, hops {WORDS},
        deeper IPv6, stack UInt64, messages UInt64, openers UInt64, first {TIME}, last {TIME}, confidence UInt8,
        kinds {COUNTS}, genuine UInt64, claims UInt64, masks UInt64, agents {WORDS}, transports {WORDS},
        country {WORD}, asn UInt32, as_name {WORD}, version UInt64""",
        "(hour, relay, track)",
        "toYYYYMMDD(hour)",
    ),
    # Where guests were put; named: whom the relay named instead.
    "placements": (
        f"""id UInt64, track UInt64, at {TIME}, source IPv6, stack UInt64, shape UInt64, verdict {WORD}, named IPv6,
        sensor {WORD}, target_key UInt64, goal {WORD}, method {WORD}, origin IPv6, odds Float32, why {WORD},
        inferred UInt32, version UInt64""",
        "id",
        "toYYYYMMDD(at)",
    ),
    # How well groups of guests fitted, for each window.
    "group_fits": (
        f"""start {HOUR}, width UInt32, source IPv6, stack UInt64, shape UInt64, named IPv6, verdict {WORD}, host IPv6,
        visits UInt32, inside UInt32, fitting UInt32, pairs UInt32, between UInt32, log_odds Float64, claims UInt32,
        version UInt64""",
        "(start, width, source, stack, shape, named)",
        "toYYYYMMDD(start)",
    ),
    # What follows from all of it (evidence.origin.Settled): the newest version is the whole of it.
    "conclusions": (
        f"""kind {WORD}, one String, other String, said String, confidence UInt8, version UInt64""",
        "(kind, one, other)",
        "tuple()",
    ),
    "origin_findings": (
        f"""origin IPv6, confidence UInt8, relays UInt32, networks UInt32, countries UInt32, contradictions UInt32,
        country {WORD}, asn UInt32, as_name {WORD}, version UInt64""",
        "origin",
        "tuple()",
    ),
}


def findings_ddl(layout: Layout = EMBEDDED) -> list[str]:
    """CREATE TABLE of each; on a cluster they stand whole on every node, to be joined where the messages are."""
    engine = layout.engine("ReplacingMergeTree", "version", everywhere=True)
    return [
        f"CREATE TABLE IF NOT EXISTS {name}{layout.on_cluster} ({columns}) "
        f"ENGINE = {engine} PARTITION BY {partition} ORDER BY {key}"
        for name, (columns, key, partition) in FINDINGS.items()
    ]


NO_ADDRESS: Final = "::"
NONE: Final = f"toIPv6('{NO_ADDRESS}')"
REQUESTS: Final = "direction = 'in' AND kind = 'request'"
HOPS: Final = "arrayFilter(hop -> hop != '', chain)"
INNER: Final = f"toIPv6OrDefault({HOPS}[1])"
# More Vias than were walked: what the furthest one names is a claim about somebody further back.
DEEPER: Final = f"if(relay != {NONE} AND via_count > length(chain) + 2, claim, {NONE})"
# A Via that Kamailio wrote, by its form; the hash was checked when the path was judged.
GENUINE: Final = r"match(branch, '^z9hG4bK[0-9a-f]{1,4}\\.[0-9a-f]{32}\\.[0-9]+$')"


def track_hours_select(where: str, version: int) -> str:
    """Rows of `track_hours` for messages under a condition on received_at."""
    return (
        "SELECT toStartOfHour(received_at) AS hour, track, any(path_verdict) AS verdict, any(source) AS source, "
        f"any(origin) AS origin, any({INNER}) AS inner, any({DEEPER}) AS deeper, max(shape) AS shape, "
        "max(stack) AS stack, count() AS messages, countIf(opener) AS openers, min(received_at) AS first, "
        "max(received_at) AS last, groupUniqArray(64)(sensor) AS sensors, "
        f"{_counts('method')} AS methods, {_counts('goal')} AS goals, {_counts('tool')} AS tools, "
        "groupUniqArray(8)(user_agent) AS agents, groupUniqArray(8)(transport) AS transports, "
        "any(country) AS country, any(asn) AS asn, any(as_name) AS as_name, "
        "groupBitmapStateIf(target_key, opener AND target_key > 0) AS targets, "
        f"uniqStateIf(relay, relay != {NONE}) AS relays, {version} AS version "
        f"FROM messages WHERE {REQUESTS} AND track != 0 AND {where} GROUP BY hour, track"
    )


def relay_hours_select(where: str, version: int) -> str:
    """Rows of `relay_hours` for messages under a condition on received_at."""
    return (
        f"SELECT toStartOfHour(received_at) AS hour, if(relay = {NONE}, source, relay) AS by, track, "
        f"any(path_verdict) AS verdict, any(origin) AS origin, any({INNER}) AS inner, "
        f"any({HOPS}) AS hops, any({DEEPER}) AS deeper, "
        "max(stack) AS stack, count() AS messages, countIf(opener) AS openers, min(received_at) AS first, "
        "max(received_at) AS last, max(origin_confidence) AS confidence, "
        f"{_counts('path_kind', '1')} AS kinds, countIf({GENUINE}) AS genuine, countIf(claim != {NONE}) AS claims, "
        "countIf(mask != '') AS masks, groupUniqArrayIf(8)(user_agent, opener) AS agents, "
        "groupUniqArray(8)(transport) AS transports, any(country) AS country, any(asn) AS asn, "
        f"any(as_name) AS as_name, {version} AS version "
        f"FROM messages WHERE {REQUESTS} AND {where} "
        f"AND (relay != {NONE} OR (path_verdict = 'unknown' AND path_kind = 'stateful')) GROUP BY hour, by, track"
    )


def _counts(column: str, condition: str = "opener") -> str:
    """Value → requests, of a column with few values."""
    kept = f"{condition} AND {column} != ''"
    return f"CAST(sumMapIf([{column}], [toUInt64(1)], {kept}), '{COUNTS}')"
