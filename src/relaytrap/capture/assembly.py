"""Octets that arrive in pieces, in any order, twice or overlapping: what fragments and TCP segments have in common."""

from bisect import bisect_right

__all__ = ["Assembly", "Chunk"]

Chunk = tuple[int, bytes, int, int]
"""(offset, octets, frame number of the packet that brought them, its time in ns)."""


class Assembly:
    """Chunks in order of their offset, never overlapping: where two claim the same octets, the first keeps them."""

    __slots__ = ("_starts", "chunks", "conflict", "octets")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self.chunks: list[Chunk] = []
        self.octets = 0
        self.conflict = False
        """Whether a later piece ever said otherwise than an earlier one about the same octets."""

    def __len__(self) -> int:
        return len(self.chunks)

    def add(self, start: int, data: bytes, frame: int, moment_ns: int) -> None:
        """Keep what of `data` is new."""
        end = start + len(data)
        index = bisect_right(self._starts, start)
        if index and self._end(index - 1) > start:
            index -= 1
        at = start
        while at < end:
            if index == len(self.chunks) or self._starts[index] >= end:
                self._insert(index, at, data[at - start :], frame, moment_ns)
                return
            held_start, held = self.chunks[index][:2]
            if at < held_start:
                self._insert(index, at, data[at - start : held_start - start], frame, moment_ns)
                index += 1
                at = held_start
            overlap_end = min(end, held_start + len(held))
            if data[at - start : overlap_end - start] != held[at - held_start : overlap_end - held_start]:
                self.conflict = True
            at = held_start + len(held)
            index += 1

    def take_from(self, offset: int) -> Chunk | None:
        """Remove and return the first chunk if it starts exactly there."""
        if not self.chunks or self._starts[0] != offset:
            return None
        chunk = self.chunks.pop(0)
        del self._starts[0]
        self.octets -= len(chunk[1])
        return chunk

    def first(self) -> Chunk | None:
        return self.chunks[0] if self.chunks else None

    def leading(self, start: int = 0) -> bytes:
        """The octets from `start` up to the first hole."""
        parts = []
        for offset, data, _, _ in self.chunks:
            if offset != start:
                break
            parts.append(data)
            start += len(data)
        return b"".join(parts)

    def _end(self, index: int) -> int:
        return self._starts[index] + len(self.chunks[index][1])

    def _insert(self, index: int, start: int, data: bytes, frame: int, moment_ns: int) -> None:
        self._starts.insert(index, start)
        self.chunks.insert(index, (start, data, frame, moment_ns))
        self.octets += len(data)
