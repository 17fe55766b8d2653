"""Keys that let sets of messages be formed by comparing columns: what a campaign is put together from.

A *track* is the smallest set of messages that is never torn apart: same path as far as one message tells (origin that
is vouched for, or source, or relay and what is masked behind it), same form. The analysis over sets gives each track
to a campaign once, and every message of the track follows by a join on one number.

*shape* is the form that even an element that rebuilds requests tends to keep: which header fields stand in which
order, how From and To are written. *stack* is the grammar of what such an element makes anew: branch and tag.
A host that shows many shapes over one stack forwards for others; a campaign that shows many stacks over one shape
comes through such hosts.
"""

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from relaytrap.evidence.path import Path, address_text, is_public
from relaytrap.evidence.path_rules import HOP_BY_HOP
from relaytrap.evidence.topology_hiding import sender_key
from relaytrap.observation import Observation
from relaytrap.sip import Message, Request

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
    return Keys(
        True,
        shape,
        stack,
        goal,
        target_number(dialled_core if goal == "toll" else target),
        track_key(path, observation.source, shape, stack),
    )


def track_key(path: Path, source: str, shape: int, stack: int) -> int:
    """The track of a message; 0 when its path is not known well enough to belong anywhere."""
    if path.kind == "known" or (path.verdict == "unknown" and path.kind != "serving"):
        return 0
    if path.verdict == "relayed" and path.origin:
        deeper = next((hop.address for hop in path.hops[2:] if hop.standing == "claim"), "")
        return _key(f"relayed {path.origin} {' '.join(path.chain)} {deeper} {shape}")
    if path.verdict in ("direct", "forged"):
        return _key(f"{path.verdict} {source} {shape} {stack}")
    if not shape:  # an ACK or BYE behind a host that hides: whose it is cannot be told
        return 0
    mask = sender_key(path.mask).decode("latin-1")
    return _key(f"{path.verdict} {source} {mask} {shape} {stack}")


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") or 1


# What hops add, take away or replace, and what depends on the method or the body: no part of the shape.
NOT_SHAPE: Final = frozenset(
    b"via record-route route max-forwards user-agent server content-length content-type authorization "
    b"proxy-authorization allow supported session-expires min-se date p-asserted-identity".split()
)


def shape_of(message: Request) -> int:
    """Key of the order of header fields and of the way From and To are written."""
    headers = message.headers
    return _shape(tuple(headers.first), _writing(headers.get(b"from")), _writing(headers.get(b"to")))


@lru_cache(1 << 11)
def _shape(names: tuple[bytes, ...], from_form: bytes, to_form: bytes) -> int:
    kept = b" ".join([name for name in names if name not in NOT_SHAPE])
    return int.from_bytes(blake2b(b"\n".join((kept, from_form, to_form)), digest_size=8).digest(), "big") or 1


def _writing(value: bytes | None) -> bytes:
    """How an address is written: quoted name, blank before the bracket, bracket at all."""
    if value is None:
        return b"-"
    bracket = value.find(b"<")
    if bracket < 0:
        return b"bare"
    quoted = b"q" if value[:1] == b'"' else b"t" if bracket > 1 else b"n"
    return quoted + (b" <" if value[bracket - 1 : bracket] == b" " else b"<")


def stack_of(message: Request) -> int:
    """Key of the grammar of branch and From tag, which an element that makes requests anew always gives its own.

    Not of the Call-ID: some keep it.
    """
    branch = message.vias[0].branch if message.vias else None
    return _stack(_grammar(branch or b""), _grammar(message.from_tag or b""))


@lru_cache(1 << 12)
def _stack(*parts: bytes) -> int:
    return int.from_bytes(blake2b(b"\n".join(parts), digest_size=8).digest(), "big") or 1


DIGITS: Final = re.compile(rb"[0-9]+")
RUN: Final = re.compile(rb"[0-9A-Za-z]+")
GRAMMAR_MAX: Final = 96


def _grammar(value: bytes) -> bytes:
    """A value's form: digits by kind, other runs of letters and digits by length, punctuation as it stands."""
    value = value[:GRAMMAR_MAX].removeprefix(b"z9hG4bK")
    if value.isdigit():
        return b"D"
    if value.isalnum():
        return b"A%d" % (len(value) if len(value) <= 36 else 0)
    if value[:1] == b"-" and value[1:].isalnum():  # the most usual, without a substitution
        return b"-" + _run(value[1:])
    return RUN.sub(lambda match: _run(match[0]), value)


def _run(run: bytes) -> bytes:
    return b"D" if run.isdigit() else b"A%d" % len(run)


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
