"""What the analysis over sets reads and writes: changed buckets, windows of visits. Sums of hours are in store.sums.

Sets are formed here, in SQL over columns; only sums, and the visits of one window at a time, reach Python.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from relaytrap.clock import NS_PER_S
from relaytrap.evidence.topology_hiding import Masked
from relaytrap.evidence.visits import GroupFit, GroupKey, Placement, TrackInfo, Visit, WindowFindings
from relaytrap.store.findings_schema import FINDINGS, NO_ADDRESS, NONE, PARTS, REQUESTS
from relaytrap.store.queries.filter import storage_address
from relaytrap.store.queries.shape import address

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = [
    "BUCKET_S",
    "Bucket",
    "Window",
    "between",
    "drop_days",
    "drop_hours_of_parts",
    "hours_of_parts",
    "newest_version",
    "read_buckets",
    "read_tracks",
    "read_visits",
    "read_windows",
    "runs",
    "stored_buckets",
    "write_buckets",
    "write_found",
    "write_windows",
]

BUCKET_S: Final = 20
"""At 9,000 messages/s a hub's processes took 1.7 GB with windows of a minute, and 1.3 GB with these. A store that was
worked on with another width is worked on anew."""
HOUR_S: Final = 3600
DAY_S: Final = 86_400


class Bucket(NamedTuple):
    """Twenty seconds of messages. start: seconds since the epoch. checksum: changes with any message or its track."""

    start: int
    messages: int
    openers: int
    checksum: int


class Window(NamedTuple):
    """A span of time that is associated as a whole; seconds since the epoch."""

    start: int
    width: int


# ---- what is new -------------------------------------------------------------------------------------------------


def read_buckets(store: "Store", since: int = 0, until: int = 0) -> dict[int, Bucket]:
    """The buckets that the messages make now, of all time or of whole hours [since, until)."""
    sql = (
        f"SELECT toUnixTimestamp(toStartOfInterval(received_at, INTERVAL {BUCKET_S} SECOND)) AS start, "
        "count() AS messages, countIf(opener) AS openers, groupBitXor(cityHash64(id, track)) AS checksum "
        f"FROM messages WHERE {REQUESTS} AND {between('received_at', since, until)} GROUP BY start"
    )
    return _buckets(store, sql)


def stored_buckets(store: "Store", since: int = 0, until: int = 0) -> dict[int, Bucket]:
    """The buckets as they were when they were last worked on."""
    sql = (
        "SELECT toUnixTimestamp(bucket) AS start, messages, openers, checksum FROM buckets FINAL "
        f"WHERE messages > 0 AND {between('bucket', since, until)}"
    )
    return _buckets(store, sql)


def _buckets(store: "Store", sql: str) -> dict[int, Bucket]:
    decode = msgspec.json.Decoder(Bucket).decode
    return {bucket.start: bucket for bucket in map(decode, store.raw(sql, fmt="JSONCompactEachRow").splitlines())}


def write_buckets(store: "Store", buckets: Iterable[Bucket], version: int) -> None:
    """Note what has been worked on."""
    rows = [
        {"bucket": b.start, "messages": b.messages, "openers": b.openers, "checksum": b.checksum, "version": version}
        for b in buckets
    ]
    store.insert_rows("buckets", rows)


def newest_version(store: "Store") -> int:
    """The highest version that any findings carry."""
    tables = ("buckets", "windows", "conclusions", "origin_findings")
    union = " UNION ALL ".join(f"SELECT max(version) AS version FROM {table}" for table in tables)
    return int(store.row(f"SELECT max(version) AS version FROM ({union})")["version"])


def between(column: str, since: int, until: int) -> str:
    """Condition that a time lies in [since, until), seconds since the epoch; always true when until is 0."""
    if not until:
        return "1"
    # With the bounds as DateTime the engine takes "< 12:00:00" for "<= 11:59:59" when it looks for granules of a time
    # with nanoseconds: of a flood's last second, up to all messages were not read.
    return f"{column} >= toDateTime64({int(since)}, 9, 'UTC') AND {column} < toDateTime64({int(until)}, 9, 'UTC')"


def drop_days(store: "Store", days: Iterable[str]) -> None:
    """Drop what was found of some days (YYYYMMDD), so that they can be worked out again."""
    days = list(days)
    if days:
        drop_hours_of_parts(store, [hour for hour, day in hours_of_parts(store).items() if day in days])
    # The buckets last: until then a look at them finds that something was lost.
    tables = [name for name, (_, _, partition) in FINDINGS.items() if partition.startswith("toYYYYMMDD")]
    for day in days:
        for name in sorted(tables, key="buckets".__eq__):
            store.command(f"ALTER TABLE {name} DROP PARTITION ID '{int(day)}'")


def hours_of_parts(store: "Store") -> dict[int, str]:
    """Hours of which there are parts (see store.sums), in seconds since the epoch → the day of each, YYYYMMDD."""
    sql = (
        "SELECT DISTINCT toUInt32(partition_id) AS hour, toString(toYYYYMMDD(toDateTime(hour, 'UTC'))) AS day "
        "FROM system.parts WHERE active AND database = currentDatabase() "
        f"AND table IN ({', '.join(map(repr, PARTS))})"
    )
    return {row["hour"]: row["day"] for row in store.rows(sql)}


def drop_hours_of_parts(store: "Store", hours: Iterable[int]) -> None:
    """Drop the parts of some hours; what says that they are there goes first."""
    for hour in hours:
        for name in PARTS:
            store.command(f"ALTER TABLE {name} DROP PARTITION ID '{int(hour)}'")


def doubt_day(store: "Store", day: str, version: int) -> None:
    """Have a day (YYYYMMDD) worked on anew by the next update: its messages may say otherwise, although they are the
    same ones of the same tracks. What an update that is under way still writes of it has a lower version."""
    # No bucket has more openers than messages, so none is taken for this one, however often the day is doubted.
    store.command(
        "INSERT INTO buckets (bucket, messages, openers, checksum, version) "
        f"SELECT bucket, messages, messages + 1, checksum, {version:d} FROM buckets FINAL "
        f"WHERE toYYYYMMDD(bucket) = {int(day)}"
    )


def runs(starts: Sequence[int], step: int) -> Iterator[tuple[int, int]]:
    """Runs without gaps as (first, last), none longer than a day."""
    index = 0
    while index < len(starts):
        end = index
        while end + 1 < len(starts) and starts[end + 1] == starts[end] + step and starts[end + 1] % DAY_S:
            end += 1
        yield starts[index], starts[end]
        index = end + 1


# ---- windows of association --------------------------------------------------------------------------------------


def read_windows(store: "Store", since: int, until: int) -> set[Window]:
    """Windows that stand, of whole days [since, until)."""
    sql = (
        "SELECT toUnixTimestamp(start) AS start, width FROM windows FINAL "
        f"WHERE alive AND {between('start', since, until)}"
    )
    return {Window(row["start"], row["width"]) for row in store.rows(sql)}


def write_windows(store: "Store", windows: Iterable[Window], version: int, *, alive: bool) -> None:
    """Set windows up, or declare them split; only rows of their newest version count."""
    rows = [{"start": w.start, "width": w.width, "alive": int(alive), "version": version} for w in windows]
    store.insert_rows("windows", rows)


MASKS_KEPT: Final = 32


def read_tracks(store: "Store", windows: Sequence[Window]) -> dict[Window, dict[int, TrackInfo]]:
    """Tracks of the requests that open something, window by window, with some of their masked hops."""
    masks = f"arraySort(groupUniqArrayIf((mask, from_user, {address('local')}), mask != ''))"
    sql = (
        f"SELECT {_window_at('received_at', windows)} AS number, track, any(path_verdict) AS verdict, "
        f"{address('any(source)')} AS source, {address('any(origin)')} AS origin, min(origin_port) AS origin_port, "
        f"any(shape) AS shape, any(stack) AS stack, uniq(source) AS relays, arraySlice({masks}, 1, {MASKS_KEPT}) AS "
        "masks "
        f"FROM messages WHERE {REQUESTS} AND opener AND track != 0 AND path_verdict IN ('relayed', 'hidden', 'direct') "
        f"AND {_within('received_at', windows)} GROUP BY number, track SETTINGS prefer_column_name_to_alias = 1"
    )
    found: dict[Window, dict[int, TrackInfo]] = {window: {} for window in windows}
    for row in store.stream(sql):
        found[windows[row["number"]]][row["track"]] = _track_info(row)
    return found


def _track_info(row: Mapping[str, Any]) -> TrackInfo:
    masks = tuple(
        Masked.read(mask.encode("latin-1", "replace"), user.encode(), local.encode())
        for mask, user, local in (each if isinstance(each, list) else each.values() for each in row["masks"])
    )
    origin = None if row["origin"] == NO_ADDRESS else row["origin"]
    return TrackInfo(
        row["verdict"], row["source"], origin, row["origin_port"], row["shape"], row["stack"], masks, row["relays"]
    )


def read_visits(store: "Store", windows: Sequence[Window], tracks: Iterable[int]) -> dict[Window, list[Visit]]:
    """Requests of some tracks, window by window."""
    none = f"claim = {NONE}"
    sql = (
        f"SELECT id, toUnixTimestamp64Nano(received_at) AS at, track, {address('source')} AS by, target_key, sensor, "
        f"cityHash64(source, call_id, cseq, method) AS transaction, if({none}, '', {address('claim')}) AS said, goal, "
        f"method FROM messages WHERE {REQUESTS} AND opener AND track IN {{tracks:Array(UInt64)}} "
        f"AND {_within('received_at', windows)}"
    )
    decode = msgspec.json.Decoder(Visit).decode
    starts = [window.start * NS_PER_S for window in windows]
    found: dict[Window, list[Visit]] = {window: [] for window in windows}
    for line in store.raw(sql, {"tracks": sorted(tracks)}, fmt="JSONCompactEachRow").splitlines():
        visit = decode(line)
        found[windows[bisect_right(starts, visit.at) - 1]].append(visit)
    return found


def _within(column: str, windows: Sequence[Window]) -> str:
    """Condition that a time lies in one of some windows, which are in order."""
    spans: list[list[int]] = []
    for window in windows:
        if spans and spans[-1][1] == window.start:
            spans[-1][1] += window.width
        else:
            spans.append([window.start, window.start + window.width])
    return "(" + " OR ".join(f"({between(column, since, until)})" for since, until in spans) + ")"


def _window_at(column: str, windows: Sequence[Window]) -> str:
    """Place in the list of the window that a time lies in."""
    starts = ", ".join(str(window.start) for window in windows)
    return f"toUInt32(arrayCount(start -> start <= toUnixTimestamp({column}), [{starts}]) - 1)"


def write_found(
    store: "Store",
    found: Mapping[Window, WindowFindings],
    tracks: Mapping[Window, Mapping[int, TrackInfo]],
    version: int,
) -> None:
    """Keep what windows gave; the windows themselves are set up last, so that half of them never counts."""
    placements = [
        _placement_row(place, tracks[window][place.visit.track], version)
        for window, findings in found.items()
        for place in findings.placements
    ]
    kept = {row["id"] for row in placements}
    placements += _taken_back(store, list(found), kept, version)
    store.insert_rows("placements", placements)
    groups = [_group_row(window, group, version) for window, findings in found.items() for group in findings.groups]
    store.insert_rows("group_fits", groups)
    write_windows(store, found, version, alive=True)


def _placement_row(place: Placement, info: TrackInfo, version: int) -> dict[str, Any]:
    visit = place.visit
    return {
        "id": visit.id,
        "track": visit.track,
        "at": f"{visit.at // NS_PER_S:010d}.{visit.at % NS_PER_S:09d}",
        "source": storage_address(visit.source),
        "stack": info.stack,
        "shape": info.shape,
        "verdict": info.verdict,
        "named": storage_address(info.origin or NO_ADDRESS),
        "sensor": visit.sensor,
        "target_key": visit.target,
        "goal": visit.goal,
        "method": visit.method,
        "origin": storage_address(place.origin or NO_ADDRESS),
        "odds": round(place.odds, 3),
        "why": place.why,
        "inferred": place.inferred,
        "version": version,
    }


def _taken_back(store: "Store", windows: Sequence[Window], kept: set[int], version: int) -> list[dict[str, Any]]:
    """Rows that undo placements in some windows which do not hold any longer: the same with no place."""
    where = f"{_within('at', windows)} AND verdict != ''"
    rows = store.rows(f"SELECT * EXCEPT version FROM placements FINAL WHERE {where}")
    gone = {"origin": NO_ADDRESS, "verdict": "", "why": "", "odds": 0.0, "inferred": 0, "version": version}
    return [{**row, **gone} for row in rows if row["id"] not in kept]


def _group_row(window: Window, group: GroupFit, version: int) -> dict[str, Any]:
    row = group._asdict()
    key: GroupKey = row.pop("key")
    return row | {
        "start": window.start,
        "width": window.width,
        "source": storage_address(key.source),
        "stack": key.stack,
        "shape": key.shape,
        "named": storage_address(key.origin or NO_ADDRESS),
        "host": storage_address(group.host or NO_ADDRESS),
        "version": version,
    }
