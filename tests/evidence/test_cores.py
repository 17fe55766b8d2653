"""Numbers that recur under many prefixes."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.cores import common_cores

LONDON = "442012345678"


def test_one_number_under_many_prefixes_is_one_core() -> None:
    prefixes = ("", "00", "000", "0021", "900", "9011")
    (core,) = common_cores([prefix + LONDON for prefix in prefixes])
    assert (core.core, core.prefixes, core.e164, core.country) == (LONDON, prefixes, "+442012345678", "GB")


def test_suffix_settles_what_padding_could_mean() -> None:
    # 00 211 831… would be a number in South Sudan; the set shows that 1831… is meant.
    (core,) = common_cores(["002118315551234", "0018315551234", "901118315551234"])
    assert (core.e164, core.country) == ("+18315551234", "US")
    assert core.prefixes == ("00", "0021", "9011")


def test_shared_prefix_does_not_become_part_of_the_core() -> None:
    (core,) = common_cores(["00" + LONDON, "900" + LONDON])
    assert core.core == LONDON


def test_different_numbers_stay_apart_and_the_busiest_comes_first() -> None:
    cores = common_cores(["00972592277524", "00" + LONDON, "9011" + LONDON])
    assert [core.country for core in cores] == ["GB", "IL"]


def test_unreadable_numbers_still_share_their_end() -> None:
    (core,) = common_cores(["5551234567890123", "77551234567890123"])
    assert core.core == "234567890123"


def test_short_and_masked_numbers_belong_to_no_core() -> None:
    assert common_cores(["100", "12345678", "0011331xxxxxxxx", "", "+", "abc"]) == ()


def test_plus_is_a_prefix_like_any_other() -> None:
    (core,) = common_cores(["+" + LONDON, "00" + LONDON])
    assert (core.core, core.prefixes) == (LONDON, ("", "00"))


@given(st.lists(st.text("0123456789+x", max_size=24), max_size=12))
def test_every_number_ends_with_its_core_whatever_the_order(numbers: list[str]) -> None:
    cores = common_cores(numbers)
    assert cores == common_cores(list(reversed(numbers)))
    for core in cores:
        assert 9 <= len(core.core) <= 12
        assert all(number.endswith(core.core) for number in core.numbers)
