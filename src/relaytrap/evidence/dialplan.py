"""Dialled numbers: what the user part of a Request-URI asks a telephone network for.

Toll-fraud tools do not know the dial plan of the box they try, so they send one number under many prefixes: digits
that get an outside line (9, 0, 900 …), then some country's international prefix, then padding that passes careless
filters, then the number. What a single user part means is therefore a choice among readings. Each reading is scored
by how usual its parts are and by whether the numbering plan of its country knows the digits; the best one is shown,
the others are kept. Which number is really meant shows in the set: see `cores`.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from relaytrap.evidence.countries import country_name
from relaytrap.evidence.numbering import (
    Line,
    calling_code_at,
    home_line,
    owner_of_prefix,
    read_line,
    regions_of_code,
    ways_out,
)
from relaytrap.sip.text import display

__all__ = ["CORE_MIN", "DialledNumber", "Reading", "read_number"]

DIGITS_MIN: Final = 7
"""Fewer digits are an extension: the longest internal plans in use have six."""

DIGITS_MAX: Final = 32
"""E.164 allows 15; the rest is prefix and padding. More than this is no attempt to dial."""

CACHED_MAX: Final = 64
"""Longer user parts are read each time, so that a flood of 64 KiB ones cannot fill memory through the cache."""

CORE_MIN: Final = 9
"""Nine digits at the end are enough to be unlike any other number, and no prefix reaches into them."""

ESCAPE_MAX: Final = 6
PADDING_MAX: Final = 4
"""Digits in front of a bare number, with no way out between; nearly every longer cut would find some country."""

HEAD: Final = 10
"""Escape and international prefix lie within the first ten digits, so candidates are cached by these alone."""

# What one part of a reading costs; the cheapest valid reading wins. Judgement, settled on the patterns that
# honeypots see: 9011…, 900…, 000…, 0011…, 900 44…, 00 00 48…, 0075 34…, 7600 0046…, 1450 0972…, 0021 44…, 00 0144….
COST_HOME_PREFIX: Final = 0.0
COST_USUAL_PREFIX: Final = 1.0  # 00 and 011: more than 190 regions between them
COST_FOREIGN_PREFIX: Final = 3.5
COST_CARRIER_PREFIX: Final = 6.0  # five and more digits: a chosen carrier's way out
COST_ONE_DIGIT_PREFIX: Final = 8.0  # 0 in Cape Verde and Samoa
COST_NATIONAL: Final = 2.0
COST_BARE: Final = 4.0
COST_ESCAPE: Final = (0.0, 3.0, 3.0, 4.0, 5.0, 6.0, 7.0)
COST_OUTSIDE_LINE: Final = {"9": 1.5, "0": 2.0, "8": 2.0}
COST_ONLY_POSSIBLE: Final = 5.0
COST_IMPOSSIBLE: Final = 12.0
USUAL_PREFIXES: Final = frozenset({"00", "011"})

MASK_FILLS: Final = "0123456789"
SEPARATORS: Final = re.compile(rb"[ \-.()/_~\t]+")
ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
DIALLABLE: Final = re.compile(r"[*#]*(\+?[0-9][0-9*#xX+]*)\Z")


class Reading(NamedTuple):
    """One way to understand the digits, from left to right.

    escape: digits that get a line or are padding. international_prefix: "+", "00", "0011" …, "" without one.
    prefix_regions: regions that dial that prefix; prefix_owner the country it stands for, "" when many share it.
    country: ISO of the number, "" when the code belongs to none or to several. calling_code, national: text of digits,
    masked ones as "x". e164: "+" and both. kind: see `numbering.Line`. cost: lower is likelier.
    """

    escape: str
    international_prefix: str
    prefix_regions: tuple[str, ...]
    prefix_owner: str
    country: str
    calling_code: str
    national: str
    e164: str
    kind: str
    valid: bool
    possible: bool
    cost: float

    @property
    def reason(self) -> str:
        """The reading as one sentence."""
        parts = [f"{self.escape} is an escape or padding"] if self.escape else []
        if self.international_prefix == "+":
            parts.append("+ marks an international number")
        elif self.international_prefix:
            parts.append(f"{self.international_prefix} is {_whose(self)}")
        parts.append(f"{self.calling_code} is {self._country_text()}")
        state = "fits" if self.valid else "has a possible length for" if self.possible else "does not fit"
        kind = "its numbering plan" if self.kind == "unknown" else f"its {self.kind} numbers"
        parts.append(f"{self.national} {state} {kind}")
        return "; ".join(parts)

    def _country_text(self) -> str:
        if self.country:
            return country_name(self.country)
        sharing = len(regions_of_code(int(self.calling_code)))
        return f"shared by {sharing} countries" if sharing else "a code of no country"


def _whose(reading: Reading) -> str:
    if reading.prefix_owner:
        return f"the way out of {country_name(reading.prefix_owner)}"
    names = [country_name(region) for region in reading.prefix_regions]
    return f"the way out of {' or '.join(names)}" if len(names) <= 4 else f"the way out of {len(names)} countries"


class DialledNumber(NamedTuple):
    """A dialled number and its likeliest reading.

    digits: what was dialled without separators, masked digits as "x", a leading "+" kept.
    masked: some digits were hidden by whoever published the message.
    core: the last nine digits, which stay the same under every prefix; "" when masked or fewer.
    best: the likeliest reading; None when no numbering plan has room for the digits.
    """

    digits: str
    masked: bool
    core: str
    home_region: str
    best: Reading | None

    @property
    def escape(self) -> str:
        return self.best.escape if self.best else ""

    @property
    def international_prefix(self) -> str:
        return self.best.international_prefix if self.best else ""

    @property
    def prefix(self) -> str:
        """Everything dialled in front of the calling code."""
        return self.best.escape + self.best.international_prefix if self.best else ""

    @property
    def prefix_owner(self) -> str:
        return self.best.prefix_owner if self.best else ""

    @property
    def country(self) -> str:
        return self.best.country if self.best else ""

    @property
    def calling_code(self) -> str:
        return self.best.calling_code if self.best else ""

    @property
    def national(self) -> str:
        return self.best.national if self.best else ""

    @property
    def e164(self) -> str:
        return self.best.e164 if self.best else ""

    @property
    def kind(self) -> str:
        """Kind of line, "unknown", or "overlong" for more digits than any network takes."""
        if self.best:
            return self.best.kind
        return "overlong" if len(self.digits) > DIGITS_MAX else "unknown"

    @property
    def valid(self) -> bool:
        return self.best is not None and self.best.valid

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Every reading whose digits fit some plan, likeliest first; worked out when asked for."""
        return _all_readings(self.digits, self.home_region)


