"""Where secrets stand in a text, in whatever form. Text in, places out; what is put there instead is not said here.

A text is searched as it is, and again below each layer that can be peeled off: runs of hex and base64, escapes, folded
lines are decoded and searched in turn, as scanners pack one encoding into another (SIPVicious writes the hex of the hex
of the address it aims at). Places found below are carried back to the outermost text. What a relay masked by topology
hiding is unmasked where its key is the built-in one; under any other key it counts as a secret: one alphabet serves all
messages of a relay, and enough of them give it away.
"""

import contextlib
import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

from relaytrap.evidence.address_forms import find_address_forms
from relaytrap.evidence.topology_hiding import unmask
from relaytrap.redaction.secrets import OWN, Secrets

__all__ = ["NUMBER_MIN", "Found", "Searcher", "as_text", "numbers_in", "numbers_of"]

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
DOTTED: Final = {sign: re.compile(f"(?=((?:{OCTET}{re.escape(sign)}){{3}}{OCTET}))") for sign in ".-_,"}
IPV6: Final = re.compile(r"(?i)(?<![0-9a-f:])(?=[0-9a-f]*:[0-9a-f:.]*:)[0-9a-f:.]{3,45}")
IPV6_WORDS: Final = re.compile(r"(?i)(?:[0-9a-f]{1,4}(-|%3a)){7}[0-9a-f]{1,4}")
WORDS_BEFORE: Final = re.compile(r"(?i)[0-9a-f:.]*\Z")
WORDS_AFTER: Final = re.compile(r"(?i)[0-9a-f:.]{0,40}")
NIBBLES: Final = re.compile(r"(?i)(?:[0-9a-f]\.){31}[0-9a-f]")
HEX_RUN: Final = re.compile(r"[0-9A-Fa-f]{14,}")
BASE64_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{6,}")
# How signs are written otherwise: in URIs, in HTML, in JSON; lines that are folded, and base64 that is broken into
# lines. Each by itself, as what one reads as its sign may be plain in another.
PERCENT: Final = re.compile(r"%([0-9A-Fa-f]{2})")
FOLDED: Final = re.compile(
    r"\r?\n(?:[ \t]+|(?<=[A-Za-z0-9+/]{16}\n|[A-Za-z0-9+/]{15}\r\n)(?=[A-Za-z0-9+/]+={0,2}(?:\r?\n|\Z)))"
)
ENTITY: Final = re.compile(r"&#[xX]0*([0-9A-Fa-f]{2});|&#0*([0-9]{2,3});")
BACKSLASH: Final = re.compile(r"\\(?:u00|x)([0-9A-Fa-f]{2})|\\(?=[!-/:-@])")
QUOTED_PRINTABLE: Final = re.compile(r"=([0-9A-Fa-f]{2})|=\r?\n")
# Branches, parameters and Call-IDs that Kamailio's topoh masked.
MASKED: Final = re.compile(r"(z9hG4bKsr-|(?:(?<=[=\s])|\A)sr-|!!:)([A-Za-z0-9.-]{12,}\**)")
# Where a number to be dialled stands: user parts, tel: URIs, a host that is none, names before an address. A user part
# may hold more than the number: a letter or a sign before it is a way out that somebody guessed.
NUMBER_PLACE: Final = re.compile(
    r'(?i)sips?:([^@\s<>";:]{7,256})(?=[^@\s<>"]{0,256}@)|sips?:(\+?[0-9]{7,64})(?![0-9.@])|'
    r'tel:([^@\s<>";]{7,256})|"(\+?[0-9 ().-]{7,64})"[ \t]*<'
)
DIALLED: Final = re.compile(r"[0-9](?:[0-9 ().*#,_~+!/-]*[0-9])?")


# A letter behind a digit, of what is no escape: a made-up token, of which scanners are known.
TOKEN: Final = re.compile(r"(?<!%)[0-9][A-Za-z]")
# So many digits in a row are a number even there.
LONG: Final = re.compile(r"[0-9]{10}")
TELLING: Final = re.compile(r"(?=.*[-._0-9]).{5}")
"""Names of sensors that are no common word: they are left out of every text, others only where sensors are named."""


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
    """Numbers that the URIs of a text dial, escaped or not."""
    unescaped = unquote(text, "latin-1")
    return [
        number
        for each in dict.fromkeys((text, unescaped))
        for match in NUMBER_PLACE.finditer(each)
        for number in numbers_of(match[match.lastindex or 0])
    ]


