"""Keys that let sets of messages be formed by comparing columns: what a campaign is put together from.

A *track* is the smallest set of messages that is never torn apart: same path as far as one message tells (origin that
is vouched for, or source, or relay and what is masked behind it), same form. The analysis over sets gives each track
to a campaign once, and every message of the track follows by a join on one number.

*shape* is the form that even an element that rebuilds requests tends to keep: which header fields stand in which
order, how From and To are written. *stack* is the grammar of what such an element makes anew: branch and tag.
A host that shows many shapes over one stack forwards for others; a campaign that shows many stacks over one shape
comes through such hosts.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from relaytrap.evidence.features import CACHEABLE_MAX
from relaytrap.evidence.path import Hop, Path, address_text, is_public
from relaytrap.evidence.path_rules import HOP_BY_HOP
from relaytrap.evidence.topology_hiding import sender_key
from relaytrap.observation import Observation
from relaytrap.sip import Message, Request
from relaytrap.sip.via import COOKIE

__all__ = ["NO_KEYS", "Keys", "goal_of", "keys_of", "shape_of", "stack_of", "target_number"]


class Keys(NamedTuple):
    """opener: the request opens something. goal: what this one request is for ("" when nothing shows it).

    target_key: the target as a number, or a hash of it; of a dialled number, what recurs of it. shape, stack, track:
    see the module; 0 for none.
    """

    opener: bool
    shape: int
    stack: int
    goal: str
    target_key: int
    track: int


NO_KEYS: Final = Keys(False, 0, 0, "", 0, 0)
INSIDE_DIALOGS: Final = HOP_BY_HOP | {b"BYE", b"PRACK", b"UPDATE", b"INFO"}


def keys_of(message: Message, observation: Observation, path: Path, *, target: bytes, dialled_core: bytes) -> Keys:
    """The keys of one message; NO_KEYS unless it is a request that came in.

    target: extension or user that was tried. dialled_core: what recurs of a number under many prefixes; b"" for none.
    """
    if not isinstance(message, Request) or not path.verdict:
        return NO_KEYS
    if message.method in INSIDE_DIALOGS:
        return NO_KEYS._replace(track=track_key(path, observation.source, 0, 0))
    shape, stack = shape_of(message), stack_of(message)
    goal = goal_of(message, observation, dialled_core)
    target_key = target_number(dialled_core if goal == "toll" else target)
    track = track_key(path, observation.source, shape, stack)
    return _new(Keys, (True, shape, stack, goal, target_key, track))


# What Keys(...) does, without a call of Python code.
_new: Final = tuple.__new__


def track_key(path: Path, source: str, shape: int, stack: int) -> int:
    """The track of a message; 0 when its path is not known well enough to belong anywhere."""
    if path.kind == "known" or (path.verdict == "unknown" and path.kind != "serving"):
        return 0
    if path.verdict == "relayed" and path.origin:
        deeper = _first_claim(path.hops[2:]) if len(path.hops) > 2 else ""
        return _key(f"relayed {path.origin} {' '.join(path.chain)} {deeper} {shape}")
    if path.verdict in ("direct", "forged"):
        return _key(f"{path.verdict} {source} {shape} {stack}")
    if not shape:  # an ACK or BYE behind a host that hides: whose it is cannot be told
        return 0
    mask = sender_key(path.mask).decode("latin-1")
    return _key(f"{path.verdict} {source} {mask} {shape} {stack}")


def _first_claim(hops: tuple[Hop, ...]) -> str:
    for hop in hops:
        if hop.standing == "claim":
            return hop.address
    return ""


def _key(text: str) -> int:
    return _digest(text.encode())


def _digest(of: bytes) -> int:
    return int.from_bytes(blake2b(of, digest_size=8).digest(), "big") or 1


# What hops add, take away or replace, and what depends on the method or the body: no part of the shape.
NOT_SHAPE: Final = frozenset(
    b"via record-route route max-forwards user-agent server content-length content-type authorization "
    b"proxy-authorization allow supported session-expires min-se date p-asserted-identity".split()
)


def shape_of(message: Request) -> int:
    """Key of the order of header fields and of the way From and To are written."""
    first = message.headers.first
    shape = _shape_cached if len(message.raw) <= CACHEABLE_MAX else _shape
    return shape(tuple(first), _writing(first.get(b"from")), _writing(first.get(b"to")))


def _shape(names: tuple[bytes, ...], from_form: bytes, to_form: bytes) -> int:
    kept = b" ".join([name for name in names if name not in NOT_SHAPE])
    return _digest(b"\n".join((kept, from_form, to_form)))


_shape_cached = lru_cache(1 << 11)(_shape)


def _writing(value: bytes | None) -> bytes:
    """How an address is written: quoted name, blank before the bracket, bracket at all."""
    if value is None:
        return b"-"
    bracket = value.find(b"<")
    if bracket < 0:
        return b"bare"
    spaced = bracket > 0 and value[bracket - 1] == BLANK
    if value[0] == QUOTE:
        return b"q <" if spaced else b"q<"
    if bracket > 1:
        return b"t <" if spaced else b"t<"
    return b"n <" if spaced else b"n<"


BLANK, QUOTE = b' "'


def stack_of(message: Request) -> int:
    """Key of the grammar of branch and From tag, which an element that makes requests anew always gives its own.

    Not of the Call-ID: some keep it.
    """
    branch = message.vias[0].branch if message.vias else None
    return _stack(_grammar(branch or b""), _grammar(message.from_tag or b""))


@lru_cache(1 << 12)
def _stack(*parts: bytes) -> int:
    return _digest(b"\n".join(parts))


GRAMMAR_MAX: Final = 96
LONGEST_RUN: Final = 36
"""A longer value that is one run has the form of any other; no tool's random values are so long."""