def read_number(user: bytes, home_region: str) -> DialledNumber | None:
    """The number that a user part dials; None when it is an extension or a name.

    user: as it stands in the URI, escapes and separators included. home_region: ISO country whose rules apply where
    the call would start; "" when unknown. Answers are cached by value.
    """
    return _read_number(user, home_region) if len(user) <= CACHED_MAX else _read_number.__wrapped__(user, home_region)


@lru_cache(maxsize=1 << 12)
def _read_number(user: bytes, home_region: str) -> DialledNumber | None:
    digits = _digits(user)
    if digits is None:
        return None
    masked = "x" in digits
    if len(digits) > DIGITS_MAX:
        return DialledNumber(digits, masked, "", home_region, None)
    core = digits[-CORE_MIN:]
    if "x" in core or "+" in core or len(core) < CORE_MIN:
        core = ""
    return DialledNumber(digits, masked, core, home_region, _best_reading(digits, home_region))


def _digits(user: bytes) -> str | None:
    """Dialled digits without separators, masked ones as "x", a leading "+" kept; None when it dials nothing."""
    if not user.isdigit():
        return _digits_among(user[:512])
    return user[:512].decode("ascii") if len(user) >= DIGITS_MIN else None


def _digits_among(user: bytes) -> str | None:
    user = user.partition(b";")[0].partition(b":")[0]
    if b"%" in user:
        user = ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), user)
    match = DIALLABLE.match(display(SEPARATORS.sub(b"", user)))
    if match is None:
        return None
    before, plus, number = match[1].replace("X", "x").replace("*", "x").rstrip("#").replace("#", "").rpartition("+")
    digits = before.replace("+", "") + (plus if len(before) <= ESCAPE_MAX else "") + number
    return digits if len(digits) >= DIGITS_MIN and sum(map(str.isdigit, digits)) >= 3 else None


# --- candidates -----------------------------------------------------------------------------------------------------


class _Candidate(NamedTuple):
    cost: float
    escape: str
    prefix: str


@lru_cache(maxsize=1 << 11)
def _candidates(head: str, home_region: str) -> tuple[_Candidate, ...]:
    """Ways to cut escape and international prefix off the head, cheapest first."""
    if "+" in head:
        escape = head.partition("+")[0]
        return (_Candidate(COST_ESCAPE[len(escape)], escape, "+"),)
    known = ways_out()
    found = [_Candidate(COST_ESCAPE[at] + COST_BARE, head[:at], "") for at in range(PADDING_MAX + 1)]
    for at in range(ESCAPE_MAX + 1):
        # A carrier's long prefix behind an escape is not seen; looking for it would invent readings.
        for end in range(at + 1, at + 5 if at else HEAD):
            if (prefix := head[at:end]) in known:
                cost = _escape_cost(head[:at], prefix) + _prefix_cost(prefix, home_region)
                found.append(_Candidate(cost, head[:at], prefix))
    # At equal cost the longer prefix explains more of the digits.
    return tuple(sorted(found, key=lambda one: (one.cost, -len(one.prefix), one.escape)))


