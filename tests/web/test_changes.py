"""Since when what is served has been as it is."""

from relaytrap.web.changes import Changes

SECOND_NS = 1_000_000_000


def test_the_date_stays_while_the_content_does() -> None:
    now = iter((1 * SECOND_NS, 3 * SECOND_NS, 9 * SECOND_NS))
    changes = Changes(lambda: next(now))
    assert [changes.since_s("list", tag) for tag in ("a", "a", "b", "b", "a")] == [1, 1, 3, 3, 9]


def test_only_what_was_served_lately_is_remembered() -> None:
    now = iter(range(SECOND_NS, 9 * SECOND_NS, SECOND_NS))
    changes = Changes(lambda: next(now), at_most=2)
    assert [changes.since_s(what, "a") for what in ("x", "y", "x", "z", "y", "x")] == [1, 2, 1, 3, 4, 5]
