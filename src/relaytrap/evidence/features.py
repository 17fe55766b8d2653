"""What a message looks like: the class of each value that betrays who wrote it.

Worked out once for each message, and shared by tool signatures and structure keys. Values as such do not enter, only
their classes; so a handful of combinations covers millions of messages, and everything built on them is cached.
"""

from typing import Final, NamedTuple

from relaytrap.evidence.signatures import Genuine, Sign, load_signatures
from relaytrap.evidence.vocabulary import PASSED_OVER, PASSED_OVER_PREFIXES, load_vocabulary
from relaytrap.kept import Kept
from relaytrap.sip import Request
from relaytrap.sip.headers import field_name

__all__ = ["Features", "Layout", "features_of", "sdp_lines"]

CACHEABLE_MAX: Final = 4096
"""Messages longer than this do not enter the caches keyed by their header names, or a flood could fill memory."""

SDP_LINES_MAX: Final = 200
VALUE_MAX: Final = 256
"""Octets of User-Agent and Allow that are looked at: who pads a value shall not have none."""
METHOD_MAX: Final = 32


class Features(NamedTuple):
    """Classes of one request's values; see `vocabulary`. Sets are sorted tuples, "" means absent.

    branch: of the lowest Via, the sender's own. max_forwards: the start value, that is what arrived plus the Vias
    added on the way, if any signature asks for it. has: fields whose mere presence is a sign. in_dialog: To has a tag.
    relayed: more than one Via.
    """

    method: bytes
    branch: str
    call_id: str
    from_tag: str
    from_: str
    contact: str
    user_agent: str
    allow: str
    order: str
    sdp: tuple[str, ...]
    has: tuple[str, ...]
    max_forwards: str
    in_dialog: bool
    relayed: bool

    def values(self, feature: str) -> tuple[str, ...]:
        """Classes of a feature by the name that signatures use."""
        value = getattr(self, "from_" if feature == "from" else feature)
        return value if isinstance(value, tuple) else (value,) if value else ()


class Layout(NamedTuple):
    """What the header names alone say.

    order: name of a known order, "" else. has: noteworthy fields present. written: names as written without those that
    proxies add, remove or change.
    """

    order: str
    has: tuple[str, ...]
    written: tuple[bytes, ...]


# Added, removed or rewritten on the way (RFC 3261 section 16.6, and what session border controllers are seen to do).
CHANGED_ON_THE_WAY: Final = PASSED_OVER | {
    b"max-forwards", b"user-agent", b"server", b"content-length", b"date", b"timestamp", b"organization", b"warning",
}  # fmt: skip

VOCABULARY: Final = load_vocabulary()
BRANCH, CALL_ID, FROM_TAG, FROM, CONTACT, USER_AGENT, ALLOW = (
    VOCABULARY.shapes[feature].name
    for feature in ("branch", "call_id", "from_tag", "from", "contact", "user_agent", "allow")
)


def _wanted(feature: str) -> frozenset[str]:
    """Classes that some signature asks for."""
    wanted: set[str] = set()
    for signature in load_signatures():
        rules: tuple[Sign | Genuine, ...] = (*signature.signs, *signature.genuine)
        wanted.update(*(rule.classes for rule in rules if rule.feature == feature))
    return frozenset(wanted)


NOTEWORTHY: Final = frozenset(name.encode("ascii") for name in _wanted("has"))
START_VALUES: Final = {int(text): text for text in _wanted("max_forwards")}


def _in_order(name: bytes) -> bytes | None:
    """What a name as written is called in a tool's order; None where it does not count."""
    canonical = field_name(name)
    return None if canonical in PASSED_OVER or canonical[:2] in PASSED_OVER_PREFIXES else canonical


def _in_structure(name: bytes) -> bytes | None:
    canonical = field_name(name)
    return None if canonical in CHANGED_ON_THE_WAY or canonical[:2] == b"p-" else name


_ordered: Final = Kept(_in_order).__getitem__
_written: Final = Kept(_in_structure).__getitem__


