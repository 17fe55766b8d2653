"""The world's numbering plans, held against the package they come from."""

import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata

from relaytrap.evidence.numbering import (
    calling_code_at,
    home_line,
    listed,
    owner_of_prefix,
    read_line,
    regions_of_code,
    ways_out,
)

TYPES = {
    phonenumbers.PhoneNumberType.FIXED_LINE: "fixed",
    phonenumbers.PhoneNumberType.MOBILE: "mobile",
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed or mobile",
    phonenumbers.PhoneNumberType.TOLL_FREE: "toll free",
    phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium",
    phonenumbers.PhoneNumberType.SHARED_COST: "shared cost",
    phonenumbers.PhoneNumberType.VOIP: "voip",
    phonenumbers.PhoneNumberType.PERSONAL_NUMBER: "personal",
    phonenumbers.PhoneNumberType.PAGER: "pager",
    phonenumbers.PhoneNumberType.UAN: "company",
    phonenumbers.PhoneNumberType.VOICEMAIL: "voicemail",
}


@pytest.mark.parametrize(
    ("pattern", "strings"),
    [
        ("011", {"011"}),
        ("00[14-6]", {"001", "004", "005", "006"}),
        ("00(?:1\\d)?", {"00", *(f"001{digit}" for digit in range(10))}),
        ("0(?:0|1(?:05|[2-3]))", {"00", "0105", "012", "013"}),
        ("00|16", {"00", "16"}),
    ],
)
def test_pattern_is_spelled_out(pattern: str, strings: set[str]) -> None:
    assert listed(pattern) == strings


@pytest.mark.parametrize("pattern", ["0{2}", "0+", "(?=0)", "a", "0)", "0(?:1"])
def test_pattern_beyond_the_simple_is_refused(pattern: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        listed(pattern)


def test_every_way_out_matches_the_pattern_of_each_of_its_regions() -> None:
    for prefix, regions in ways_out().items():
        for region in regions:
            metadata = PhoneMetadata.metadata_for_region(region)
            assert metadata is not None
            assert re.fullmatch(metadata.international_prefix or "", prefix), (prefix, region)


def test_every_region_with_a_telephone_network_has_a_way_out() -> None:
    reached = {region for regions in ways_out().values() for region in regions}
    assert reached == set(phonenumbers.SUPPORTED_REGIONS)


@pytest.mark.parametrize(
    ("prefix", "owner"),
    [
        ("0011", "AU"),
        ("14110011", "AU"),
        ("011", "US"),
        ("810", "RU"),
        ("010", ""),
        ("119", "CU"),
        ("00", ""),
        ("x", ""),
    ],
)
def test_prefix_stands_for_a_country(prefix: str, owner: str) -> None:
    assert owner_of_prefix(prefix) == owner


@pytest.mark.parametrize(
    ("digits", "at", "code"),
    [
        ("442012", 0, 44),
        ("00331", 2, 33),
        ("12025", 0, 1),
        ("972592", 0, 972),
        ("0123", 0, 0),
        ("999", 0, 0),
        ("", 0, 0),
        ("21", 0, 0),
    ],
)
def test_calling_code_is_found(digits: str, at: int, code: int) -> None:
    assert calling_code_at(digits, at) == code


def test_calling_codes_are_prefix_free() -> None:
    codes = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    assert [(one, other) for one in codes for other in codes if one != other and other.startswith(one)] == []


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_example_numbers_are_read_as_the_package_reads_them(region: str) -> None:
    for kind in TYPES:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None or not phonenumbers.is_valid_number(example):
            continue
        line = read_line(example.country_code, phonenumbers.national_significant_number(example))
        assert line.valid
        assert line.kind == TYPES[phonenumbers.number_type(example)]
        assert line.region == phonenumbers.region_code_for_number(example)


@settings(max_examples=300)
@given(
    code=st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)),
    national=st.from_regex(r"[1-9][0-9]{3,13}", fullmatch=True),
)
def test_any_number_is_as_valid_as_the_package_says(code: int, national: str) -> None:
    number = phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
    assert read_line(code, national).valid == phonenumbers.is_valid_number(number)


@pytest.mark.parametrize(
    ("code", "national", "kind"),
    [
        (870, "301234567", "satellite"),
        (881, "612345678", "satellite"),
        (882, "1612345678", "network"),
        (979, "123456789", "premium"),
        (800, "12345678", "toll free"),
    ],
)
def test_code_of_no_country_has_a_kind_and_no_region(code: int, national: str, kind: str) -> None:
    line = read_line(code, national)
    assert (line.region, line.kind, line.valid) == ("", kind, True)


def test_number_of_shared_code_that_nobody_claims_has_no_region() -> None:
    assert read_line(1, "0000000000") == ("", "unknown", False, True)


def test_regions_of_a_shared_code_begin_with_the_main_one() -> None:
    assert regions_of_code(1)[0] == "US"
    assert regions_of_code(44)[0] == "GB"
    assert regions_of_code(881) == ()


@pytest.mark.parametrize(
    ("region", "digits", "line"),
    [
        ("GB", "02012345678", (44, "2012345678")),
        ("GB", "2012345678", None),
        ("US", "2025550123", (1, "2025550123")),
        ("US", "12025550123", (1, "2025550123")),
        ("DE", "0301234567", (49, "301234567")),
        ("DE", "0000", None),
        ("ZZ", "02012345678", None),
        ("", "02012345678", None),
    ],
)
def test_national_call_is_recognised(region: str, digits: str, line: tuple[int, str] | None) -> None:
    assert home_line(region, digits) == line
