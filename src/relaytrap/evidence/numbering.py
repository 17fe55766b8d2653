"""The world's numbering plans, as the phonenumbers package knows them, in a form that answers in microseconds.

Two questions only: which regions dial these digits to get an international line, and what a calling code followed by
these digits is. Patterns are the package's own; nothing here is a hand-written table. Its parser is not used: it
takes ten times as long, and wants to be told where a number starts, which is exactly what is unknown here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

__all__ = ["Line", "calling_code_at", "home_line", "owner_of_prefix", "read_line", "regions_of_code", "ways_out"]

NON_GEOGRAPHIC: Final = "001"
"""The package's region for calling codes that belong to no country (800, 870, 881, 882, 883, 979 …)."""

KIND_OF_CODE: Final = {870: "satellite", 881: "satellite", 882: "network", 883: "network", 878: "personal"}
"""Codes whose every line is of one kind: Inmarsat, Global Mobile Satellite System, international networks, UPT."""

# In the order in which libphonenumber decides: a premium pattern may lie inside a wider fixed-line one.
KINDS: Final = (
    ("premium_rate", "premium"),
    ("toll_free", "toll free"),
    ("shared_cost", "shared cost"),
    ("voip", "voip"),
    ("personal_number", "personal"),
    ("pager", "pager"),
    ("uan", "company"),
    ("voicemail", "voicemail"),
)


WORLDWIDE: Final = 100
"""A prefix that so many regions dial (00) says nothing of the country it is dialled in."""


class Line(NamedTuple):
    """What a calling code and the digits behind it are.

    region: ISO country; "" for codes of no country, or when several share the code and none claims the digits.
    kind: "fixed", "mobile", "fixed or mobile", "premium", "toll free", "shared cost", "voip", "personal", "pager",
    "company", "voicemail", "satellite", "network", "unknown".
    valid: the digits fit a range in use. possible: only their number fits the country.
    """

    region: str
    kind: str
    valid: bool
    possible: bool


@dataclass(frozen=True, slots=True)
class _Region:
    """One region's share of a calling code: all kinds of line in one pattern, the group's number tells which."""

    name: str
    pattern: re.Pattern[str]
    kinds: tuple[str, ...]
    lengths: frozenset[int]


# --- ways out -------------------------------------------------------------------------------------------------------


def _alternatives(pattern: str, at: int) -> tuple[list[str], int]:
    """Every digit string of the pattern from `at` up to its end or the closing bracket, and where that is."""
    found: list[str] = []
    parts: list[list[str]] = []
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            found += _joined(parts)
            parts, at = [], at + 1
            continue
        part, at = _part(pattern, at)
        if pattern[at : at + 1] == "?":
            part, at = ["", *part], at + 1
        parts.append(part)
    return found + _joined(parts), at


def _part(pattern: str, at: int) -> tuple[list[str], int]:
    if pattern.startswith("(?:", at):
        inner, end = _alternatives(pattern, at + 3)
        return inner, end + 1
    if pattern.startswith("\\d", at):
        return list("0123456789"), at + 2
    if pattern[at] == "[":
        end = pattern.index("]", at)
        return [digit for digit in "0123456789" if re.match(pattern[at : end + 1], digit)], end + 1
    if pattern[at].isdigit():
        return [pattern[at]], at + 1
    raise ValueError(f"cannot list what {pattern!r} matches at {at}")


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(choice) for choice in product(*parts)]


def listed(pattern: str) -> frozenset[str]:
    """Every digit string that a finite pattern of digits, classes, groups and `?` matches.

    Raises ValueError for other syntax; the package's international prefixes have none.
    """
    found, end = _alternatives(pattern, 0)
    if end != len(pattern):
        raise ValueError(f"unbalanced bracket in {pattern!r} at {end}")
    return frozenset(found)


