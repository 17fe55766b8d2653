"""What a guard remembers: so much, the oldest forgotten first, and how far back it goes."""

from relaytrap.guard.acquaintance import ends_alike
from relaytrap.guard.memory import Recent, key_of


def test_the_one_touched_longest_ago_is_forgotten_first() -> None:
    recent: Recent[str] = Recent(2)
    for moment, key in enumerate("abac", 1):
        recent.put(key, key, moment)
    assert ("a" in recent, "b" in recent, "c" in recent, len(recent)) == (True, False, True, 2)


def test_memory_goes_back_to_the_last_that_was_forgotten() -> None:
    recent: Recent[None] = Recent(2)
    recent.put("a", None, 10)
    recent.put("b", None, 20)
    assert recent.since_ns == 0
    recent.put("c", None, 30)
    assert recent.since_ns == 10


def test_keys_of_long_parts_are_short_and_differ() -> None:
    assert key_of(b"x" * 65_000, 1) != key_of(b"x" * 65_000, 2)
    assert key_of(b"x" * 65_000).bit_length() <= 64


def test_numbers_are_alike_under_any_prefix() -> None:
    assert ends_alike(b"900972597654321", b"+972 59 765 4321")
    assert ends_alike(b"02079460000", b"+442079460000")
    assert ends_alike(b"100", b"9100")
    assert not ends_alike(b"02079460000", b"07700900123")
    assert not ends_alike(b"alice", b"bob")
    assert not ends_alike(None, b"100")
