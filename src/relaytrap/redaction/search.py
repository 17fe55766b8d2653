"""Where secrets stand in a text, in whatever form. Text in, places out; what is put there instead is not said here.

A text is searched as it is, and again below each layer that can be peeled off: runs of hex, base64 and percent escapes
are decoded and searched in turn, as scanners pack one encoding into another (SIPVicious writes the hex of the hex of
the address it aims at). Places found below are carried back to the outermost text. What a relay masked by topology
hiding is unmasked where its key is the built-in one; under any other key it counts as a secret: one alphabet serves all
messages of a relay, and enough of them give it away.
"""

import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from relaytrap.evidence.address_forms import find_address_forms
from relaytrap.evidence.topology_hiding import unmask
from relaytrap.redaction.secrets import OWN, Secrets

__all__ = ["NUMBER_MIN", "Found", "Searcher", "as_text", "numbers_in"]

DEPTH: Final = 3
"""Layers that are peeled: base64 of hex of hex is the deepest that anything is known to write."""

KEY: Final = 6
"""Characters by which a form is looked up; the shortest that mean anything have seven."""

SMALL: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
"""Of ASCII alone: each letter stays one, so places stay where they are."""

NUMBER_MIN: Final = 7
HIDDEN_DIGITS: Final = 6

OCTET: Final = r"[0-9]{1,3}"
# Looked for at every place, as one may begin inside another; digits on either side are judged by `_stands_apart`.
DOTTED: Final = {sign: re.compile(f"(?=((?:{OCTET}{re.escape(sign)}){{3}}{OCTET}))") for sign in ".-_"}
IPV6: Final = re.compile(r"(?i)(?<![0-9a-f:])(?=[0-9a-f]*:[0-9a-f:.]*:)[0-9a-f:.]{3,45}")
IPV6_WORDS: Final = re.compile(r"(?i)(?:[0-9a-f]{1,4}(-|%3a)){7}[0-9a-f]{1,4}")
WORDS_BEFORE: Final = re.compile(r"(?i)[0-9a-f:.]*\Z")
WORDS_AFTER: Final = re.compile(r"(?i)[0-9a-f:.]{0,40}")
NIBBLES: Final = re.compile(r"(?i)(?:[0-9a-f]\.){31}[0-9a-f]")
HEX_RUN: Final = re.compile(r"[0-9A-Fa-f]{14,}")
BASE64_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{6,}")
ESCAPED_RUN: Final = re.compile(r"(?:[^%\s\"<>]*%[0-9A-Fa-f]{2})+[^%\s\"<>]*")
# Branches, parameters and Call-IDs that Kamailio's topoh masked.
MASKED: Final = re.compile(r"(z9hG4bKsr-|(?:(?<=[=\s])|\A)sr-|!!:)([A-Za-z0-9.-]{12,}\**)")
ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
# Without a user part, digits behind "sip:" are a host.
NUMBER_IN_URI: Final = re.compile(
    r"(?i)(?:sips?:(?:\+|%2b)?([0-9][0-9().*#-]{5,}[0-9])(?=(?:[;:][^@>\s]*)?@)|"
    r"tel:(?:\+|%2b)?([0-9][0-9().*#-]{5,}[0-9]))"
)


class Found(NamedTuple):
    """A place in a text. whose: a pseudonym, or "" for digits of a number and what is masked. how: the encoding, as
    people read it."""

    start: int
    end: int
    whose: str
    how: str


def as_text(octets: bytes) -> str:
    """Each octet as one character, so that places in the text are places in the octets."""
    return octets.decode("latin-1")


def numbers_in(text: str) -> list[str]:
    """User parts of URIs that could be dialled."""
    return [match[1] or match[2] for match in NUMBER_IN_URI.finditer(text)]


