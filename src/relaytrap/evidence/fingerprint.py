"""Which program wrote a request: by how it is built, not by what it says of itself.

`find_tool` names the tool with its signs and says whether the User-Agent is borrowed. `structure` gives a key that is
the same for every message one program writes, whatever relays they came through. All of it is decided on
classes of values (see `features`), so that each combination is judged once. Who wrote a hop is `via_chain`'s affair.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.features import CACHEABLE_MAX, Features, Layout, features_of, sdp_lines
from relaytrap.evidence.signatures import HOSTILE_KINDS, Sign, Signature, load_signatures
from relaytrap.evidence.vocabulary import load_vocabulary
from relaytrap.sip import Message, Request
from relaytrap.sip.text import display

__all__ = ["Structure", "Tool", "find_tool", "identify", "structure"]

THRESHOLD: Final = 50
"""Weights that must come together before a tool is named."""

CONFIDENCE_MAX: Final = 99
CLAIM_MAX: Final = 200


class _Verdict(NamedTuple):
    """name to why: as in Tool. version, signs: of the signature that fits, heaviest sign first."""

    name: str
    family: str
    kind: str
    confidence: int
    faked: bool
    why: str
    version: int
    signs: tuple[Sign, ...]


class Tool(NamedTuple):
    """The program that wrote a message, as far as its structure shows.

    name: "" when unknown. family: shared by tools of one origin. kind: "scanner", "toll fraud", "phone" …, "" unknown.
    confidence: 0 to 99. claimed: what the User-Agent (in a response Server) says. faked: the User-Agent names a product
    that did not write this; why: in words. judged: what the signs are found from.
    """

    name: str = ""
    family: str = ""
    kind: str = ""
    confidence: int = 0
    claimed: str = ""
    faked: bool = False
    why: str = ""
    judged: tuple[Request, _Verdict] | None = None

    @property
    def signs(self) -> tuple[Evidence, ...]:
        """The reasons with the bytes they rest on, heaviest first; worked out when asked for."""
        return _find_signs(*self.judged) if self.judged is not None else ()

    def __repr__(self) -> str:
        return f"<Tool {self.name or 'unknown'} {self.confidence} claimed {self.claimed!r} faked {self.faked}>"


class Structure(NamedTuple):
    """How a request is built, without its values and without what relays change.

    names: header names as written, in order. from_style, to_style: how name and URI are set. call_id, from_tag:
    classes. body: line types and attribute names of a session description. key: 16 hex digits over all of it, "" for
    no request.
    """

    method: bytes
    names: tuple[bytes, ...]
    from_style: str
    to_style: str
    call_id: str
    from_tag: str
    body: bytes
    key: str


NO_STRUCTURE: Final = Structure(b"", (), "", "", "", "", b"", "")


def identify(message: Message) -> tuple[Tool, Structure]:
    """Tool and structure together, for little more than the cost of one."""
    if not isinstance(message, Request):
        return Tool(claimed=_claimed(message)), NO_STRUCTURE
    features, layout, skeleton = features_of(message)
    return _tool(message, _judge(features)), _structure(message, features, layout, skeleton)


def find_tool(message: Message) -> Tool:
    """The program that wrote a request; unknown for responses and what is no message."""
    if not isinstance(message, Request):
        return Tool(claimed=_claimed(message))
    return _tool(message, _judge(features_of(message)[0]))


def _tool(request: Request, verdict: _Verdict) -> Tool:
    name, family, kind, confidence, faked, why, _, signs = verdict
    judged = (request, verdict) if signs else None
    return _new(Tool, (name, family, kind, confidence, _claimed(request), faked, why, judged))


# What Tool(...) does, without a call of Python code: every message has one.
_new: Final = tuple.__new__


def _claimed(message: Message) -> str:
    get = message.headers.first.get
    value = get(b"user-agent") or get(b"server")
    return _displayed(value[:CLAIM_MAX]) if value else ""


_displayed = lru_cache(maxsize=1 << 12)(display)


def structure(message: Message) -> Structure:
    """The structure of a request; its key is "" for responses and what is no message."""
    return _structure(message, *features_of(message)) if isinstance(message, Request) else NO_STRUCTURE


# --- judging ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def _judge(features: Features) -> _Verdict:
    best: Signature | None = None
    best_sum, best_signs = THRESHOLD - 1, list[Sign]()
    for signature in load_signatures():
        signs = [sign for sign in signature.signs if sign.classes.intersection(features.values(sign.feature))]
        total = sum(sign.weight for sign in signs)
        if total > best_sum and any(sign.feature != "user_agent" for sign in signs):
            best, best_sum, best_signs = signature, total, signs
    why = _borrowed_name(features, best)
    if best is None:
        return _Verdict("", "", "", 0, bool(why), why, 0, ())
    heaviest_first = tuple(sorted(best_signs, key=lambda sign: -sign.weight))
    confidence = min(best_sum, CONFIDENCE_MAX)
    return _Verdict(best.name, best.family, best.kind, confidence, bool(why), why, best.version, heaviest_first)


def _borrowed_name(features: Features, found: Signature | None) -> str:
    """Why the User-Agent is not the writer's own name; "" when nothing says so."""
    claimed = features.user_agent
    if not claimed or (found is not None and claimed in found.user_agents):
        return ""
    product = next((one for one in load_signatures() if one.genuine and claimed in one.user_agents), None)
    against = _contradictions(features, product) if product is not None else []
    hostile = found is not None and found.kind in HOSTILE_KINDS
    if product is not None and (len(against) >= 2 or (against and hostile)):
        sentence = f"The User-Agent names {product.name}, but not as in the genuine one: {'; '.join(against)}"
        return f"{sentence}; the structure is that of {found.name}." if hostile and found else f"{sentence}."
    # A relay may put its own name in place of the sender's, but it will not call itself a telephone.
    if hostile and found and (claimed in load_vocabulary().devices or (product is not None and not features.relayed)):
        return f"The User-Agent names another product, but the structure is that of {found.name}."
    return ""


