"""What the store holds: the single list of columns of `messages`, the rollups over it, and the DDL made from both.

The DDL is a template: `Layout` fills in engine names, so that the same list renders embedded MergeTree tables here and
replicated, distributed tables on a cluster. Nothing here talks to an engine.

How the tables are cut: partitions are days (retention drops days), the key is (received_at, id), which serves time
ranges and newest-first paging; look-ups by anything else go through bloom filters. `raw` is by far the widest column
and is read only for the message page, exports and reanalysis.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ATTACK",
    "COLUMNS",
    "CORES_OF_DAY",
    "COUNTED_VALUES",
    "FACETS",
    "JSON_LISTS",
    "LISTED_VALUES",
    "NAMES",
    "SOURCE_LISTS",
    "Column",
    "Layout",
    "column_ddl",
    "messages_ddl",
    "quoted",
    "rollup_ddl",
    "rollup_upgrade_ddl",
    "versions_ddl",
    "views_ddl",
]

# Rows of the same insert are recognised by token this many batches back: a week of one segment every two seconds
# from a sensor that resends, with room for several sensors.
DEDUPLICATION_WINDOW: Final = 100_000
# On a cluster also no longer than this: a sensor may have been away for its spool's 30 days, but it resends what it had
# sent without an answer within minutes of its return.
DEDUPLICATION_SECONDS: Final = 30 * 86_400
# A batch is acknowledged when its insert returned, and the sensor then deletes it: it must be on the disk by then.
DURABLE: Final = "fsync_after_insert = 1, fsync_part_directory = 1"
# Smaller parts keep all columns in one file: a batch then syncs three files and not 140, which costs the system 7 us a
# row less. Merged parts are beyond it.
ONE_FILE: Final = f"min_bytes_for_wide_part = {64 << 20}"
# Merging column by column instead of row by row: 80 columns at once took 300 MB more during an import.
LEAN: Final = "vertical_merge_algorithm_min_rows_to_activate = 1"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `messages`. stored: the engine's type; wire: the type that a writer sends (see store/native.py)."""

    name: str
    stored: str
    doc: str
    codec: str = ""
    wire: str = ""

    @property
    def sent(self) -> str:
        """Type of the column in a block from a writer: dictionaries are the engine's business."""
        return self.wire or self.stored.replace("LowCardinality(String)", "String")


WORD = "LowCardinality(String)"
WORDS = "Array(LowCardinality(String))"
TIME = "Delta, ZSTD(1)"
TEXT = "ZSTD(1)"
FAST = "LZ4"  # for what whole weeks are read of: 30 % less time than ZSTD, for a byte a row

