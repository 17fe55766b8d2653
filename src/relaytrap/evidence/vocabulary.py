"""Names for the shapes that values take: a branch of Kamailio's, a Call-ID of three integers, an order of headers.

A random value says nothing, its grammar says who wrote it. Each value is put into exactly one class by one regular
expression (about half a microsecond), so that signatures and structure keys can be worked out once for each
combination of classes and not for each message. The classes stand in `signatures/vocabulary.toml`.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import product
from typing import Any, Final

__all__ = ["OVERLONG", "PASSED_OVER", "PASSED_OVER_PREFIXES", "Shapes", "Vocabulary", "load_vocabulary"]

OVERLONG: Final = "overlong"
"""Class of a value too long to be any tool's; such values are not matched, so that hostile ones cost nothing."""

VALUE_MAX: Final = 512
ANY_LENGTH: Final = (1, VALUE_MAX)
COOKIE: Final = "z9hG4bK"
FEATURES: Final = ("branch", "call_id", "from_tag", "from", "contact", "user_agent", "allow")

# Proxies add these, second requests of one tool add those; neither belongs to a tool's order.
PASSED_OVER: Final = frozenset({b"via", b"route", b"record-route", b"authorization", b"proxy-authorization"})
PASSED_OVER_PREFIXES: Final = (b"x-", b"p-")


class Shapes:
    """The classes of one kind of value."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.rows = tuple(rows)
        self.names = frozenset(str(row["name"]) for row in self.rows) | {"", OVERLONG}
        self._like = {str(row["name"]): str(row["like"]) for row in self.rows if "like" in row}
        self._name_of: dict[str | None, str] = {f"n{index}": str(row["name"]) for index, row in enumerate(self.rows)}
        self._matchers: list[Matcher | None] = [None] * (VALUE_MAX + 1)

    def name(self, value: bytes | None) -> str:
        """The value's class: "" for no value, OVERLONG for one that no tool writes, "other" for an unknown shape."""
        if not value:
            return ""
        length = len(value)
        if length > VALUE_MAX:
            return OVERLONG
        match = (self._matchers[length] or self._matcher(length))(value)
        return self._name_of[match.lastgroup] if match is not None else "other"

    def alike(self, name: str) -> str:
        """What a class counts as where one random generator may yield several."""
        return self._like.get(name, name)

    def _matcher(self, length: int) -> "Matcher":
        """Matches values of one length; patterns that cannot be so long or short are left out."""
        fitting = tuple(
            (f"n{index}", str(row["pattern"]))
            for index, row in enumerate(self.rows)
            if row.get("length", ANY_LENGTH)[0] <= length <= row.get("length", ANY_LENGTH)[1]
        )
        matcher = self._matchers[length] = _compiled(fitting)
        return matcher


Matcher = Callable[[bytes], "re.Match[bytes] | None"]


@cache
def _compiled(named: tuple[tuple[str, str], ...]) -> Matcher:
    """All patterns as one, the first that fits wins; the cookie that most branches share is matched once.

    The group that tells the name is an empty one behind each pattern: with nothing before a pattern's first octet, the
    engine passes over those that begin with another one (about a tenth less time, a quarter for some branches).
    """
    with_cookie = [f"(?:{text.removeprefix(COOKIE)})(?P<{name}>)" for name, text in named if text.startswith(COOKIE)]
    without = [f"(?:{text})(?P<{name}>)" for name, text in named if not text.startswith(COOKIE)]
    factored = [f"{COOKIE}(?:{'|'.join(with_cookie)})"] if with_cookie else []
    return re.compile(f"(?:{'|'.join(factored + without) or '(?!)'})\\Z".encode("ascii"), re.DOTALL).match


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every class of every kind.

    shapes: by feature ("branch", "call_id" …). sdp: by line type ("o", "s", "m"). orders: canonical names in order,
    without what is passed over, to the order's name. devices: User-Agent classes that are names of telephones.
    """

    shapes: Mapping[str, Shapes]
    sdp: Mapping[int, Shapes]
    orders: Mapping[tuple[bytes, ...], str]
    devices: frozenset[str]

    def sdp_names(self) -> frozenset[str]:
        """Every class of a line in a session description."""
        return frozenset().union(*(shapes.names for shapes in self.sdp.values()))


@lru_cache(maxsize=1)
def load_vocabulary() -> Vocabulary:
    """Reads the vocabulary that comes with the package; once."""
    text = files("relaytrap.evidence").joinpath("signatures", "vocabulary.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    lines = sorted({row["line"] for row in document["sdp"]})
    return Vocabulary(
        shapes={feature: Shapes(document[feature]) for feature in FEATURES},
        sdp={ord(line): Shapes(row for row in document["sdp"] if row["line"] == line) for line in lines},
        orders={names: row["name"] for row in document["order"] for names in _spelled_out(row["fields"])},
        devices=frozenset(row["name"] for row in document["user_agent"] if row.get("device")),
    )


def _spelled_out(fields: str) -> Iterable[tuple[bytes, ...]]:
    """Every order that a list with optional fields ("?" behind the name) allows."""
    choices = [(field[:-1], None) if field.endswith("?") else (field,) for field in fields.split()]
    for chosen in product(*choices):
        yield tuple(field.encode("ascii") for field in chosen if field is not None)