def _escape_cost(escape: str, prefix: str) -> float:
    if escape == "0" and not prefix.startswith("00"):
        return COST_ESCAPE[1]
    return COST_OUTSIDE_LINE.get(escape, COST_ESCAPE[len(escape)])


def _prefix_cost(prefix: str, home_region: str) -> float:
    if home_region in ways_out()[prefix]:
        return COST_HOME_PREFIX
    if prefix in USUAL_PREFIXES:
        return COST_USUAL_PREFIX
    if len(prefix) == 1:
        return COST_ONE_DIGIT_PREFIX
    return COST_FOREIGN_PREFIX if len(prefix) <= 4 else COST_CARRIER_PREFIX


# --- readings -------------------------------------------------------------------------------------------------------


def _best_reading(digits: str, home_region: str) -> Reading | None:
    """The cheapest reading; looks no further once none can be cheaper."""
    best = _national_reading(digits, home_region)
    for candidate in _candidates(digits[:HEAD], home_region):
        if best is not None and best.cost <= candidate.cost:
            break
        reading = _read(digits, candidate, home_region)
        if reading is not None and (best is None or reading.cost < best.cost):
            best = reading
    return best


@lru_cache(maxsize=1024)
def _all_readings(digits: str, home_region: str) -> tuple[Reading, ...]:
    if len(digits) > DIGITS_MAX:
        return ()
    readings = [_read(digits, candidate, home_region) for candidate in _candidates(digits[:HEAD], home_region)]
    readings.append(_national_reading(digits, home_region))
    return tuple(sorted((one for one in readings if one is not None), key=lambda one: one.cost))


def _read(digits: str, candidate: _Candidate, home_region: str) -> Reading | None:
    """The reading a cut leads to; None when what is left cannot be a number."""
    start = len(candidate.escape) + len(candidate.prefix)
    code = calling_code_at(digits, start)
    if not code:
        return None
    national = digits[start + len(str(code)) :]
    line = _read_masked(code, national) if "x" in national else read_line(code, national)
    if line.valid:
        return _reading(candidate.escape, candidate.prefix, code, national, line, candidate.cost)
    if not 4 <= len(national) <= 14 or not _tolerated(candidate, line, home_region):
        return None
    cost = candidate.cost + (COST_ONLY_POSSIBLE if line.possible else COST_IMPOSSIBLE)
    return _reading(candidate.escape, candidate.prefix, code, national, line, cost)


def _tolerated(candidate: _Candidate, line: Line, home_region: str) -> bool:
    """Whether digits outside every range in use still make a reading: only behind a prefix that leaves no doubt."""
    prefix = candidate.prefix
    if prefix not in USUAL_PREFIXES and prefix != "+" and home_region not in ways_out().get(prefix, ()):
        return False
    return len(candidate.escape) <= 4 if line.possible else not candidate.escape


def _national_reading(digits: str, home_region: str) -> Reading | None:
    found = home_line(home_region, digits) if home_region and "x" not in digits and "+" not in digits else None
    if found is None:
        return None
    code, national = found
    return _reading("", "", code, national, read_line(code, national), COST_NATIONAL)


def _reading(escape: str, prefix: str, code: int, national: str, line: Line, cost: float) -> Reading:
    regions = ways_out().get(prefix, ())
    country = line.region or (_only(regions_of_code(code)) if not line.valid else "")
    owner = owner_of_prefix(prefix) if regions else ""
    text = str(code)
    return Reading(
        escape, prefix, regions, owner, country, text, national, f"+{text}{national}",
        line.kind, line.valid, line.possible, cost,
    )  # fmt: skip


def _only(regions: tuple[str, ...]) -> str:
    return regions[0] if len(regions) == 1 else ""


def _read_masked(code: int, national: str) -> Line:
    """What a number with hidden digits can be: valid when some filling is, its country and kind when all agree."""
    if len(national) > 15:
        return read_line(code, national.replace("x", "0"))
    lines = [read_line(code, national.replace("x", fill)) for fill in MASK_FILLS]
    valid = [line for line in lines if line.valid]
    if not valid:
        return lines[0]
    regions, kinds = {line.region for line in valid}, {line.kind for line in valid}
    region = regions.pop() if len(regions) == 1 else regions_of_code(code)[0] if regions_of_code(code) else ""
    return Line(region, kinds.pop() if len(kinds) == 1 else "unknown", True, True)
