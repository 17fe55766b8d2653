"""Numbers that recur under many prefixes: the dialled digits of a set, grouped by how they end.

A single user part can be read in several ways; a set settles it. Padding can turn `0021`+`1831…` into a number in South
Sudan, but it cannot change the end. So the longest common suffix comes first and the country second, and the prefixes
tried are what is left over in front.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from relaytrap.evidence.dialplan import CORE_MIN, Reading, read_number

__all__ = ["Core", "common_cores"]

CORE_MAX: Final = 12
"""Twelve digits hold most E.164 numbers whole."""


class Core(NamedTuple):
    """Digits that recur at the end of several dialled numbers.

    core: nine to twelve digits. numbers: what was dialled, sorted. prefixes: what stood before the core, sorted; ""
    for the bare core. e164, country: of the reading that most of the numbers agree on, "" without agreement.
    """

    core: str
    numbers: tuple[str, ...]
    prefixes: tuple[str, ...]
    e164: str
    country: str


def common_cores(numbers: Iterable[str], home_region: str = "") -> tuple[Core, ...]:
    """Groups dialled digits by their common end, most prefixes first.

    Numbers under nine digits and masked ones belong to no group.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for number in numbers:
        digits = number.removeprefix("+")
        if len(digits) >= CORE_MIN and digits.isascii() and digits.isdigit():
            groups[digits[-CORE_MIN:]].add(digits)
    cores = [_core(sorted(group), home_region) for group in groups.values()]
    return tuple(sorted(cores, key=lambda core: (-len(core.prefixes), core.core)))


def _core(numbers: list[str], home_region: str) -> Core:
    suffix = _common_suffix(numbers)
    reading = _agreed(numbers, suffix, home_region)
    # Everybody may use one prefix; where the numbers agree on what is meant, their core starts at the calling code.
    core = suffix[-CORE_MAX:] if reading is None else reading.e164[1:]
    if not CORE_MIN <= len(core) <= CORE_MAX:
        core = suffix[-CORE_MAX:]
    prefixes = tuple(sorted({number[: -len(core)] for number in numbers}))
    return Core(core, tuple(numbers), prefixes, reading.e164 if reading else "", reading.country if reading else "")


def _common_suffix(numbers: list[str]) -> str:
    shortest = min(numbers, key=len)
    for length in range(CORE_MIN, len(shortest) + 1):
        if any(not number.endswith(shortest[-length:]) for number in numbers):
            return shortest[-(length - 1) :]
    return shortest


def _readings(number: str, home_region: str) -> tuple[Reading, ...]:
    read = read_number(number.encode("ascii"), home_region)
    return read.readings if read is not None else ()


def _agreed(numbers: list[str], suffix: str, home_region: str) -> Reading | None:
    """The valid reading that most numbers have and that every number ends with; None without one."""
    votes: dict[str, list[Reading]] = defaultdict(list)
    for number in numbers:
        for e164, reading in {one.e164: one for one in reversed(_readings(number, home_region))}.items():
            if reading.valid and suffix.endswith(e164[1:]):
                votes[e164].append(reading)
    if not votes:
        return None
    return min(votes.values(), key=lambda readings: (-len(readings), sum(one.cost for one in readings)))[0]
