"""Redacted octets, text and rows, with a count of what was taken out of them."""

import base64
import re
from collections import Counter
from collections.abc import Mapping, Set
from typing import Any, Final

from relaytrap.redaction.search import NUMBER_MIN, Found, Searcher, as_text, numbers_in, numbers_of
from relaytrap.redaction.secrets import Secrets

__all__ = ["Redactor"]

# Fields of rows that hold a sensor's name, or its address, and nothing else.
SENSOR_KEYS: Final = frozenset({"sensor", "sensors"})
ADDRESS_KEYS: Final = frozenset({"local"})
# Fields that hold how often each name occurs: somebody else wrote the names.
COUNTED_KEYS: Final = frozenset({"methods", "tools", "goals"})
# Identifiers of messages are digests over their octets: whoever guesses what was removed could tell that he is right.
MESSAGE_KEYS: Final = frozenset({"id", "message", "what"})
MESSAGE_ID: Final = re.compile(r"[0-9a-fA-F]{16}")
# The same holds for other digests; offsets would point into other octets; files are named by the operator.
DROPPED: Final[Mapping[str, Any]] = {
    "capture": "",
    "frame": 0,
    "credentials": "",
    "sha256": "",
    "offset": -1,
    "target_key": "",
    "track": "",
}
NUMBER_KEYS: Final = frozenset({"dialled", "dialled_digits", "dialled_core", "core"})
TRIED_KEYS: Final = frozenset({"target", "from_user", "to_user", "request_user"})
# A title names the ends of what a campaign tried, and may be all that a row says of it.
LONG_DIGITS: Final = re.compile(f"[0-9]{{{NUMBER_MIN},}}")
# Fields of integers that may be what was dialled.
INTEGER_KEYS: Final = frozenset({"number", "range"})
# Kamailio's Via branch: both fields follow from Call-ID, addresses and numbers of the request.
KAMAILIO: Final = re.compile(r"(z9hG4bK)([0-9a-fA-F]{1,8}\.[0-9a-fA-F]{32})(?=\.)")
# What a client answers to a challenge: a digest over the Request-URI among others.
DIGEST: Final = re.compile(r"(?i)\b(response\s*=\s*\"?)([0-9a-f]{32,128})")
SIGN: Final = re.compile(r"[0-9a-zA-Z]")
PLAIN: Final = frozenset({"dotted", "text", "name"})
"""Encodings in whose place a pseudonym stands by itself: a reader expects a host there."""

KEPT_MAX: Final = 50_000
# Where the store cuts what is long, and more than any form of an address takes.
QUOTE_CUT, TEXT_CUT, LONGEST_FORM = 512, 4096, 160


