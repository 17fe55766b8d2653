"""Names of countries."""

import phonenumbers
import pytest

from relaytrap.evidence.countries import country_name


@pytest.mark.parametrize(
    ("code", "name"),
    [("AU", "Australia"), ("FR", "France"), ("MY", "Malaysia"), ("CI", "Côte d'Ivoire"), ("XK", "Kosovo")],
)
def test_code_has_its_name(code: str, name: str) -> None:
    assert country_name(code) == name


def test_every_region_that_has_telephones_has_a_name() -> None:
    assert [region for region in phonenumbers.SUPPORTED_REGIONS if country_name(region) == region] == []


@pytest.mark.parametrize("code", ["", "ZZ", "Atlantis"])
def test_unknown_code_stays(code: str) -> None:
    assert country_name(code) == code
