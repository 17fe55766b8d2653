"""Answers that are made piece by piece, so that what goes wrong in the middle is seen at both ends.

The framework's own way with an iterator takes a ValueError from it for its end: the reader gets half an answer that
looks whole, and the log nothing. Here every exception ends the connection without the answer's end, and is logged.
"""

from collections.abc import AsyncIterator, Generator, Iterator

from litestar.background_tasks import BackgroundTask
from litestar.response import Stream

from relaytrap.web.threads import in_thread

__all__ = ["in_threads", "streamed"]


def streamed(pieces: Generator[bytes, None, None], media_type: str, headers: dict[str, str] | None = None) -> Stream:
    """An answer of these pieces.

    They are closed also when the reader goes away: what the store keeps for a question (10 MB) would stay until the
    next search for reference cycles, which is rare in a hub.
    """
    end = BackgroundTask(pieces.close)
    return Stream(in_threads(pieces), media_type=media_type, headers=headers, background=end)


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces, each made in a thread that is waited for even when nobody wants it any more."""
    while (piece := await in_thread(next, pieces, None)) is not None:
        yield piece
