"""Numbers in a sentence."""

import pytest

from relaytrap.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "wanted"),
    [
        (0, "relay", "0 relays"),
        (1, "relay", "1 relay"),
        (1, "country", "1 country"),
        (1234, "country", "1,234 countries"),
        (2, "different target", "2 different targets"),
    ],
)
def test_numbers_stand_with_their_noun(number: int, noun: str, wanted: str) -> None:
    assert counted(number, noun) == wanted
