"""Dialled numbers and what they can mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.dialplan import DialledNumber, read_number


def read(user: str, home: str = "") -> DialledNumber:
    number = read_number(user.encode(), home)
    assert number is not None
    return number


def test_message_of_2010_leaves_australia_for_france() -> None:
    number = read("001133155xxxxxx", "AU")
    assert (number.international_prefix, number.prefix_owner) == ("0011", "AU")
    assert (number.country, number.calling_code, number.national) == ("FR", "33", "155xxxxxx")
    assert (number.e164, number.kind, number.masked, number.core) == ("+33155xxxxxx", "fixed", True, "")
    assert number.best is not None
    assert number.best.reason == "0011 is the way out of Australia; 33 is France; 155xxxxxx fits its fixed numbers"


def test_australias_prefix_is_recognised_where_nobody_dials_it() -> None:
    assert [read("001133155123456", home).prefix_owner for home in ("", "GB", "MY")] == ["AU"] * 3


# Prefixes that honeypots have seen, with the split that gives the number they all carry.
SEEN = [
    ("9011442012345678", "9", "011", "GB"),
    ("900442012345678", "9", "00", "GB"),
    ("900 442012345678", "9", "00", "GB"),
    ("000442012345678", "0", "00", "GB"),
    ("0000442012345678", "00", "00", "GB"),
    ("00 00 48221234567", "00", "00", "PL"),
    ("0075 34681234567", "0075", "", "ES"),
    ("7600 0046812345678", "7600", "00", "SE"),
    ("1450 0972598112101", "145", "00", "IL"),
    ("9999 00972595183136", "9999", "00", "IL"),
    ("0 0046812345678", "0", "00", "SE"),
    ("0033155123456", "", "00", "FR"),
    ("011442012345678", "", "011", "GB"),
    ("8011442012345678", "8", "011", "GB"),
    ("810442012345678", "", "810", "GB"),
    ("+442012345678", "", "+", "GB"),
    ("9+442012345678", "9", "+", "GB"),
    ("442012345678", "", "", "GB"),
]


@pytest.mark.parametrize(("user", "escape", "prefix", "country"), SEEN)
def test_prefix_that_honeypots_see_is_taken_apart(user: str, escape: str, prefix: str, country: str) -> None:
    number = read(user)
    assert (number.escape, number.international_prefix, number.country) == (escape, prefix, country)


@pytest.mark.parametrize("user", ["0021442012345678", "000144 2012345678", "00144 2012345678"])
def test_padding_does_not_hide_the_number(user: str) -> None:
    assert read(user).e164 == "+442012345678"


def test_core_is_the_same_under_every_prefix() -> None:
    prefixes = ("", "00", "011", "9011", "900", "000", "0021", "7600 00", "+", "0011")
    assert {read(f"{prefix}442012345678").core for prefix in prefixes} == {"012345678"}


@pytest.mark.parametrize("user", ["100", "1000", "123456", "0", "*43", "*98#", ""])
def test_extension_is_no_number(user: str) -> None:
    assert read_number(user.encode(), "AU") is None


@pytest.mark.parametrize(
    "user",
    [
        "sipvicious",
        "1000a",
        "test123456789",
        "a'or'1'='1",
        "100@200",
        "+",
        "++44",
        "++442012345678",
        "44-",
        "😀",
        "%",
        "%zz12345678",
    ],
)
def test_name_is_no_number(user: str) -> None:
    assert read_number(user.encode(), "AU") is None


@pytest.mark.parametrize(
    "user",
    [
        "+44 20 1234 5678",
        "+44-20-1234-5678",
        "+44.20.1234.5678",
        "+44(20)12345678",
        "%2B442012345678",
        "%2b44%20%32012345678",
        "+442012345678;phone-context=example.com",
        "+442012345678:secret",
        "+442012345678#",
    ],
)
def test_separators_escapes_and_parameters_are_seen_through(user: str) -> None:
    assert read(user).e164 == "+442012345678"


@pytest.mark.parametrize("user", ["**9011442012345678", "*9011442012345678", "#9011442012345678"])
def test_star_and_hash_in_front_are_no_mask(user: str) -> None:
    number = read(user)
    assert (number.masked, number.e164) == (False, "+442012345678")


@pytest.mark.parametrize("user", ["01144201234****", "0114420123XXXXX", "01144201234xxxx"])
def test_masked_digits_leave_the_country_readable(user: str) -> None:
    number = read(user)
    assert (number.masked, number.country, number.core) == (True, "GB", "")
    assert number.e164.endswith("x")


@pytest.mark.parametrize(
    ("user", "kind"),
    [
        ("00447400123456", "mobile"),
        ("00442012345678", "fixed"),
        ("00449012345678", "premium"),
        ("00881612345678", "satellite"),
        ("0088213300655", "network"),
        ("00979123456789", "premium"),
        ("0012025550123", "fixed or mobile"),
    ],
)
def test_kind_of_line_is_told(user: str, kind: str) -> None:
    assert read(user).kind == kind


def test_home_region_decides_what_an_ambiguous_prefix_is() -> None:
    assert read("001133155123456", "US").international_prefix == "011"
    assert read("001133155123456", "AU").international_prefix == "0011"


def test_national_call_is_read_by_home_rules() -> None:
    assert read("02012345678", "GB").e164 == "+442012345678"
    assert read("02012345678", "").country == ""


def test_alternatives_are_kept_with_reasons_likeliest_first() -> None:
    number = read("001133155123456", "AU")
    assert number.readings[0] == number.best
    assert [reading.cost for reading in number.readings] == sorted(reading.cost for reading in number.readings)
    assert len({(reading.escape, reading.international_prefix) for reading in number.readings}) > 2
    assert all(reading.reason for reading in number.readings)


def test_number_that_fits_no_plan_keeps_its_digits_and_core() -> None:
    number = read("14500163172166221")
    assert (number.best, number.country, number.kind, number.core) == (None, "", "unknown", "172166221")


def test_code_that_several_countries_share_is_named_so() -> None:
    number = read("0011234567890")
    assert number.country == ""
    assert number.best is not None
    assert "shared by 25 countries" in number.best.reason


def test_overlong_digits_are_kept_but_not_read() -> None:
    number = read("9" * 60)
    assert (number.kind, number.best, number.readings) == ("overlong", None, ())


def test_64_kib_of_digits_are_cut() -> None:
    assert len(read("9" * 65536).digits) == 512


@pytest.mark.parametrize("unit", [b"%", b"%2", b"%20", b" ", b"x", b"9x", b"+", b"*9", b"00", b"(", b"\xff"])
def test_long_hostile_user_is_answered_at_once(unit: bytes) -> None:
    read_number(unit * 65536, "AU")


@given(user=st.binary(max_size=80), home=st.sampled_from(["", "AU", "US", "GB", "ZZ"]))
def test_any_user_part_is_answered(user: bytes, home: str) -> None:
    number = read_number(user, home)
    if number is not None:
        assert number.digits
        assert all(reading.e164 and reading.reason for reading in number.readings)


@given(
    prefix=st.sampled_from(["", "+", "00", "011", "9011", "900", "0011", "000", "0021", "810"]),
    digits=st.text("0123456789", min_size=4, max_size=28),
    home=st.sampled_from(["", "AU", "US", "RU"]),
)
def test_every_reading_puts_the_dialled_digits_together_again(prefix: str, digits: str, home: str) -> None:
    number = read_number((prefix + digits).encode(), home)
    if number is None:
        return
    for reading in number.readings:
        dialled = reading.escape + reading.international_prefix + reading.calling_code + reading.national
        national = reading.national
        assert dialled == number.digits or (not reading.international_prefix and number.digits.endswith(national))


@given(digits=st.text("0123456789", min_size=7, max_size=20))
def test_best_reading_is_the_cheapest(digits: str) -> None:
    number = read_number(digits.encode(), "AU")
    assert number is not None
    assert (number.best.cost if number.best else None) == (number.readings[0].cost if number.readings else None)
