"""Memory lent to bodies that come in."""

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
