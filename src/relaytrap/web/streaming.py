"""Answers that are made piece by piece, so that what goes wrong in the middle is seen at both ends.

The framework's own way with an iterator takes a ValueError from it for its end: the reader gets half an answer that
looks whole, and the log nothing. Here every exception ends the connection without the answer's end, and is logged.
"""

from collections.abc import AsyncIterator, Iterator

from anyio import to_thread

__all__ = ["in_threads"]


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces, each made in a thread that is waited for even when nobody wants it any more."""
    while (piece := await to_thread.run_sync(next, pieces, None)) is not None:
        yield piece
