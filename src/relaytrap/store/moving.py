"""All messages from one store into another: embedded to a server or cluster, and back.

Day by day, in parts of a few ten thousand rows as the engine's own blocks. Each part carries a token that follows from
the move and the part, so a move that was interrupted goes on where it stopped and doubles nothing. A day counts as
moved when the target's count and checksum are what they were before plus the source's. Rollups fill themselves at the
target, and findings are worked out by the hub when it starts. The source is left as it is.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from relaytrap.certificate import write_private
from relaytrap.errors import InputError, StoreError
from relaytrap.store.rebuild import check_rollups, list_days
from relaytrap.store.schema import NAMES

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["Moved", "move_messages"]

PART_ROWS: Final = 65_536
JOURNAL: Final = "move.json"
BEGINNING: Final = -(1 << 63)


@dataclass(frozen=True, slots=True)
class Moved:
    """How far it is: messages that are at the target, of all that the source holds."""

    messages: int
    of: int


class Content(NamedTuple):
    """What a day holds: messages, and the sum of a hash over every column of each (modulo 2^64)."""

    messages: int = 0
    checksum: int = 0

    def __add__(self, other: object) -> "Content":
        if not isinstance(other, Content):
            return NotImplemented
        return Content(self.messages + other.messages, (self.checksum + other.checksum) % (1 << 64))


def move_messages(source: "Store", target: "Store", folder: Path, *, merge: bool = False) -> Iterator[Moved]:
    """Copy every message; run the iterator to its end.

    folder: where the journal of an unfinished move is kept, for the next run with the same two stores.
    merge: add to what the target holds already. Raises StoreError for a target that holds messages of others without
    it, and for a day that does not add up.
    """
    journal = _Journal(folder / JOURNAL, f"{_place(source)} to {_place(target)}")
    if not (merge or journal.resumed) and (held := target.row("SELECT count() AS n FROM messages")["n"]):
        raise StoreError(
            f"the target holds {_messages(held)} already; empty it, name another database, or add to them with --merge"
        )
    days = list_days(source)
    total, done = sum(_content(source, day).messages for day in days), 0
    yield Moved(0, total)
    for day in days:
        for messages in _move_day(source, target, day, journal):
            yield Moved(done + messages, total)
        done += _content(source, day).messages
    if short := check_rollups(target):
        raise StoreError(f"sums of {', '.join(short)} do not add up at the target; a hub that starts there mends them")
    journal.path.unlink(missing_ok=True)


def _move_day(source: "Store", target: "Store", day: str, journal: "_Journal") -> Iterator[int]:
    wanted = journal.before(day, target) + _content(source, day)
    moved = 0
    if _content(target, day) != wanted:
        for number, (rows, block) in enumerate(_parts(source, day)):
            target.insert_block("messages", block, f"move/{journal.id}/{day}/{number}")
            moved += rows
            yield moved
    found = _content(target, day)
    if found != wanted:
        raise StoreError(
            f"day {day} does not add up at the target: {_messages(found.messages)} instead of {wanted.messages:,}, or "
            "other ones; did something else write there? Run the move again"
        )


def _parts(source: "Store", day: str) -> Iterator[tuple[int, bytes]]:
    """The messages of a day in order of time: how many, and a Native block. The same parts whenever it is asked."""
    after = BEGINNING
    inside = "_partition_id = {day:String} AND received_at > fromUnixTimestamp64Nano({after:Int64}, 'UTC')"
    while True:
        asked: dict[str, Any] = {"day": day, "after": after}
        # Rows of the same nanosecond stay together, so that no part begins within them.
        part = source.row(
            "SELECT count() AS n, toUnixTimestamp64Nano(max(received_at)) AS last FROM (SELECT received_at "
            f"FROM messages WHERE {inside} ORDER BY received_at LIMIT {PART_ROWS})",
            asked,
        )
        if not part["n"]:
            return
        after = part["last"]
        sql = (
            f"SELECT {', '.join(NAMES)} FROM messages WHERE {inside} "
            "AND received_at <= fromUnixTimestamp64Nano({last:Int64}, 'UTC') ORDER BY received_at, id"
        )
        yield part["n"], source.raw(sql, {**asked, "last": after}, fmt="Native")


def _content(store: "Store", day: str) -> Content:
    columns = ", ".join(NAMES)
    sql = f"SELECT count() AS n, sum(cityHash64({columns})) AS sum FROM messages WHERE _partition_id = {{day:String}}"
    row = store.row(sql, {"day": day})
    return Content(row["n"], row["sum"])


def _messages(number: int) -> str:
    return f"{number:,} message{'' if number == 1 else 's'}"


def _place(store: "Store") -> str:
    """What tells one store from another, without a password."""
    if store.embedded:
        return str(store.data_dir)
    return f"{store.config.url.rpartition('@')[2]} {store.config.cluster}".strip()


class _Held(msgspec.Struct):
    id: str
    stores: str
    days: dict[str, Content] = {}


class _Journal:
    """The move at hand: its identifier, and what the target held of each day before."""

    def __init__(self, path: Path, stores: str) -> None:
        self.path = path
        self._held = _Held(secrets.token_hex(8), stores)
        try:
            held = msgspec.json.decode(path.read_bytes(), type=_Held) if path.exists() else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(
                f"{path}: the journal of an unfinished move cannot be read ({error}); remove it, empty the "
                "target, and move again"
            ) from None
        self.resumed = held is not None and held.stores == stores
        if held and self.resumed:
            self._held = held

    @property
    def id(self) -> str:
        """Part of every token."""
        return self._held.id

    def before(self, day: str, target: "Store") -> Content:
        """What the target held of a day before this move."""
        if day not in self._held.days:
            self._held.days[day] = _content(target, day)
            write_private(self.path, msgspec.json.encode(self._held))
        return self._held.days[day]
