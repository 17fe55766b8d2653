"""Tables of the findings over sets: sums of messages by hour, places of guests, conclusions.

All are derived from `messages` by hub.analyse and can be emptied at any time. Rows are never changed: what is worked
out again is written again with a higher `version`, and the engine keeps the newest of each key (read with FINAL). One
partition is one day, so that a day can be dropped and made again.
"""

from typing import Final, NamedTuple

from relaytrap.store.schema import EMBEDDED, WORD, Layout

__all__ = ["COUNTS", "FINDINGS", "PARTS", "RELAYS", "REQUESTS", "TRACKS", "WORDS", "Sums", "findings_ddl"]

# Plain text in lists: a dictionary for each of these columns made writing an hour of a track take 12 us instead of 7.
WORDS: Final = "Array(String)"
TIME: Final = "DateTime64(9, 'UTC')"
HOUR: Final = "DateTime('UTC')"
COUNTS: Final = "Map(String, UInt64)"

NO_ADDRESS: Final = "::"
NONE: Final = f"toIPv6('{NO_ADDRESS}')"
REQUESTS: Final = "direction = 'in' AND kind = 'request'"
HOPS: Final = "arrayFilter(hop -> hop != '', chain)"
INNER: Final = f"toIPv6OrDefault({HOPS}[1])"
# More Vias than were walked: what the furthest one names is a claim about somebody further back.
DEEPER: Final = f"if(relay != {NONE} AND via_count > length(chain) + 2, claim, {NONE})"
# A Via that Kamailio wrote, by its form; the hash was checked when the path was judged.
GENUINE: Final = r"match(branch, '^z9hG4bK[0-9a-f]{1,4}\\.[0-9a-f]{32}\\.[0-9]+$')"


class Sum(NamedTuple):
    """A column of the sums of hours and of their parts. of_messages: what gives it for messages; of_sums: the function
    that gives it for several sums."""

    name: str
    type: str
    of_messages: str
    of_sums: str


def _counts(column: str, condition: str = "opener") -> str:
    """Value → requests, of a column with few values."""
    kept = f"{condition} AND {column} != ''"
    return f"CAST(sumMapIf([{column}], [toUInt64(1)], {kept}), '{COUNTS}')"


def _any(name: str, type: str = WORD, of_messages: str = "") -> Sum:
    return Sum(name, type, f"any({of_messages or name})", "any")


def _words(name: str, most: int, of_messages: str) -> Sum:
    return Sum(name, WORDS, of_messages.replace("(", f"({most})(", 1), f"groupUniqArrayArray({most})")


PLACE: Final = (_any("country"), _any("asn", "UInt32"), _any("as_name"))
AMOUNTS: Final = (
    Sum("messages", "UInt64", "count()", "sum"),
    Sum("openers", "UInt64", "countIf(opener)", "sum"),
    Sum("first", TIME, "min(received_at)", "min"),
    Sum("last", TIME, "max(received_at)", "max"),
)
STACK: Final = Sum("stack", "UInt64", "max(stack)", "max")
ORIGIN: Final = _any("origin", "IPv6")
INNERMOST: Final = _any("inner", "IPv6", INNER)
NAMED_BY_ORIGIN: Final = _any("deeper", "IPv6", DEEPER)
TRACK_SUMS: Final = (
    _any("verdict", WORD, "path_verdict"),
    _any("source", "IPv6"),
    ORIGIN,
    INNERMOST,
    NAMED_BY_ORIGIN,
    Sum("shape", "UInt64", "max(shape)", "max"),
    STACK,
    *AMOUNTS,
    _words("sensors", 64, "groupUniqArray(sensor)"),
    *(Sum(f"{name}s", COUNTS, _counts(name), "sumMap") for name in ("method", "goal", "tool")),
    _words("agents", 8, "groupUniqArray(user_agent)"),
    _words("transports", 8, "groupUniqArray(transport)"),
    *PLACE,
    Sum(
        "targets",
        "AggregateFunction(groupBitmap, UInt64)",
        "groupBitmapStateIf(target_key, opener AND target_key > 0)",
        "groupBitmapMergeState",
    ),
    Sum("relays", "AggregateFunction(uniq, IPv6)", f"uniqStateIf(relay, relay != {NONE})", "uniqMergeState"),
)
RELAY_SUMS: Final = (
    _any("verdict", WORD, "path_verdict"),
    ORIGIN,
    INNERMOST,
    _any("hops", WORDS, HOPS),
    NAMED_BY_ORIGIN,
    STACK,
    *AMOUNTS,
    Sum("confidence", "UInt8", "max(origin_confidence)", "max"),
    Sum("kinds", COUNTS, _counts("path_kind", "1"), "sumMap"),
    Sum("genuine", "UInt64", f"countIf({GENUINE})", "sum"),
    Sum("claims", "UInt64", f"countIf(claim != {NONE})", "sum"),
    Sum("masks", "UInt64", "countIf(mask != '')", "sum"),
    _words("agents", 8, "groupUniqArrayIf(user_agent, opener)"),
    _words("transports", 8, "groupUniqArray(transport)"),
    *PLACE,
)


