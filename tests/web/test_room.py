"""Memory lent to bodies that come in."""

import asyncio

import pytest

from relaytrap.web.room import Room, RoomFull


def test_what_does_not_fit_is_sent_away_and_fits_when_others_are_gone() -> None:
    room = Room(10)
    with room.kept(6):
        with pytest.raises(RoomFull), room.kept(5):
            pass
        with room.kept(4):
            pass
    with room.kept(10):
        pass


def test_room_is_given_back_by_what_fails() -> None:
    room = Room(10)
    with pytest.raises(ValueError, match="bad"), room.kept(10):
        raise ValueError("bad")
    with room.kept(10):
        pass


def test_who_waits_gets_in_when_another_is_gone() -> None:
    async def two() -> list[str]:
        said: list[str] = []

        async def keep(name: str, seconds: float) -> None:
            async with room.kept_soon(6, 10):
                said.append(name)
                await asyncio.sleep(seconds)

        await asyncio.gather(keep("first", 0.1), keep("second", 0))
        return said

    room = Room(10)
    assert asyncio.run(two()) == ["first", "second"]
    with room.kept(10):
        pass


def test_who_waits_in_vain_is_sent_away_and_takes_nothing_along() -> None:
    async def late() -> None:
        async with room.kept_soon(6, 0.1):
            pass

    room = Room(10)
    with room.kept(6), pytest.raises(RoomFull):
        asyncio.run(late())
    with room.kept(10):
        pass