@lru_cache(maxsize=1)
def ways_out() -> dict[str, tuple[str, ...]]:
    """Each international prefix in use anywhere, with the regions that dial it (`0011`: AU, CC, CX)."""
    regions_of: dict[str, list[str]] = {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        metadata = PhoneMetadata.metadata_for_region(region)
        for prefix in listed(metadata.international_prefix or "") if metadata is not None else ():
            if prefix:
                regions_of.setdefault(prefix, []).append(region)
    return {prefix: tuple(regions) for prefix, regions in regions_of.items()}


@lru_cache(maxsize=4096)
def owner_of_prefix(prefix: str) -> str:
    """The country a prefix stands for: "AU" for 0011, "US" for 011; "" where several countries have equal claims.

    Regions count for the main country of their calling code, so Christmas Island speaks for Australia.
    """
    counts = Counter(_main_region(region) for region in ways_out().get(prefix, ())).most_common(2)
    if not counts or (len(counts) == 2 and counts[0][1] == counts[1][1]):
        return ""
    return counts[0][0] if len(ways_out()[prefix]) < WORLDWIDE else ""


def _main_region(region: str) -> str:
    return str(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[phonenumbers.country_code_for_region(region)][0])


# --- lines ----------------------------------------------------------------------------------------------------------


CODES: Final[Mapping[str, int]] = {str(code): code for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}


def calling_code_at(digits: str, at: int) -> int:
    """The calling code that starts there, 0 for none. Codes are prefix-free, so there is at most one."""
    return CODES.get(digits[at : at + 1]) or CODES.get(digits[at : at + 2]) or CODES.get(digits[at : at + 3]) or 0


def regions_of_code(code: int) -> tuple[str, ...]:
    """Regions that share a calling code, the main one first; none for a code of no country."""
    return tuple(
        region for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ()) if region != NON_GEOGRAPHIC
    )


@lru_cache(maxsize=512)
def _plan(code: int) -> tuple[_Region, ...]:
    return tuple(_load(code))


def _load(code: int) -> Iterator[_Region]:
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        if metadata is None or metadata.general_desc is None:
            continue
        kinds = list(_kinds(metadata))
        general = f"(?=(?:{metadata.general_desc.national_number_pattern})\\Z)"
        leading = f"(?={metadata.leading_digits})" if metadata.leading_digits else ""
        yield _Region(
            "" if region == NON_GEOGRAPHIC else region,
            re.compile(f"{general}{leading}(?:{'|'.join(f'({pattern})' for _, pattern in kinds)})\\Z"),
            tuple(KIND_OF_CODE.get(code, kind) for kind, _ in kinds),
            frozenset(metadata.general_desc.possible_length),
        )


def _kinds(metadata: PhoneMetadata) -> Iterator[tuple[str, str]]:
    for attribute, name in KINDS:
        description = getattr(metadata, attribute)
        if description is not None and description.national_number_pattern:
            yield name, description.national_number_pattern
    fixed, mobile = metadata.fixed_line, metadata.mobile
    fixed_pattern = fixed.national_number_pattern if fixed is not None else None
    mobile_pattern = mobile.national_number_pattern if mobile is not None else None
    if fixed_pattern and mobile_pattern:
        both = fixed_pattern if fixed_pattern == mobile_pattern else f"(?=(?:{mobile_pattern})\\Z)(?:{fixed_pattern})"
        yield "fixed or mobile", both
    if fixed_pattern and fixed_pattern != mobile_pattern:
        yield "fixed", fixed_pattern
    if mobile_pattern and fixed_pattern != mobile_pattern:
        yield "mobile", mobile_pattern


def read_line(code: int, national: str) -> Line:
    """What the national digits behind a calling code are; `national` holds digits only."""
    plan = _plan(code)
    for region in plan:
        if (match := region.pattern.match(national)) and match.lastindex:
            return Line(region.name, region.kinds[match.lastindex - 1], True, True)
    possible = any(len(national) in region.lengths for region in plan)
    return Line(plan[0].name if len(plan) == 1 else "", KIND_OF_CODE.get(code, "unknown"), False, possible)


@lru_cache(maxsize=512)
def _home(region: str) -> tuple[int, str]:
    metadata = PhoneMetadata.metadata_for_region(region) if region in phonenumbers.SUPPORTED_REGIONS else None
    return (metadata.country_code or 0, metadata.national_prefix or "") if metadata is not None else (0, "")


def home_line(region: str, digits: str) -> tuple[int, str] | None:
    """Calling code and national digits when these digits are a call inside the region; None when they are none."""
    code, trunk = _home(region)
    if not code:
        return None
    if trunk and digits.startswith(trunk) and read_line(code, digits[len(trunk) :]).valid:
        return code, digits[len(trunk) :]
    # Where a trunk prefix is the rule, digits without one are a local call or a foreign number, not a national call.
    if (not trunk or code == 1) and read_line(code, digits).valid:
        return code, digits
    return None