class Searcher:
    """Looks for secrets and for telephone numbers that it was told of."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._exact: dict[str, list[tuple[str, str, str]]] = {}
        self._lower: dict[str, list[tuple[str, str, str]]] = {}
        self._packed: dict[str, tuple[str, str]] = {}
        self._numbers: dict[str, set[str]] = {}
        for address, whose in secrets.addresses.items():
            self._learn_address(address, whose)

    def learn_number(self, number: str) -> None:
        """A number whose last digits are to be hidden wherever it stands; too short a one is no number."""
        digits = re.sub(r"[^0-9]", "", number)
        if len(digits) >= NUMBER_MIN:
            self._numbers.setdefault(digits[:KEY], set()).add(digits)

    def find(self, text: str) -> list[Found]:
        """Every place, in order; none overlaps another: addresses win over numbers, longer ones over shorter."""
        found = [*self._find(text, DEPTH), *self._numbers_in_uris(text)]
        found.sort(key=lambda place: (not place.whose, place.start - place.end, place.start))
        kept: list[Found] = []
        taken = bytearray(len(text))
        for place in found:
            if not any(taken[place.start : place.end]):
                taken[place.start : place.end] = b"\1" * (place.end - place.start)
                kept.append(place)
            elif place.whose:
                kept += _rests(place, taken)
        return sorted(kept)

    # ---- what is looked for -------------------------------------------------------------------------------------

    def _learn_address(self, address: str, whose: str) -> None:
        parsed = ipaddress.ip_address(address)
        for form in find_address_forms(address):
            if not form.sure or form.encoding == "dotted" or len(form.text) < KEY:
                continue
            text = form.text.decode("ascii")
            if form.encoding.startswith("base64"):
                self._exact.setdefault(text[:KEY], []).append((text, whose, form.encoding))
            else:
                self._lower.setdefault(text[:KEY].lower(), []).append((text.lower(), whose, form.encoding))
        for packed, how in ((parsed.packed, "as octets"), (parsed.packed[::-1], "as octets, reversed")):
            self._packed[as_text(packed)] = (whose, how)

    # ---- one text -----------------------------------------------------------------------------------------------

    def _find(self, text: str, depth: int) -> Iterator[Found]:
        yield from self._forms(text)
        yield from self._dotted(text)
        if text.count(":") > 1 or text.count("-") > 6 or "%3" in text or text.count(".") > 30:
            yield from self._ipv6(text)
        yield from self._names(text)
        yield from self._known_numbers(text)
        if depth:
            yield from self._below_hex(text, depth - 1)
            yield from self._below_base64(text, depth - 1)
            if "%" in text:
                yield from self._below_escapes(text, depth - 1)
            if "sr-" in text or "!!:" in text:
                yield from self._below_masks(text, depth - 1)

    def _forms(self, text: str) -> Iterator[Found]:
        lower = text.translate(SMALL)
        exact, small = self._exact, self._lower
        for at in range(len(text) - KEY + 1):
            if (some := small.get(lower[at : at + KEY])) is not None:
                for form, whose, how in some:
                    if lower.startswith(form, at) and not (how == "text" and _is_longer_address(text, at, len(form))):
                        yield Found(at, at + len(form), whose, how)
            if (some := exact.get(text[at : at + KEY])) is not None:
                for form, whose, how in some:
                    if text.startswith(form, at):
                        yield from self._whole_base64(text, at, at + len(form), whose, how)

    def _whole_base64(self, text: str, start: int, end: int, whose: str, how: str) -> Iterator[Found]:
        """A core with its neighbours on both sides, which hold bits of the first and the last character."""
        before, after = text[max(start - 2, 0) : start], text[end : end + 2]
        start -= len(before) if BASE64_RUN.fullmatch(before * 6) else 0
        end += len(after) if BASE64_RUN.fullmatch(after * 6) else 0
        yield Found(start, end, whose, how)

    def _dotted(self, text: str) -> Iterator[Found]:
        for sign, pattern in DOTTED.items():
            if text.count(sign) >= 3:
                for match in pattern.finditer(text):
                    yield from self._dotted_at(text, match.start(1), match[1].split(sign))

    def _dotted_at(self, text: str, start: int, parts: list[str]) -> Iterator[Found]:
        *inner, last = parts
        begin_of_last = start + sum(map(len, inner)) + 3
        # The last octet may be shorter than the digits that stand there: 192.0.2.7 in "192.0.2.71234".
        for size in range(len(last), 0, -1):
            octets = [*inner, last[:size]]
            if any(int(each) > 255 for each in octets):
                continue
            end = begin_of_last + size
            forward = self._whose(octets)
            if (whose := forward or self._whose(octets[::-1])) and _stands_apart(text, start, end, octets):
                yield Found(start, end, whose, "dotted" if forward else "dotted reversed")

    def _whose(self, octets: Iterable[str]) -> str:
        address, secrets = ".".join(str(int(each)) for each in octets), self._secrets
        return secrets.addresses.get(address) or (secrets.whose(address) if secrets.networks else "")

    def _ipv6(self, text: str) -> Iterator[Found]:
        for match in IPV6.finditer(text):
            for token in (match[0], match[0].rstrip(":."), match[0].rpartition(":")[0]):
                if whose := self._secrets.whose(token):
                    yield Found(match.start(), match.start() + len(token), whose, "text")
                    break
        for match in IPV6_WORDS.finditer(text):
            if whose := self._secrets.whose(re.sub(r"(?i)-|%3a", ":", match[0])):
                yield Found(match.start(), match.end(), whose, "hyphenated")
        for match in NIBBLES.finditer(text):
            nibbles = match[0].replace(".", "")
            for digits, how in ((nibbles[::-1], "reverse name"), (nibbles, "nibbles")):
                if whose := self._secrets.whose(str(ipaddress.IPv6Address(int(digits, 16)))):
                    yield Found(match.start(), match.end(), whose, how)

    def _names(self, text: str) -> Iterator[Found]:
        for name in self._secrets.names:
            for match in re.finditer(re.escape(name), text, re.IGNORECASE):
                yield Found(match.start(), match.end(), OWN, "name")

    def _known_numbers(self, text: str) -> Iterator[Found]:
        numbers = self._numbers
        if not numbers:
            return
        for run in re.finditer(r"[0-9]{7,}", text):
            digits = run[0]
            for at in range(len(digits) - KEY + 1):
                for number in numbers.get(digits[at : at + KEY], ()):
                    if digits.startswith(number, at):
                        end = run.start() + at + len(number)
                        yield Found(end - HIDDEN_DIGITS, end, "", "number")

    @staticmethod
    def _numbers_in_uris(text: str) -> Iterator[Found]:
        """The last digits of every user part that could be dialled; separators between them stay."""
        for match in NUMBER_IN_URI.finditer(text):
            start, end = match.span(match.lastindex or 0)
            digits = [at for at in range(start, end) if text[at].isdigit()]
            if len(digits) >= NUMBER_MIN:
                for at in digits[-HIDDEN_DIGITS:]:
                    yield Found(at, at + 1, "", "number")

    # ---- below a layer ------------------------------------------------------------------------------------------

    def _below(self, octets: bytes, depth: int) -> Iterator[Found]:
        inner = as_text(octets)
        yield from self._find(inner, depth)
        for size in (4, 16):
            for at in range(len(inner) - size + 1):
                if (found := self._packed.get(inner[at : at + size])) is not None:
                    yield Found(at, at + size, *found)

    def _below_hex(self, text: str, depth: int) -> Iterator[Found]:
        for run in HEX_RUN.finditer(text):
            for shift in (0, 1):
                whole = run[0][shift : shift + (len(run[0]) - shift) // 2 * 2]
                for place in self._below(bytes.fromhex(whole), depth):
                    start = run.start() + shift
                    yield place._replace(
                        start=start + 2 * place.start, end=start + 2 * place.end, how=_beneath("hex", place.how)
                    )

    def _below_base64(self, text: str, depth: int) -> Iterator[Found]:
        for run in BASE64_RUN.finditer(text):
            token = run[0].replace("-", "+").replace("_", "/")
            for shift in range(min(4, len(token) - 5)):
                part = token[shift:]
                part = part[: len(part) - (len(part) % 4 == 1)]
                for place in self._below(b64decode(part + "=" * (-len(part) % 4)), depth):
                    # Whole groups: a character of base64 holds bits of two octets.
                    start = run.start() + shift + place.start // 3 * 4
                    end = min(run.start() + shift + -(-place.end // 3) * 4, run.end())
                    yield place._replace(start=start, end=end, how=_beneath("base64", place.how))

    def _below_escapes(self, text: str, depth: int) -> Iterator[Found]:
        for run in ESCAPED_RUN.finditer(text):
            starts, inner, at = [], [], 0
            while at < len(run[0]):
                escape = ESCAPE.match(run[0], at)
                starts.append(at)
                inner.append(chr(int(escape[1], 16)) if escape else run[0][at])
                at += 3 if escape else 1
            starts.append(at)
            for place in self._find("".join(inner), depth):
                start, end = run.start() + starts[place.start], run.start() + starts[place.end]
                yield place._replace(start=start, end=end, how=_beneath("escaped", place.how))

    def _below_masks(self, text: str, depth: int) -> Iterator[Found]:
        for match in MASKED.finditer(text):
            plain = unmask(match[0].encode("latin-1", "replace"))
            if plain is None:
                yield Found(*match.span(2), "", "mask")
                continue
            places = list(self._find(as_text(plain), depth))
            if places:
                yield Found(*match.span(2), places[0].whose, _beneath("topoh", places[0].how))


def _beneath(layer: str, how: str) -> str:
    return how if how == "number" else f"{layer} of {how}"


def _is_longer_address(text: str, start: int, size: int) -> bool:
    """Whether an IPv6 address is part of another one: 2001:db8::7 in 2001:db8::70."""
    before, after = WORDS_BEFORE.search(text[max(start - 40, 0) : start]), WORDS_AFTER.match(text, start + size)
    whole = f"{before[0] if before else ''}{text[start : start + size]}{after[0] if after else ''}"
    if len(whole) == size:
        return False
    try:
        ipaddress.IPv6Address(whole)
    except ValueError:
        return False
    return True


def _stands_apart(text: str, start: int, end: int, octets: list[str]) -> bool:
    """Whether digits on either side do not make it another's address: 5.9.1.2 does not stand in 185.9.1.23."""
    before = re.search(r"[0-9]*\Z", text[max(start - 12, 0) : start])
    after = re.match(r"[0-9]*", text[end : end + 12])
    left, right = before[0] if before else "", after[0] if after else ""
    if not left and not right:
        return True
    first, last = left + octets[0], octets[-1] + right
    is_another = len(first) <= 3 and int(first) <= 255 and len(last) <= 3 and int(last) <= 255
    return not is_another


def _rests(place: Found, taken: bytearray) -> Iterator[Found]:
    """What is left of a place that others partly took."""
    start = place.start
    while start < place.end:
        if taken[start]:
            start += 1
            continue
        end = start
        while end < place.end and not taken[end]:
            taken[end] = 1
            end += 1
        yield place._replace(start=start, end=end)
        start = end
