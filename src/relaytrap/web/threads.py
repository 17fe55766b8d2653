"""Work that blocks, done in a thread, without what anyio leaves behind when it fails.

An exception that comes out of anyio's thread holds the future that brought it, and the future the exception. With them
stay all variables on its way, a segment of 64 MiB among them, until the next search for reference cycles, which is rare
in a hub.
"""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import to_thread

__all__ = ["in_thread"]

T = TypeVar("T")
Given = TypeVarTuple("Given")


async def in_thread(work: Callable[[*Given], T], *given: *Given) -> T:
    """What the work gives or raises, which is waited for even when nobody wants it any more."""

    def done() -> tuple[list[T], Exception | None]:
        try:
            return [work(*given)], None
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            return [], error

    made, error = await to_thread.run_sync(done)
    if error is None:
        return made[0]
    try:
        raise error
    finally:
        del error  # which would hold this frame, and this frame it
