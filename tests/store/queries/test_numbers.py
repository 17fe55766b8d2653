import itertools

import pytest

from relaytrap.store.queries import Filter, run_query
from relaytrap.store.queries.hours import core_hours
from tests.storing import NOON_NS, SECOND_NS, address, row


@pytest.fixture
def dialled(kept):
    def call(second, prefix, core, source="192.0.2.1"):
        return row(second, dialled=b"+" + core, dialled_digits=prefix + core, dialled_prefix=prefix, dialled_core=core,
                   dialled_country=b"GB", dialled_kind=b"fixed", source=address(source))  # fmt: skip

    return kept(
        call(0, b"00", b"442030000000"),
        call(1, b"900", b"442030000000"),
        call(2, b"00", b"442030000000", "192.0.2.2"),
        call(3, b"", b"441610000000"),
        row(4),
    )


@pytest.mark.parametrize("limit", ["0", "50"])
def test_numbers_come_by_core_with_their_prefixes(dialled, limit):
    found = list(run_query(dialled, "numbers", {"limit": limit}))
    assert [(each["core"], each["messages"], each["sources"]) for each in found] == [
        ("442030000000", 3, 2),
        ("441610000000", 1, 1),
    ]
    assert (found[0]["prefixes"], found[0]["spellings"], found[0]["country"]) == (["00", "900"], 2, "GB")
    assert found[0]["last_seen"] == "2026-09-22T12:00:02.000000000Z"


def test_numbers_narrow_and_page(dialled):
    assert [each["core"] for each in run_query(dialled, "numbers", {"limit": 1, "offset": 1})] == ["441610000000"]
    assert [each["messages"] for each in run_query(dialled, "numbers", {"source": "192.0.2.2"})] == [1]


def test_a_core_reads_the_same_wherever_it_is_listed(kept):
    read = {"dialled": b"+442030000000", "dialled_country": b"GB", "dialled_kind": b"fixed"}
    bare = {"dialled": b"2030000000"}
    store = kept(*(row(second, dialled_core=b"2030000000", **(read if second == 5 else bare)) for second in range(9)))
    (number,) = run_query(store, "numbers", {"limit": 8})
    assert (number["dialled"], number["country"], number["kind"]) == ("+442030000000", "GB", "fixed")
    (leader,) = run_query(store, "leaders", {"facets": "dialled_core"})
    assert (leader["value"], leader["dialled"]) == ("2030000000", "+442030000000")


HOUR_NS = 3600 * SECOND_NS
# Hours from noon: midnights, hours beside them, and moments within an hour.
EDGES = [None, -60.5, -36, -12.01, -12, 0.25, 11.5, 12, 36.75]


def test_cores_over_days_are_counted_like_the_messages_of_the_same_hours(kept):
    """Whole days have sums of their own; nothing of the hours around them is missing or counted twice."""
    store = kept(*(row(n * 1700, id=500 + n, dialled_core=b"%d" % (n % 7)) for n in range(-130, 130)))
    for since, until in itertools.product(EDGES, EDGES):
        if since is None or until is None or since < until:
            window = _window(since, until)
            clause = core_hours(window)
            sums = f"SELECT value, sum(messages) AS n FROM hourly {clause.sql} GROUP BY value"
            found = {each["value"]: each["n"] for each in store.rows(sums, clause.params)}
            assert found == _hours_of_messages(store, window), (since, until)


def test_leading_cores_and_numbers_come_from_whole_days_and_the_hours_around_them(kept):
    store = kept(*(row(n * 1700, id=500 + n, dialled_core=b"%d" % (n % 7)) for n in range(-130, 130)))
    for since, until in ((None, None), (-60.5, 36.75), (-12, 12), (-11, 11.5)):
        window = _window(since, until)
        given = {"since": window.since, "until": window.until}
        leaders = run_query(store, "leaders", {**given, "facets": "dialled_core"})
        assert {each["value"]: each["messages"] for each in leaders} == _hours_of_messages(store, window)
        assert len(list(run_query(store, "numbers", given))) == 7


def _window(since, until):
    moments = (None if hours is None else NOON_NS + int(hours * HOUR_NS) for hours in (since, until))
    return Filter(*moments)


def _hours_of_messages(store, window):
    """Messages of each core in the hours that a window touches, from the messages themselves."""
    since = 0 if window.since is None else window.since // HOUR_NS * HOUR_NS
    until = NOON_NS * 2 if window.until is None else -(-window.until // HOUR_NS) * HOUR_NS
    rows = store.rows(
        "SELECT dialled_core AS core, count() AS n FROM messages WHERE toUnixTimestamp64Nano(received_at) >= "
        "{since:Int64} AND toUnixTimestamp64Nano(received_at) < {until:Int64} GROUP BY core",
        {"since": since, "until": until},
    )
    return {each["core"]: each["n"] for each in rows}


def test_cores_of_one_country_over_days_are_its_own(kept):
    rows = [row(n * 7200, dialled_core=b"1", country=b"FR" if n % 3 else b"DE") for n in range(36)]
    store = kept(*rows, row(1, dialled_core=b"1", country=b"FR", direction=2))
    (leader,) = run_query(store, "leaders", {"facets": "dialled_core", "country": "FR"})
    (number,) = run_query(store, "numbers", {"country": "FR"})
    assert (leader["messages"], number["messages"]) == (24, 24)
