"""Which program wrote a request: by how it is built, not by what it says of itself.

`find_tool` names the tool with its signs and says whether the User-Agent is borrowed. `structure` gives a key that is
the same for every message one program writes, whatever relays they came through. `find_hop_software` names what added
a Via. All of it is decided on classes of values (see `features`), so that each combination is judged once.
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

__all__ = ["Structure", "Tool", "find_hop_software", "find_tool", "identify", "structure"]

THRESHOLD: Final = 50
"""Weights that must come together before a tool is named."""

CONFIDENCE_MAX: Final = 99
CLAIM_MAX: Final = 200


class _Verdict(NamedTuple):
    signature: Signature | None
    confidence: int
    signs: tuple[Sign, ...]
    faked: bool
    why: str


NOTHING: Final = _Verdict(None, 0, (), False, "")


class Tool:
    """The program that wrote a message, as far as its structure shows.

    name: "" when unknown. family: shared by tools of one origin. kind: "scanner", "toll fraud", "phone" …, "" unknown.
    confidence: 0 to 99. claimed: what the User-Agent (in a response Server) says. faked: the User-Agent names a product
    that did not write this; why: in words. signs: the reasons with the bytes they rest on, heaviest first.
    """

    __slots__ = ("_found", "_signs", "claimed", "confidence", "faked", "family", "kind", "name", "why")

    def __init__(
        self,
        name: str = "",
        family: str = "",
        kind: str = "",
        confidence: int = 0,
        claimed: str = "",
        faked: bool = False,
        why: str = "",
        found: "tuple[Request, _Verdict] | None" = None,
    ) -> None:
        self.name = name
        self.family = family
        self.kind = kind
        self.confidence = confidence
        self.claimed = claimed
        self.faked = faked
        self.why = why
        self._found = found
        self._signs: tuple[Evidence, ...] | None = None

    @property
    def signs(self) -> tuple[Evidence, ...]:
        """Worked out when first asked for: most messages are never looked at one by one."""
        if self._signs is None:
            self._signs = _find_signs(*self._found) if self._found is not None else ()
        return self._signs

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
    features, layout = features_of(message)
    return _tool(message, _judge(features)), _structure(message, features, layout)


def find_tool(message: Message) -> Tool:
    """The program that wrote a request; unknown for responses and what is no message."""
    if not isinstance(message, Request):
        return Tool(claimed=_claimed(message))
    return _tool(message, _judge(features_of(message)[0]))


def _tool(request: Request, verdict: _Verdict) -> Tool:
    found = verdict.signature
    if found is None:
        return Tool("", "", "", 0, _claimed(request), verdict.faked, verdict.why)
    return Tool(
        found.name, found.family, found.kind, verdict.confidence, _claimed(request), verdict.faked, verdict.why,
        (request, verdict),
    )  # fmt: skip


def _claimed(message: Message) -> str:
    value = message.headers.get(b"user-agent") or message.headers.get(b"server")
    return _displayed(value[:CLAIM_MAX]) if value else ""


_displayed = lru_cache(maxsize=1 << 12)(display)


def structure(message: Message) -> Structure:
    """The structure of a request; its key is "" for responses and what is no message."""
    return _structure(message, *features_of(message)) if isinstance(message, Request) else NO_STRUCTURE


def find_hop_software(branch: bytes) -> str:
    """The software that writes such a branch when it forwards; "" when none is known to."""
    vocabulary = load_vocabulary()
    return vocabulary.hops.get(vocabulary.shapes["branch"].name(branch), "")


# --- judging ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def _judge(features: Features) -> _Verdict:
    best: Signature | None = None
    best_sum, best_signs = THRESHOLD - 1, tuple[Sign, ...]()
    for signature in load_signatures():
        signs = tuple(sign for sign in signature.signs if sign.classes.intersection(features.values(sign.feature)))
        total = sum(sign.weight for sign in signs)
        if total > best_sum and any(sign.feature != "user_agent" for sign in signs):
            best, best_sum, best_signs = signature, total, signs
    why = _borrowed_name(features, best)
    if best is None:
        return _Verdict(None, 0, (), bool(why), why)
    return _Verdict(best, min(best_sum, CONFIDENCE_MAX), best_signs, bool(why), why)


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
    if verdict.signature is None:
        return ()
    found = [_evidence(request, verdict.signature, sign) for sign in verdict.signs]
    return tuple(sorted(found, key=lambda evidence: -evidence.weight))


def _evidence(request: Request, signature: Signature, sign: Sign) -> Evidence:
    quote = _quote(request, sign)
    offset = _offset(request, sign.feature, quote) if quote else -1
    return Evidence(sign.rule, signature.version, sign.weight, quote if offset >= 0 else b"", offset, sign.text)


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


def _structure(request: Request, features: Features, layout: Layout) -> Structure:
    to_style = _style(request.headers.get(b"to"))
    body = _skeleton(request.body) if request.body else b""
    call_id, from_tag = CALL_ID_ALIKE(features.call_id), FROM_TAG_ALIKE(features.from_tag)
    parts = (request.method, layout.written, features.from_, to_style, call_id, from_tag, body)
    return Structure(*parts, (_key if len(request.raw) <= CACHEABLE_MAX else _make_key)(parts))


CALL_ID_ALIKE: Final = load_vocabulary().shapes["call_id"].alike
FROM_TAG_ALIKE: Final = load_vocabulary().shapes["from_tag"].alike


def _style(value: bytes | None) -> str:
    if value is None:
        return ""
    bracket = value.find(b"<")
    if bracket <= 0:
        return "brackets" if bracket == 0 else "bare"
    quoted = "quoted" if value[0] == 0x22 else "token"
    return f"{quoted}-spaced" if value[bracket - 1] in b" \t" else f"{quoted}-tight"


def _skeleton(body: bytes) -> bytes:
    """Line types of a session description, with the names of attributes; b"" for any other body."""
    if body[:2] not in (b"v=", b"o=", b"c=", b"s="):
        return b""
    return b" ".join(
        line[2:].partition(b":")[0][:32] if line[:2] == b"a=" else line[:1] for line in sdp_lines(body) if line
    )


Parts = tuple[bytes, tuple[bytes, ...], str, str, str, str, bytes]


def _make_key(parts: Parts) -> str:
    method, names, from_style, to_style, call_id, from_tag, body = parts
    # A line feed is in none of them, so the joint is unambiguous.
    classes = f"{len(names)}\n{from_style}\n{to_style}\n{call_id}\n{from_tag}".encode("ascii")
    return blake2b(b"\n".join((method, *names, classes, body)), digest_size=8).hexdigest()


_key = lru_cache(maxsize=1 << 11)(_make_key)