def _lay_out(joined: bytes) -> Layout:
    """joined: names as written, a colon between any two; there is one at least."""
    names = joined.split(b":")
    order = tuple([name for name in map(_ordered, names) if name is not None])
    has = () if NOTEWORTHY.isdisjoint(order) else _noteworthy(order)
    written = tuple([name for name in map(_written, names) if name is not None])
    return Layout(VOCABULARY.orders.get(order, ""), has, written)


def _noteworthy(order: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(sorted(name.decode("ascii") for name in NOTEWORTHY.intersection(order)))


_layout: Final = Kept(_lay_out, most=1 << 11, longest=CACHEABLE_MAX).__getitem__
_user_agent: Final = Kept[bytes, str](USER_AGENT, most=1 << 12, longest=VALUE_MAX).__getitem__
_allow: Final = Kept[bytes, str](ALLOW, longest=VALUE_MAX).__getitem__


def _layout_of(request: Request) -> Layout:
    names = request.headers.names()
    if not names:
        return NO_LAYOUT
    # No name holds a colon, which ends it. One key of bytes is found in 0.21 us, a tuple of names in 0.30.
    return _layout(b":".join(names))


NO_LAYOUT: Final = Layout("", (), ())


# --- session descriptions ---------------------------------------------------------------------------------------------


def sdp_lines(body: bytes) -> list[bytes]:
    """Lines of a session description, line ends removed; at most SDP_LINES_MAX."""
    return [line.rstrip(b"\r") for line in _split(body)]


def _split(body: bytes) -> list[bytes]:
    return body[:16384].split(b"\n", SDP_LINES_MAX)[:SDP_LINES_MAX]


class _Line(NamedTuple):
    """skeleton: type, or the name of an attribute; None for an empty line. known: class that is some tool's, or ""."""

    skeleton: bytes | None
    known: str


def _read_line(written: bytes) -> _Line:
    line = written.rstrip(b"\r")
    shapes = VOCABULARY.sdp.get(line[0]) if line[1:2] == b"=" else None
    name = shapes.name(line[2:]) if shapes is not None else ""
    skeleton = line[2:].partition(b":")[0][:32] if line[:2] == b"a=" else line[:1]
    return _Line(skeleton if line else None, "" if name == "other" else name)


_line: Final = Kept(_read_line).__getitem__


def _read_body(body: bytes) -> tuple[tuple[str, ...], bytes]:
    """Classes of the lines, and the skeleton: line types with the names of attributes, b"" for what is no SDP."""
    lines = list(map(_line, _split(body)))
    classes = tuple(sorted({known for _, known in lines if known}))
    if body[:2] not in SDP_BEGINS:
        return classes, b""
    return classes, b" ".join([skeleton for skeleton, _ in lines if skeleton is not None])


SDP_BEGINS: Final = frozenset({b"v=", b"o=", b"c=", b"s="})


def features_of(request: Request) -> tuple[Features, Layout, bytes]:
    """The request's classes, the layout they were taken from, and the skeleton of its session description."""
    get = request.headers.first.get
    vias = request.vias
    hops = len(vias)
    layout = _layout_of(request)
    user_agent, allow, arrived = get(b"user-agent"), get(b"allow"), request.max_forwards
    # Most bodies are empty; then nothing needs to know where one would end.
    sdp, skeleton = _read_body(request.body) if request.body_start < len(request.raw) else NO_BODY
    features = (
        request.method[:METHOD_MAX],
        BRANCH(vias[-1].branch) if hops else "",
        CALL_ID(get(b"call-id")),
        FROM_TAG(request.from_tag),
        FROM(get(b"from")),
        CONTACT(get(b"contact")),
        _user_agent(user_agent[:VALUE_MAX]) if user_agent else "",
        _allow(allow[:VALUE_MAX]) if allow else "",
        layout.order,
        sdp,
        layout.has,
        START_VALUES.get(arrived + hops - 1, "") if hops and arrived is not None else "",
        request.to_tag is not None,
        hops > 1,
    )
    return _new(Features, features), layout, skeleton


NO_BODY: Final = ((), b"")

# What Features(...) does, without a call of Python code: every message has some.
_new: Final = tuple.__new__