COLUMNS: Final = (
    Column("id", "UInt64", "Hash of sensor, capture, frame, its own time and raw; shown as 16 hex digits", "NONE"),
    Column("received_at", "DateTime64(9, 'UTC')", "When the sensor read the bytes, or they came here", TIME),
    Column(
        "own_at", "DateTime64(9, 'UTC')", "The time it came with, where that is not believed; 1970 where it is", TIME
    ),
    Column("ingested_at", "DateTime64(3, 'UTC')", "When the hub took the message in", TIME),
    Column("sensor", WORD, "Sensor that saw it, or the import that stands in for one"),
    Column("capture", WORD, "File name, for imports"),
    Column("frame", "UInt32", "Number of the packet in that file, from 1; 0 for live traffic", TIME),
    Column("direction", "Enum8('in' = 1, 'out' = 2)", "From the source to us, or our answer"),
    Column("transport", WORD, "udp, tcp, tls, ws, wss or sctp"),
    Column("source", "IPv6", "The peer's address as our socket saw it; IPv4 as ::ffff:a.b.c.d", FAST),
    Column("source_port", "UInt16", "The peer's port"),
    Column("local", "IPv6", "Our own address", TEXT),
    Column("local_port", "UInt16", "Our own port"),
    Column("kind", "Enum8('request' = 1, 'response' = 2, 'unparsed' = 3)", "What the parser made of the bytes"),
    Column("method", WORD, "Method of a request, as written; empty otherwise"),
    Column("status_code", "UInt16", "Status of a response; 0 otherwise"),
    Column("request_uri", "String", "Request-URI as written", TEXT),
    Column("request_user", "String", "User part of the Request-URI, unescaped", TEXT),
    Column("request_host", "String", "Host part of the Request-URI", TEXT),
    Column("from_user", "String", "User part of From", TEXT),
    Column("from_host", "String", "Host part of From", TEXT),
    Column("to_user", "String", "User part of To", TEXT),
    Column("call_id", "String", "Call-ID", TEXT),
    Column("cseq", "UInt32", "CSeq number"),
    Column("cseq_method", WORD, "CSeq method: what a response answers"),
    Column("from_tag", "String", "Tag of From", TEXT),
    Column("to_tag", "String", "Tag of To", TEXT),
    Column("branch", "String", "Branch of the topmost Via", TEXT),
    Column("user_agent", WORD, "User-Agent, else Server"),
    Column("via_count", "UInt8", "Number of Via values (255: that many or more)"),
    Column("max_forwards", "Int16", "Max-Forwards; -1 when absent"),
    Column("size", "UInt32", "Bytes of the message"),
    Column("country", WORD, "Country of the source, ISO 3166 alpha-2; empty when unknown"),
    Column("asn", "UInt32", "Autonomous system of the source; 0 when unknown"),
    Column("as_name", WORD, "Name of that autonomous system"),
    Column("tool", WORD, "Tool that made it, by its own marks; empty when unknown"),
    Column("tool_claimed", WORD, "Product that the User-Agent claims"),
    Column("tool_kind", WORD, "scanner, toll fraud, phone, ...; empty when unknown"),
    Column("tool_confidence", "UInt8", "0 to 99"),
    Column("tool_faked", "Bool", "The claim contradicts the marks"),
    Column("fingerprint", WORD, "Key of the message's structure: not of its values, nor of what proxies change"),
    Column("dialled", "String", "Number dialled, +E.164 when it can be read so, otherwise its digits", TEXT),
    Column("dialled_digits", "String", "Number exactly as dialled", TEXT),
    Column("dialled_prefix", WORD, "What was put before the number: escapes and international prefix"),
    Column("dialled_country", WORD, "Country the number leads to"),
    Column("dialled_kind", WORD, "Kind of number: fixed, mobile, premium, ..."),
    Column("dialled_core", "String", "The part that recurs under many prefixes", TEXT),
    Column("target", "String", "Extension or user that was tried", TEXT),
    Column("decoded", "String", "Identifiers decoded, as JSON (see JSON_LISTS)", TEXT),
    Column("credentials", "String", "Digest response in John the Ripper's form", TEXT),
    Column("anomalies", WORDS, "Names of what is wrong with the bytes"),
    Column("notes", WORDS, "What the reader saw around the bytes"),
    Column("path_verdict", WORD, "direct, relayed, hidden, forged or unknown; empty when not judged"),
    Column("relay", "IPv6", "Relay that handed it to us; :: for none", TEXT),
    Column("origin", "IPv6", "Where it is inferred to start; :: for none", TEXT),
    Column("origin_port", "UInt16", "Port there; 0 when unknown"),
    Column("origin_confidence", "UInt8", "0 to 100"),
    Column("chain", WORDS, "Relays between relay and origin, nearest first; empty for one inside another's network"),
    Column("claim", "IPv6", "Address that only claims name and that may lie further back; :: for none", TEXT),
    Column("path_kind", WORD, "What this message tells of its relay; empty for nothing"),
    Column("mask", "String", "Hops masked with a relay's secret key", TEXT),
    Column("start", "Int16", "Max-Forwards that the sender started with if every hop counted; -1 unknown"),
    Column("hops", "String", "Hops and what each proves, nearest first, as JSON", TEXT),
    Column("evidence", "String", "Reasons of tool and path, as JSON", TEXT),
    Column("opener", "Bool", "The request opens something (not within a dialog, not sent by a hop)"),
    Column("goal", WORD, "What this one request is for: host, extension, password, toll, relay; empty when unknown"),
    Column("target_key", "UInt64", "The target as a number, or a hash of it; 0 for none", TEXT),
    Column("shape", "UInt64", "Key of the form that even rebuilding relays keep; 0 for none", TEXT),
    Column("stack", "UInt64", "Key of the grammar of branch, Call-ID and tag; 0 for none", TEXT),
    Column("track", "UInt64", "Key of what joins messages into campaigns; 0 for none", TEXT),
    Column("rules_version", "UInt16", "Version of the rules that derived this row"),
    Column("raw", "String", "The message, byte for byte", "ZSTD(1)"),
)
NAMES: Final = tuple(column.name for column in COLUMNS)

