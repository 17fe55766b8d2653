"""Wire bytes as text for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip.text import display, visible


def test_utf8_is_text_and_other_octets_are_escaped() -> None:
    assert display("да\xe9".encode() + b"\xff\x00") == "да\xe9\\xff\x00"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("a\u202eb", "a\\u202eb"),
        ("a\U000e0041b", "a\\U000e0041b"),
        ("да", "да"),
    ],
)
def test_what_acts_on_a_terminal_is_shown_instead(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.binary(max_size=60))
def test_any_octets_become_harmless_text(data: bytes) -> None:
    text = visible(display(data))
    text.encode()
    assert all(character.isprintable() or character == "\xa0" or ord(character) > 127 for character in text)
    assert visible(text) == text
