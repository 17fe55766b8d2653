import pytest

from relaytrap.store.queries import run_query
from tests.storing import address, row


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