# Only for columns whose values are many and rare: a whole column of words is read faster than an index of it, and each
# index costs half a microsecond a row when it is written.
INDEXES: Final = (
    ("by_id", "id", "bloom_filter(0.01)", 2),
    ("by_source", "source", "bloom_filter(0.01)", 2),
    ("by_call_id", "call_id", "bloom_filter(0.01)", 2),
    ("by_track", "track", "bloom_filter(0.01)", 2),
    ("by_own_at", "own_at", "minmax", 16),  # nearly all are the same, so nearly nothing is read
)

# Columns that hold JSON lists of lists → the names of the inner lists' places.
JSON_LISTS: Final = {
    "decoded": (*("field", "encoding", "kind", "value", "quote", "offset", "length", "note", "is_source", "is_local"),),
    "hops": ("address", "port", "sent_by", "transport", "standing", "by", "software", "over_connection"),
    "evidence": ("rule", "version", "weight", "quote", "offset", "length", "text"),
}

# Rows that questions about attacks are asked of: what came in and asks for something.
ATTACK: Final = "direction = 'in' AND kind != 'response'"

# Facet of the `hourly` rollup → its value. Each is kept for every hour and country of the source.
FACETS: Final = {
    "all": "''",
    "network": "concat(toString(asn), ' ', as_name)",
    "tool": "toString(tool)",
    "method": "toString(method)",
    "sensor": "toString(sensor)",
    "transport": "toString(transport)",
    "verdict": "toString(path_verdict)",
    "user_agent": "toString(user_agent)",
    "dialled_country": "toString(dialled_country)",
    "dialled_core": "dialled_core",
}
# Rows of facet and value that are counted: of the other facets, what has no value stands under "all" alone.
COUNTED_VALUES: Final = "(value != '' OR facet IN ('all', 'tool', 'verdict', 'user_agent'))"
# One more that the rollup has for itself: the cores of whole days (`hour` is a day's first), without country and
# sources. A core is dialled a few times an hour from many countries, so that hours hardly sum it up: those of a week
# took half of the overview's time.
CORES_OF_DAY: Final = "dialled_core_day"


@dataclass(frozen=True, slots=True)
class Layout:
    """How tables are made: plain ones in the embedded engine or on one server, or sharded and replicated on a cluster.

    cluster: its name, or "" for none. On a cluster a sharded table NAME is a Distributed table over NAME_local, which
    every shard has; a table that stands everywhere is whole on each node, so that it can be joined where the messages
    are. Reading and inserting use NAME in either layout; what alters a table uses `altered(NAME)`.
    """

    cluster: str = ""
    database: str = "relaytrap"

    @property
    def on_cluster(self) -> str:
        """Clause after the table's name, with a leading blank, or ""."""
        return f" ON CLUSTER {quoted(self.cluster)}" if self.cluster else ""

    def local(self, name: str) -> str:
        """Name of the table that holds a sharded table's rows on one node."""
        return f"{name}_local" if self.cluster else name

    def altered(self, name: str) -> str:
        """What stands for a sharded table in ALTER, TRUNCATE, DELETE and DROP."""
        return self.local(name) + self.on_cluster

    def parts(self) -> str:
        """The table of the tables' parts."""
        return f"cluster({quoted(self.cluster)}, system.parts)" if self.cluster else "system.parts"

    def engine(self, family: str, *arguments: str, everywhere: bool = False) -> str:
        """The engine clause that stands for a MergeTree family member ("AggregatingMergeTree", ...)."""
        if not self.cluster:
            return f"{family}({', '.join(arguments)})"
        place, replica = ("all", "{shard}-{replica}") if everywhere else ("{shard}", "{replica}")
        keeper = (f"'/clickhouse/tables/{place}/{{database}}/{{table}}'", f"'{replica}'")
        return f"Replicated{family}({', '.join((*keeper, *arguments))})"

    def window(self) -> str:
        """Table settings: how long the tokens of inserts are remembered."""
        if not self.cluster:
            return f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
        return (
            f"replicated_deduplication_window = {DEDUPLICATION_WINDOW}, "
            f"replicated_deduplication_window_seconds = {DEDUPLICATION_SECONDS}"
        )

    def distributed(self, name: str, key: str) -> list[str]:
        """CREATE TABLE of the table that spreads rows over the shards by an expression; none without a cluster.

        The key must follow from the row: a batch that is sent again is then cut the same way, and each shard knows
        its part by the batch's token.
        """
        if not self.cluster:
            return []
        whole = f"{quoted(self.cluster)}, {quoted(self.database)}, {self.local(name)}, {key}"
        create = f"CREATE TABLE IF NOT EXISTS {name}{self.on_cluster} AS {self.local(name)}"
        return [f"{create} ENGINE = Distributed({whole})"]