def numbers_of(text: str) -> list[str]:
    """The numbers in text that stands where one may be."""
    return ["".join(text[at] for at in digits) for digits in _dialled(text, 0, len(text))]


def _dialled(text: str, start: int, end: int) -> Iterator[list[int]]:
    """Places of the digits of each number, separators left out; an address is none, nor is a part of a token."""
    is_token = TOKEN.search(text, start, end) is not None
    for match in DIALLED.finditer(text, start, end):
        digits = [at for at in range(*match.span()) if text[at] in "0123456789"]
        if is_token and not LONG.search(match[0]):
            continue
        if len(digits) >= NUMBER_MIN and not _is_address(match[0]):
            yield digits


class Searcher:
    """Looks for secrets and for telephone numbers that it was told of."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._exact: dict[str, list[tuple[str, str, str]]] = {}
        self._lower: dict[str, list[tuple[str, str, str]]] = {}
        self._packed: dict[str, tuple[str, str]] = {}
        self._numbers: dict[str, set[str]] = {}
        self._sensors = {name.lower(): whose for name, whose in secrets.sensors.items() if TELLING.search(name)}
        self._names = [_any_of(secrets.names)] if secrets.names else []
        self._names += [_alone(self._sensors)] if self._sensors else []
        for address, whose in secrets.addresses.items():
            self._learn_address(address, whose)

    def learn_number(self, number: str) -> None:
        """A number whose last digits are to be hidden wherever it stands; too short a one is no number."""
        digits = re.sub(r"[^0-9]", "", number)
        if len(digits) >= NUMBER_MIN:
            self._numbers.setdefault(digits[:KEY], set()).add(digits)

    def find(self, text: str, *, is_number: bool = False) -> list[Found]:
        """Every place, in order; none overlaps another: addresses win over numbers, longer ones over shorter.

        is_number: what is dialled stands there, and nothing around it that would tell so."""
        found = list(self._find(text, DEPTH))
        if is_number:
            found += _hidden(text, 0, len(text))
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
        for text, how in _spelled_apart(parsed):
            self._lower.setdefault(text[:KEY], []).append((text, whose, how))
        for packed, how in ((parsed.packed, "as octets"), (parsed.packed[::-1], "as octets, reversed")):
            self._packed[as_text(packed)] = (whose, how)

    # ---- one text -----------------------------------------------------------------------------------------------

    def _find(self, text: str, depth: int) -> Iterator[Found]:
        yield from self._forms(text)
        yield from self._dotted(text)
        if text.count(":") > 1 or text.count("-") > 6 or "%3" in text or text.count(".") > 30:
            yield from self._ipv6(text)
        yield from self._named(text)
        yield from self._known_numbers(text)
        for match in NUMBER_PLACE.finditer(text):
            yield from _hidden(text, *match.span(match.lastindex or 0))
        if depth:
            yield from self._below_hex(text, depth - 1)
            yield from self._below_base64(text, depth - 1)
            for layer in _layers_of(text) if depth == DEPTH else [PERCENT] if "%" in text else ():
                yield from self._below_escapes(text, layer, depth - 1)
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
            begin = match.start() + _end_of_word(text, match.start(), match[0])
            whole = text[begin : match.end()]
            for token in (whole, whole.rstrip(":."), whole.rpartition(":")[0]):
                if whose := self._secrets.whose(token):
                    yield Found(begin, begin + len(token), whose, "text")
                    break
        for match in IPV6_WORDS.finditer(text):
            if whose := self._secrets.whose(re.sub(r"(?i)-|%3a", ":", match[0])):
                yield Found(match.start(), match.end(), whose, "hyphenated")
        for match in NIBBLES.finditer(text):
            nibbles = match[0].replace(".", "")
            for digits, how in ((nibbles[::-1], "reverse name"), (nibbles, "nibbles")):
                if whose := self._secrets.whose(str(ipaddress.IPv6Address(int(digits, 16)))):
                    yield Found(match.start(), match.end(), whose, how)

    def _named(self, text: str) -> Iterator[Found]:
        for pattern in self._names:
            for match in pattern.finditer(text):
                yield Found(match.start(), match.end(), self._sensors.get(match[0].lower(), OWN), "name")

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

    # ---- below a layer ------------------------------------------------------------------------------------------

    def _below(self, octets: bytes, depth: int) -> Iterator[Found]:
        inner = as_text(octets)
        yield from self._find(inner, depth)
        yield from self._as_octets(inner)

    def _as_octets(self, text: str) -> Iterator[Found]:
        for size in (4, 16):
            for at in range(len(text) - size + 1):
                if (found := self._packed.get(text[at : at + size])) is not None:
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

    def _below_escapes(self, text: str, layer: re.Pattern[str], depth: int) -> Iterator[Found]:
        pieces: list[str] = []
        starts: list[int] = []
        at = 0
        for escape in layer.finditer(text):
            pieces.append(text[at : escape.start()])
            starts += range(at, escape.start())
            if (sign := _sign(escape)) is not None:
                pieces.append(sign)
                starts.append(escape.start())
            at = escape.end()
        inner = "".join([*pieces, text[at:]])
        ends = [*starts, *range(at, len(text))]
        starts = [*ends, len(text)]
        for place in (*self._find(inner, depth), *self._as_octets(inner)):
            start, end = starts[place.start], starts[place.end - 1]
            escape_at = layer.match(text, end)
            end = escape_at.end() if escape_at else end + 1
            if end - start > place.end - place.start:  # otherwise it stands there as it is
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


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _layers_of(text: str) -> Iterator[re.Pattern[str]]:
    if "%" in text:
        yield PERCENT
    if "\n" in text and FOLDED.search(text):
        yield FOLDED
    if "&#" in text:
        yield ENTITY
    if "\\" in text:
        yield BACKSLASH
    if "=" in text and "quoted-printable" in text.lower():
        yield QUOTED_PRINTABLE


def _sign(escape: re.Match[str]) -> str | None:
    """What an escape stands for; None for a sign that only stands between others."""
    if escape.lastindex is None:
        return None
    number = int(escape[escape.lastindex], 10 if escape.lastindex == 2 else 16)
    return chr(number) if number < 256 else None


def _hidden(text: str, start: int, end: int) -> Iterator[Found]:
    """The last digits of what is dialled there; separators between them stay."""
    for digits in _dialled(text, start, end):
        for at in digits[-HIDDEN_DIGITS:]:
            yield Found(at, at + 1, "", "number")


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Names as people write them, as octets of UTF-8, and as the DNS has them."""
    spelled = set()
    for name in names:
        spelled |= {name, *(as_text(each.encode()) for each in (name, name.upper(), name.title()))}
        with contextlib.suppress(UnicodeError):
            spelled.add(name.encode("idna").decode("ascii"))
    return re.compile("|".join(map(re.escape, sorted(spelled, key=len, reverse=True))), re.IGNORECASE)