def _grammar(value: bytes) -> bytes:
    """A value's form: digits by kind, other runs of letters and digits by length, punctuation as it stands."""
    value = value[:GRAMMAR_MAX].removeprefix(COOKIE)
    if value.isalnum():
        return b"D" if value.isdigit() else b"A0" if len(value) > LONGEST_RUN else RUNS[len(value)]
    if value[:1] == b"-" and value[1:].isalnum():  # the most usual, without taking it apart
        return b"-D" if value[1:].isdigit() else b"-" + RUNS[len(value) - 1]
    if not value:
        return b""
    return _form(value, HEX_LENGTHS if value.lower() != value.upper() else frozenset())


def _form(value: bytes, hexadecimal: frozenset[int]) -> bytes:
    """Of what is not empty: split at one sign of punctuation, its parts at the next. Nearly all have one of two.

    hexadecimal: lengths of runs whose digits may as well be hexadecimal ones.
    """
    if value.isalnum():
        return b"D" if value.isdigit() and len(value) not in hexadecimal else RUNS[len(value)]
    mark = b"." if b"." in value else b"-" if b"-" in value else value.translate(None, LETTERS_AND_DIGITS)[:1]
    return mark.join([_form(part, hexadecimal) if part else b"" for part in value.split(mark)])


HEX_LENGTHS: Final = frozenset((4, 8, 12))
"""Beside letters, so many digits are a part of a UUID or the like that happens to have none: every seventh part of four
has not, so that one writer's UUIDs would have had a dozen forms. Decimal numbers beside letters seldom are so long."""


LETTERS_AND_DIGITS: Final = bytes(octet for octet in range(256) if bytes((octet,)).isalnum())
RUNS: Final = tuple(b"A%d" % length for length in range(GRAMMAR_MAX + 1))


def target_number(target: bytes) -> int:
    """A decimal target as its number, any other as a hash above 2**63; 0 for none."""
    if not target:
        return 0
    if target.isdigit() and target[:1] != b"0" and len(target) <= 18:
        return int(target)
    return int.from_bytes(blake2b(target, digest_size=8).digest(), "big") | 1 << 63


def goal_of(message: Request, observation: Observation, dialled_core: bytes) -> str:
    """What one request is for: host, extension, password, toll, relay, or "" when nothing shows it."""
    uri = message.uri
    host = address_text(uri.host) if uri else None
    if host is not None and host != observation.local and is_public(observation.local):
        return "relay"
    method = message.method
    if method == b"REGISTER":
        headers = message.headers
        return "password" if b"authorization" in headers or b"proxy-authorization" in headers else "extension"
    if method == b"OPTIONS":
        return "host"
    if len(dialled_core) >= NUMBER_DIGITS:
        return "toll"
    return "extension" if method in EXTENSION_METHODS else ""


# Fewer digits are an extension.
NUMBER_DIGITS: Final = 7
EXTENSION_METHODS: Final = frozenset({b"INVITE", b"SUBSCRIBE", b"MESSAGE", b"PUBLISH", b"REFER", b"NOTIFY"})