class Redactor:
    """Takes secrets out; not for several threads at once.

    removed: how often something of each kind was taken out.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.removed: Counter[str] = Counter()
        self._searcher = Searcher(secrets)
        self._kept: dict[tuple[str, bool], tuple[str, Counter[str]]] = {}
        self._messages: dict[str, str] = {}

    def octets(self, raw: bytes) -> bytes:
        """A message, or any other octets."""
        text = as_text(raw)
        self._learn_numbers(text)
        return self.text(text).encode("latin-1")

    def text(self, text: str) -> str:
        """Text with pseudonyms in the place of addresses, and x for the last digits of numbers. Digests over them go as
        well: they would confirm a guess."""
        return self._taken_out(text)

    def learn_number(self, number: str) -> None:
        """A number that is to be masked wherever it stands from now on."""
        self._searcher.learn_number(number)
        self._kept.clear()

    def rows(self, value: Any) -> Any:
        """Rows as questions give them: any nesting of mappings, lists and values. The numbers in them are read first,
        so that one is masked also where it stands before the row that tells what it is."""
        self._learn(value)
        return self._row(value)

    # ---- rows ---------------------------------------------------------------------------------------------------

    def _learn(self, value: Any, key: str = "") -> None:
        if isinstance(value, Mapping):
            names = NUMBER_KEYS | {"value"} if value.get("facet") == "dialled_core" else NUMBER_KEYS
            if value.get("kind") in ("number", "target"):
                names |= {"value"}
            for key, each in value.items():
                if isinstance(each, str):
                    self._learn_field(key, each, names)
                else:
                    self._learn(each, key)
        elif isinstance(value, (list, tuple)):
            for each in value:
                self._learn(each, key)
        elif _is_number(key, value):
            self.learn_number(str(value))

    def _learn_field(self, key: str, value: str, numbers: Set[str]) -> None:
        if key in numbers:
            self.learn_number(value)
        elif key in TRIED_KEYS:
            for number in numbers_of(value):
                self.learn_number(number)
        elif key == "title":
            for number in LONG_DIGITS.findall(value):
                self.learn_number(number)
        elif key == "request_uri":
            self._learn_numbers(value)
        elif key == "raw":
            self._learn_numbers(as_text(base64.b64decode(value)))

    def _learn_numbers(self, text: str) -> None:
        for number in numbers_in(text):
            self.learn_number(number)

    def _row(self, value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            if key in COUNTED_KEYS:
                return {self.text(name): each for name, each in value.items()}
            is_sensor = value.get("facet") == "sensor"
            return {
                name: self._row(each, "sensor" if is_sensor and name == "value" else name)
                for name, each in value.items()
            }
        if isinstance(value, (list, tuple)):
            made = [self._row(each, key) for each in value]
            return None if key in INTEGER_KEYS and None in made else made
        if key in DROPPED and isinstance(value, (str, int)):
            return DROPPED[key]
        if _is_number(key, value):
            self.removed["digit"] += len(str(value))
            return None
        return self._field(key, value) if isinstance(value, str) else value

    def _field(self, key: str, value: str) -> str:
        if key in SENSOR_KEYS:
            return self._sensor(value)
        if key in ADDRESS_KEYS:
            self.removed["sensor address"] += 1
            return self.secrets.whose(value) or self.text(value)
        if key in MESSAGE_KEYS and MESSAGE_ID.fullmatch(value):
            return self._messages.setdefault(value.lower(), f"message-{len(self._messages) + 1}")
        if key == "raw":
            return base64.b64encode(self.octets(base64.b64decode(value))).decode("ascii")
        if len(value) >= (QUOTE_CUT if key == "quote" else TEXT_CUT):
            value = value[:-LONGEST_FORM]  # the store cut it, perhaps within an address
        return self._taken_out(value, is_number=key in NUMBER_KEYS | TRIED_KEYS)

    def _sensor(self, name: str) -> str:
        self.removed["sensor name"] += 1
        return self.secrets.sensors.get(name, "a sensor") if name else ""

    # ---- one text -----------------------------------------------------------------------------------------------

    def _taken_out(self, text: str, *, is_number: bool = False) -> str:
        kept = self._kept.get((text, is_number))
        if kept is None:
            kept = self._redacted(text, is_number=is_number)
            if len(self._kept) < KEPT_MAX:
                self._kept[text, is_number] = kept
        self.removed.update(kept[1])
        return kept[0]

    def _redacted(self, text: str, *, is_number: bool) -> tuple[str, Counter[str]]:
        pieces, at, removed = [], 0, Counter[str]()
        for place in self._searcher.find(text, is_number=is_number):
            pieces.append(text[at : place.start])
            is_glued = text[place.end : place.end + 1].isalnum() or text[place.start - 1 : place.start].isalnum()
            pieces.append(_instead(place, is_glued=is_glued))
            if place.whose:
                removed["own name" if place.how == "name" else "sensor address"] += 1
            elif place.how == "mask":
                removed["masked value"] += 1
            else:
                removed["digit"] += place.end - place.start
            at = place.end
        pieces.append(text[at:])
        redacted = "".join(pieces)
        for pattern in (KAMAILIO, DIGEST):
            redacted, digests = pattern.subn(lambda match: match[1] + SIGN.sub("x", match[2]), redacted)
            removed["digest"] += digests
        return redacted, +removed


def _is_number(key: str, value: Any) -> bool:
    """Whether an integer is what somebody dialled, and so long that its last digits are hidden: they are all of it."""
    return key in INTEGER_KEYS and isinstance(value, int) and len(str(value)) >= NUMBER_MIN


def _instead(place: Found, *, is_glued: bool) -> str:
    if not place.whose:
        return "x" * (place.end - place.start)
    if place.how not in PLAIN:
        return f"[{place.whose} in {place.how}]"
    return f"[{place.whose}]" if is_glued else place.whose