EMBEDDED: Final = Layout()


def quoted(name: str) -> str:
    """An identifier in SQL, whatever it is."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def column_ddl(column: Column) -> str:
    """A column's name, type and codec, as CREATE and ALTER TABLE take them."""
    codec = f" CODEC({column.codec})" if column.codec else ""
    return f"{column.name} {column.stored}{codec}"


def index_ddl(wanted: str) -> str:
    """An index's name, column and kind, as CREATE and ALTER TABLE take them."""
    name, column, kind, grain = next(index for index in INDEXES if index[0] == wanted)
    return f"{name} {column} TYPE {kind} GRANULARITY {grain}"


def messages_ddl(layout: Layout = EMBEDDED, name: str = "messages") -> list[str]:
    """Statements that make the messages, under any name (reanalysis fills a second one)."""
    columns = [column_ddl(column) for column in COLUMNS]
    indexes = [f"INDEX {index_ddl(name)}" for name, *_ in INDEXES]
    return [
        f"CREATE TABLE IF NOT EXISTS {layout.altered(name)} (\n  " + ",\n  ".join(columns + indexes) + "\n) "
        f"ENGINE = {layout.engine('MergeTree')} PARTITION BY toYYYYMMDD(received_at) ORDER BY (received_at, id) "
        f"SETTINGS {layout.window()}, {DURABLE}, {ONE_FILE}, {LEAN}",
        *layout.distributed(name, "id"),
    ]


HOURLY_COLUMNS = (
    "facet LowCardinality(String), hour DateTime('UTC') CODEC(Delta, ZSTD(1)), country LowCardinality(String), "
    "value String CODEC(ZSTD(1)), messages SimpleAggregateFunction(sum, UInt64), "
    "sources AggregateFunction(uniq, IPv6)"
)
# What `hourly_sources` lists of a source: its column → that of the messages. As many values of an hour are kept as are
# shown: who writes another User-Agent into every message fills no disk with it.
SOURCE_LISTS: Final = {"sensors": "sensor", "methods": "method", "tools": "tool", "user_agents": "user_agent"}
LISTED_VALUES: Final = 8
SOURCE_DEEDS: Final = (
    *(
        f"{n} SimpleAggregateFunction(groupUniqArrayArray({LISTED_VALUES}), Array(String)) CODEC({TEXT})"
        for n in SOURCE_LISTS
    ),
    f"targets AggregateFunction(uniq, String) CODEC({TEXT})",
)
SOURCES_COLUMNS = (
    "hour DateTime('UTC') CODEC(Delta, ZSTD(1)), source IPv6 CODEC(ZSTD(1)), "
    "country SimpleAggregateFunction(anyLast, LowCardinality(String)), asn SimpleAggregateFunction(anyLast, UInt32), "
    "as_name SimpleAggregateFunction(anyLast, LowCardinality(String)), "
    "messages SimpleAggregateFunction(sum, UInt64), relayed SimpleAggregateFunction(sum, UInt64), "
    "first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')), "
    f"last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')), {', '.join(SOURCE_DEEDS)}"
)