def _contradictions(features: Features, product: Signature) -> list[str]:
    """What is always true of the product and not of this message. Within a dialog the other side chose the Call-ID."""
    wrong = []
    for rule in product.genuine:
        if features.in_dialog and rule.feature in ("call_id", "has"):
            continue
        values = features.values(rule.feature)
        if (rule.classes and not rule.classes.intersection(values)) or rule.never.intersection(values):
            wrong.append(rule.text)
    return wrong


# --- signs ------------------------------------------------------------------------------------------------------------


def _find_signs(request: Request, verdict: _Verdict) -> tuple[Evidence, ...]:
    return tuple([_evidence(request, verdict.version, sign) for sign in verdict.signs])


def _evidence(request: Request, version: int, sign: Sign) -> Evidence:
    quote = _quote(request, sign)
    offset = _offset(request, sign.feature, quote) if quote else -1
    return Evidence(sign.rule, version, sign.weight, quote if offset >= 0 else b"", offset, sign.text)


def _offset(request: Request, feature: str, quote: bytes) -> int:
    """Where the quote stands; in its own header when the same bytes stand elsewhere too."""
    raw = request.raw
    first = raw.find(quote)
    if first < 0 or raw.find(quote, first + 1) < 0:
        return first
    line = request.headers.line(HEADER_OF[feature], 0) if feature in HEADER_OF else None
    return first if line is None else raw.find(quote, line.offset)


HEADER_OF: Final = {
    "call_id": b"call-id",
    "from_tag": b"from",
    "from": b"from",
    "contact": b"contact",
    "user_agent": b"user-agent",
    "allow": b"allow",
    "max_forwards": b"max-forwards",
}


def _quote(request: Request, sign: Sign) -> bytes:
    """The bytes a sign rests on; b"" for orders, which are nowhere in particular."""
    if sign.feature == "branch":
        return request.vias[-1].branch or b"" if request.vias else b""
    if sign.feature == "from_tag":
        return request.from_tag or b""
    if sign.feature == "sdp":
        return _sdp_quote(request.body, sign)
    if sign.feature == "has":
        return next(
            (header.raw_name for header in request.headers if header.name.decode("latin-1") in sign.classes), b""
        )
    if sign.feature in HEADER_OF:
        return request.headers.get(HEADER_OF[sign.feature]) or b""
    return b""


def _sdp_quote(body: bytes, sign: Sign) -> bytes:
    vocabulary = load_vocabulary()
    for line in sdp_lines(body):
        if line[1:2] == b"=" and line[0] in vocabulary.sdp and vocabulary.sdp[line[0]].name(line[2:]) in sign.classes:
            return line
    return b""


# --- structure --------------------------------------------------------------------------------------------------------


def _structure(request: Request, features: Features, layout: Layout, skeleton: bytes) -> Structure:
    # A caller of the cache may send what it likes: what is long is not kept.
    build = _build_cached if len(request.raw) <= CACHEABLE_MAX else _build
    to_style = _style(request.headers.first.get(b"to"))
    return build(
        request.method, layout.written, features.from_, to_style, features.call_id, features.from_tag, skeleton
    )


def _style(value: bytes | None) -> str:
    if value is None:
        return ""
    bracket = value.find(b"<")
    if bracket <= 0:
        return "brackets" if bracket == 0 else "bare"
    quoted = "quoted" if value[0] == 0x22 else "token"
    return f"{quoted}-spaced" if value[bracket - 1] in b" \t" else f"{quoted}-tight"


def _build(
    method: bytes,
    names: tuple[bytes, ...],
    from_style: str,
    to_style: str,
    call_id_class: str,
    from_tag_class: str,
    body: bytes,
) -> Structure:
    call_id, from_tag = SHAPES["call_id"].alike(call_id_class), SHAPES["from_tag"].alike(from_tag_class)
    # A line feed is in none of them but a name that was folded, so the joint is as good as unambiguous.
    classes = f"{len(names)}\n{from_style}\n{to_style}\n{call_id}\n{from_tag}".encode("ascii")
    key = blake2b(b"\n".join((method, *names, classes, body)), digest_size=8).hexdigest()
    return Structure(method, names, from_style, to_style, call_id, from_tag, body, key)


SHAPES: Final = load_vocabulary().shapes
_build_cached = lru_cache(maxsize=1 << 11)(_build)
