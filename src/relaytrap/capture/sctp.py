"""Messages that SCTP carries in several DATA chunks, put together (RFC 9260 section 6.9)."""

from collections import Counter
from typing import Final

__all__ = ["Chunks"]

SPLIT_CHUNK: Final = "SCTP data chunk of a message that never became whole"
SEEN_BEFORE: Final = "SCTP data chunk seen before"

BEGINS, ENDS = 2, 1
MAX_CHUNKS: Final = 256
"""Of one association and direction; the largest message in chunks as small as any path asks for."""
MAX_ASSOCIATIONS: Final = 64
MAX_SEEN: Final = 1024
"""Chunks remembered that were handed on, of all associations, to know those that are sent again."""
WRAP: Final = 0xFFFFFFFF

Waiting = dict[int, tuple[int, bytes]]
"""Transmission sequence number -> (flags, octets)."""


class Chunks:
    """Chunks that wait for their neighbours, within bounds: the association that began first is given up beyond them.

    A message's chunks have numbers in a row.

    unread: where those are counted that waited in vain. max_held: octets that may wait in all associations together;
    their numbers alone would admit 1 GiB, of chunks of 64 KiB. held: octets that wait.
    """

    def __init__(self, unread: Counter[str], *, max_held: int) -> None:
        self._unread = unread
        self._max_held = max_held
        self._waiting: dict[bytes, Waiting] = {}
        self._seen: dict[tuple[bytes, int, int], None] = {}
        self.held = 0

    def whole(self, association: bytes, number: int, flags: int, data: bytes) -> bytes:
        """Keep a chunk; the message that it completes, b"" for none. association: of one direction.

        A chunk that came before is the peer's, sent again because it did not hear of it; one of the same number with
        other octets is something else, and is read.
        """
        if (association, number, hash(data)) in self._seen:
            self._unread[SEEN_BEFORE] += 1
            return b""
        if flags & (BEGINS | ENDS) == BEGINS | ENDS:
            self._remember(association, number, data)
            return data
        waiting = self._waiting.setdefault(association, {})
        if number in waiting:
            return b""
        waiting[number] = flags, data
        self.held += len(data)
        numbers = _message_around(waiting, number)
        if numbers:
            parts = [waiting.pop(each)[1] for each in numbers]
            for each, part in zip(numbers, parts, strict=True):
                self._remember(association, each, part)
            message = b"".join(parts)
            self.held -= len(message)
            if not waiting:
                del self._waiting[association]
            return message
        if len(waiting) > MAX_CHUNKS:
            self._give_up(association)
        while len(self._waiting) > MAX_ASSOCIATIONS or self.held > self._max_held:
            self._give_up(next(iter(self._waiting)))
        return b""

    def _remember(self, association: bytes, number: int, data: bytes) -> None:
        self._seen[association, number, hash(data)] = None
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]

    def finish(self) -> None:
        """No more chunks come."""
        for association in list(self._waiting):
            self._give_up(association)

    def _give_up(self, association: bytes) -> None:
        waiting = self._waiting.pop(association)
        self.held -= sum(len(data) for _, data in waiting.values())
        self._unread[SPLIT_CHUNK] += len(waiting)


def _message_around(waiting: Waiting, number: int) -> list[int]:
    """The numbers of the message that a chunk belongs to, when all its chunks are there; [] otherwise."""
    first = number
    while not waiting[first][0] & BEGINS:
        first = (first - 1) & WRAP
        if first not in waiting:
            return []
    numbers = [first]
    while not waiting[numbers[-1]][0] & ENDS:
        following = (numbers[-1] + 1) & WRAP
        if following not in waiting:
            return []
        numbers.append(following)
    return numbers