class Sums(NamedTuple):
    """What messages are summed up by: by every track, or by every track through every relay.

    name: begins the names of its tables, which are NAME_hours and NAME_parts. columns, key: of those tables, and what
    the key is of messages. where: the messages that count.
    """

    name: str
    columns: str
    key: str
    key_of_messages: str
    where: str
    sums: tuple[Sum, ...]

    def ddl(self, time: str) -> str:
        """The columns of a table of sums. time: name of the first, the hour's or the part's beginning."""
        sums = ", ".join(f"{each.name} {each.type}" for each in self.sums)
        return f"{time} {HOUR}, {self.columns}, {sums}, version UInt64"

    def of_messages(self, span: str, where: str, version: int) -> str:
        """SELECT of rows for messages under a condition. span: the hour or part of a message."""
        sums = ", ".join(f"{each.of_messages} AS {each.name}" for each in self.sums)
        return (
            f"SELECT {span} AS span, {self.key_of_messages}, {sums}, {version} AS version "
            f"FROM messages WHERE {REQUESTS} AND {self.where} AND {where} GROUP BY ALL"
        )

    def of_parts(self, where: str, version: int) -> str:
        """SELECT of rows of hours for parts of them under a condition."""
        sums = ", ".join(f"{each.of_sums}({each.name}) AS {each.name}" for each in self.sums)
        return (
            f"SELECT toStartOfHour(part) AS span, {self.key}, {sums}, {version} AS version "
            f"FROM {self.name}_parts FINAL WHERE {where} GROUP BY span, {self.key} "
            "SETTINGS prefer_column_name_to_alias = 1"
        )


TRACKS: Final = Sums("track", "track UInt64", "track", "track", "track != 0", TRACK_SUMS)
RELAYS: Final = Sums(
    "relay",
    "relay IPv6, track UInt64",
    "relay, track",
    f"if(relay = {NONE}, source, relay) AS by, track",
    f"(relay != {NONE} OR (path_verdict = 'unknown' AND path_kind = 'stateful'))",
    RELAY_SUMS,
)
HOUR_OF_PART: Final = "toUnixTimestamp(toStartOfHour(part))"

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
    # Every hour of every track, and of every track through every relay.
    "track_hours": (TRACKS.ddl("hour"), "(hour, track)", "toYYYYMMDD(hour)"),
    "relay_hours": (RELAYS.ddl("hour"), "(hour, relay, track)", "toYYYYMMDD(hour)"),
    # The same of parts of busy hours for as long as messages of those hours come in, and which parts there are (see
    # store.sums).
    "track_parts": (TRACKS.ddl("part"), "(part, track)", HOUR_OF_PART),
    "relay_parts": (RELAYS.ddl("part"), "(part, relay, track)", HOUR_OF_PART),
    "hour_parts": (f"part {HOUR}, messages UInt64, checksum UInt64, version UInt64", "part", HOUR_OF_PART),
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

# Tables that only spare work, and may be emptied at any time; the first says what the others hold.
PARTS: Final = ("hour_parts", "track_parts", "relay_parts")


def findings_ddl(layout: Layout = EMBEDDED) -> list[str]:
    """CREATE TABLE of each; on a cluster they stand whole on every node, to be joined where the messages are."""
    engine = layout.engine("ReplacingMergeTree", "version", everywhere=True)
    return [
        f"CREATE TABLE IF NOT EXISTS {name}{layout.on_cluster} ({columns}) "
        f"ENGINE = {engine} PARTITION BY {partition} ORDER BY {key}"
        for name, (columns, key, partition) in FINDINGS.items()
    ]
