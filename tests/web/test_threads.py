"""Work in threads, and what stays of it."""

import asyncio
import gc
import weakref
from contextlib import suppress

from relaytrap.errors import InputError
from relaytrap.web.threads import in_thread


class Large:
    """Something that must not stay."""


def test_what_the_work_gives_comes_back() -> None:
    assert asyncio.run(in_thread(divmod, 7, 2)) == (3, 1)


def test_work_that_fails_leaves_nothing_of_its_own_nor_of_its_callers_for_the_garbage_collector() -> None:
    made: list[weakref.ref[Large]] = []

    def keep(large: Large) -> Large:
        made.append(weakref.ref(large))
        return large

    def fail(given: Large) -> None:
        large = keep(Large())
        raise InputError(f"{large} {given}")

    async def ask() -> None:
        large = keep(Large())
        await in_thread(fail, large)

    async def fail_once() -> list[Large | None]:
        with suppress(InputError):
            await ask()
        for _ in range(100):  # the thread itself lets go a moment later
            if any(each() for each in made):
                await asyncio.sleep(0.01)
        return [each() for each in made]

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(fail_once()) == [None, None]
    finally:
        gc.enable()