def _alone(names: Iterable[str]) -> re.Pattern[str]:
    some = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.compile(f"(?<![0-9A-Za-z])(?:{some})(?![0-9A-Za-z])", re.IGNORECASE)


def _spelled_apart(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[tuple[str, str]]:
    """Octets one by one, as no identifier is known to have them but people and programs write them."""
    pairs = [f"{octet:02x}" for octet in address.packed]
    for sign in ":-. ":
        yield sign.join(pairs), "hex"
    if address.version == 4:
        yield ".".join(f"0x{octet:02x}" for octet in address.packed), "hex"
        yield ".".join(f"0x{octet:x}" for octet in address.packed), "hex"
        yield ".".join(f"0{octet:o}" for octet in address.packed), "octal"
        yield ".".join(f"{octet:04o}" for octet in address.packed), "octal"


def _end_of_word(text: str, at: int, token: str) -> int:
    """How much of what looks like an address is the end of a word: the e: in "candidate:2001:db8::7"."""
    return token.find(":") + 1 if re.match(r"[g-zG-Z]", text[at - 1 : at]) else 0


def _is_longer_address(text: str, start: int, size: int) -> bool:
    """Whether an IPv6 address is part of another one: 2001:db8::7 in 2001:db8::70."""
    before, after = WORDS_BEFORE.search(text[max(start - 40, 0) : start]), WORDS_AFTER.match(text, start + size)
    left = before[0] if before else ""
    left = left[_end_of_word(text, start - len(left), left) :]
    whole = f"{left}{text[start : start + size]}{after[0] if after else ''}"
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