def rollup_ddl(layout: Layout = EMBEDDED, suffix: str = "") -> list[str]:
    """Statements that make the rollup tables.

    suffix: appended to every name, for the second set that reanalysis fills.
    """
    tables = (
        ("hourly", HOURLY_COLUMNS, "(facet, hour, country, value)", "cityHash64(facet, value)"),
        ("hourly_sources", SOURCES_COLUMNS, "(hour, source)", "cityHash64(source)"),
    )
    made = []
    for name, columns, key, spread in tables:
        made.append(
            f"CREATE TABLE IF NOT EXISTS {layout.altered(name + suffix)} ({columns}) "
            f"ENGINE = {layout.engine('AggregatingMergeTree')} PARTITION BY toYYYYMMDD(hour) ORDER BY {key} "
            f"SETTINGS {layout.window()}, {DURABLE}"
        )
        made += layout.distributed(name + suffix, spread)
    return made


def views_ddl(layout: Layout = EMBEDDED) -> list[str]:
    """Statements that make the views which feed the rollups; on a cluster each shard sums up its own messages."""
    return [
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name}_view{layout.on_cluster} TO {layout.local(name)} AS {select}"
        for name, select in _selects(layout).items()
    ]


def rollup_upgrade_ddl(layout: Layout = EMBEDDED) -> list[str]:
    """Statements that give rollups of an older store the columns and views of a new one, and leave their rows alone."""
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in SOURCE_DEEDS)
    tables = dict.fromkeys((layout.local("hourly_sources"), "hourly_sources"))
    return [
        *(f"ALTER TABLE {table}{layout.on_cluster} {added}" for table in tables),
        *(f"ALTER TABLE {n}_view{layout.on_cluster} MODIFY QUERY {each}" for n, each in _selects(layout).items()),
    ]


def _selects(layout: Layout) -> dict[str, str]:
    """Rollup → what fills it from the messages of one node."""
    origin = layout.local("messages")
    return {"hourly": hourly_select(origin), "hourly_sources": sources_select(origin)}


def hourly_select(origin: str = "messages", where: str = ATTACK) -> str:
    """Rows of `hourly`: for each facet, hour, country and value the messages and the unique sources."""
    names = ", ".join(f"'{facet}'" for facet in (*FACETS, CORES_OF_DAY))
    values = ", ".join((*FACETS.values(), FACETS["dialled_core"]))
    daily = f"facet = '{CORES_OF_DAY}'"
    return (
        f"SELECT facet, if({daily}, toStartOfDay(received_at), toStartOfHour(received_at)) AS hour, "
        f"if({daily}, '', message.country) AS country, value, count() AS messages, "
        f"uniqStateIf(source, NOT {daily}) AS sources "
        f"FROM {origin} AS message ARRAY JOIN [{names}] AS facet, [{values}] AS value "
        f"WHERE {where} AND {COUNTED_VALUES} "
        "GROUP BY facet, hour, country, value"
    )


def sources_select(origin: str = "messages", where: str = ATTACK) -> str:
    """Rows of `hourly_sources`: for each hour and source how much it sent, how much of that came for others, and what
    it was."""
    lists = (f"groupUniqArrayIf({LISTED_VALUES})({name}, {name} != '') AS {n}" for n, name in SOURCE_LISTS.items())
    return (
        "SELECT toStartOfHour(received_at) AS hour, source, any(country) AS country, any(asn) AS asn, "
        "any(as_name) AS as_name, count() AS messages, countIf(path_verdict IN ('relayed', 'hidden')) AS relayed, "
        f"min(received_at) AS first_seen, max(received_at) AS last_seen, {', '.join(lists)}, "
        f"uniqState(target) AS targets FROM {origin} WHERE {where} GROUP BY hour, source"
    )


def versions_ddl(layout: Layout = EMBEDDED) -> str:
    """CREATE TABLE of the applied schema steps."""
    return (
        f"CREATE TABLE IF NOT EXISTS schema_steps{layout.on_cluster} (step UInt32, name String, applied_at "
        f"DateTime64(3, 'UTC'), written_by String) ENGINE = {layout.engine('MergeTree', everywhere=True)} ORDER BY step"
    )
