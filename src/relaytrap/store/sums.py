"""Sums of messages by hour, track and relay (track_hours, relay_hours): what findings are drawn from.

An hour with few messages is summed up whole whenever it changes. A busy one is not: in a flood an hour has 36 million
messages, and each update would read them all. It is summed up a minute at a time; those parts are kept beside
(track_parts, relay_parts), and what tracks did in the minutes that changed is added up for the hour.

The parts are only kept to spare that work. hour_parts says of which messages each one is, so a part counts for what it
holds, and one that is missing, half-written or of other messages is made again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from relaytrap.clock import NS_PER_S
from relaytrap.store.findings import BUCKET_S, Bucket, between, drop_hours_of_parts, hours_of_parts
from relaytrap.store.findings_schema import RELAYS, REQUESTS, TRACKS

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["KEPT_NS", "drop_parts", "write_hours"]

HOUR_S: Final = 3600
PART_S: Final = 3 * BUCKET_S
"""Shorter parts are fewer messages to sum up again and more sums to add up."""
MESSAGES_AT_ONCE: Final = 1_000_000
"""Summing six million messages up at once takes both cores for five seconds, in which ingest falls behind."""
TRACKS_AT_ONCE: Final = 100_000
"""A million sources in eight minutes are a million tracks; their sums at once took more than 2 GiB."""
KEPT_NS: Final = 3600 * NS_PER_S
"""How long parts of an hour stay after the last of them was made."""

Rest = Callable[[], None]


class Content(NamedTuple):
    """Which messages a part is of: their number, and the buckets' checksums together."""

    messages: int = 0
    checksum: int = 0

    def with_bucket(self, bucket: Bucket) -> "Content":
        return Content(self.messages + bucket.messages, self.checksum ^ bucket.checksum)


def write_hours(
    store: "Store", buckets: Iterable[Bucket], changed: Collection[Bucket], version: int, rest: Rest = lambda: None
) -> None:
    """Sum up again the hours of changed buckets. buckets: all that those hours, and the others of their days, have.
    rest: called now and then.
    """
    hours: dict[int, list[Bucket]] = {}
    for bucket in buckets:
        hours.setdefault(_begin(bucket, HOUR_S), []).append(bucket)
    sizes = {hour: sum(bucket.messages for bucket in held) for hour, held in hours.items()}
    wanted = {_begin(bucket, HOUR_S) for bucket in changed}
    busy = sorted(hour for hour in wanted if sizes[hour] > MESSAGES_AT_ONCE)
    for first, last in _spans(sizes, wanted.difference(busy)):
        where = between("received_at", first, last + HOUR_S)
        _sum_up(store, "hours", "toStartOfHour(received_at)", where, version, rest)
    for hour in busy:
        _write_parts(store, hour, hours[hour], version, rest)
        _add_up(store, hour, [bucket for bucket in changed if _begin(bucket, HOUR_S) == hour], version, rest)


def drop_parts(store: "Store", version: int) -> None:
    """Drop the parts of hours of which none was made since a version."""
    sql = f"SELECT DISTINCT _partition_id AS hour FROM hour_parts WHERE version > {int(version)}"
    kept = {int(row["hour"]) for row in store.rows(sql)}
    drop_hours_of_parts(store, hours_of_parts(store).keys() - kept)


def _begin(bucket: Bucket, width: int) -> int:
    return bucket.start - bucket.start % width


def _write_parts(store: "Store", hour: int, buckets: Iterable[Bucket], version: int, rest: Rest) -> None:
    """Make the parts of an hour that are not of the messages that its buckets have."""
    wanted: dict[int, Content] = {}
    for bucket in buckets:
        start = _begin(bucket, PART_S)
        wanted[start] = wanted.get(start, Content()).with_bucket(bucket)
    sql = (
        "SELECT toUnixTimestamp(part) AS start, messages, checksum FROM hour_parts FINAL "
        f"WHERE {between('part', hour, hour + HOUR_S)}"
    )
    there = {row["start"]: Content(row["messages"], row["checksum"]) for row in store.rows(sql)}
    missing = {start: content for start, content in wanted.items() if there.get(start) != content}
    span = f"toStartOfInterval(received_at, INTERVAL {PART_S} SECOND)"
    for first, last in _spans({start: content.messages for start, content in wanted.items()}, missing):
        _sum_up(store, "parts", span, between("received_at", first, last + PART_S), version, rest)
        made = {start: content for start, content in missing.items() if first <= start <= last}
        rows = [{"part": start, **content._asdict(), "version": version} for start, content in made.items()]
        store.insert_rows("hour_parts", rows)


def _sum_up(store: "Store", table: str, span: str, where: str, version: int, rest: Rest) -> None:
    """Sum messages up into one of both tables of hours, or of parts. span: the hour or part of a message."""
    for some in _portions(store, "messages", f"{REQUESTS} AND {where}", f"track, {span}"):
        for sums in (TRACKS, RELAYS):
            store.command(f"INSERT INTO {sums.name}_{table} {sums.of_messages(span, f'{where} AND {some}', version)}")
        rest()


def _add_up(store: "Store", hour: int, changed: Iterable[Bucket], version: int, rest: Rest) -> None:
    """Add the parts of an hour up, for the keys that changed buckets have."""
    parts = ", ".join(map(str, sorted({_begin(bucket, PART_S) for bucket in changed})))
    since = min(bucket.start for bucket in changed)
    new = f"toUnixTimestamp(part) IN ({parts}) AND last >= toDateTime64({since}, 9, 'UTC')"
    here = between("part", hour, hour + HOUR_S)
    for sums in (TRACKS, RELAYS):
        table = f"{sums.name}_parts"
        for some in _portions(store, table, new, "track"):
            keys = f"({sums.key}) IN (SELECT {sums.key} FROM {table} WHERE {new} AND {some})"
            store.command(f"INSERT INTO {sums.name}_hours {sums.of_parts(f'{here} AND {some} AND {keys}', version)}")
            rest()


def _portions(store: "Store", table: str, where: str, key: str) -> Iterator[str]:
    """Conditions that together hold the same rows, none with many more than TRACKS_AT_ONCE tracks."""
    row = store.row(f"SELECT uniq({key}) AS tracks, count() AS rows FROM {table} WHERE {where}")
    count = max(row["tracks"] // TRACKS_AT_ONCE, row["rows"] // MESSAGES_AT_ONCE) + 1
    # Tracks are hashes, and parts are in their order: of a range, little else is read.
    width = (1 << 64) // count + 1
    for number in range(count):
        yield f"track BETWEEN {number * width} AND {min((number + 1) * width, 1 << 64) - 1}" if count > 1 else "1"


def _spans(sizes: Mapping[int, int], wanted: Collection[int]) -> Iterator[tuple[int, int]]:
    """Spans of time as (first, last) that hold the wanted hours or parts, and no others that have messages; none has
    more than MESSAGES_AT_ONCE messages unless it is one of them. sizes: of all that have messages.

    Where nothing was received a span costs nothing: a capture of a quiet year lies in thousands of hours.
    """
    first = last = held = 0
    for start, messages in sorted(sizes.items()):
        if held and (start not in wanted or held + messages > MESSAGES_AT_ONCE):
            yield first, last
            held = 0
        if start in wanted:
            first = first if held else start
            last, held = start, held + messages
    if held:
        yield first, last
