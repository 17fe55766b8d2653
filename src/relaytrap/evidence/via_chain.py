"""The Vias of one request as a chain of links: who wrote each, what it says of the one below, and whether that holds.

A link's own words are its sent-by and branch; `received` and `rport` in it are the words of the link above. Who made a
link shows in the grammar of its branch: proxies, phones and scanners each have their own. A scanner's branch on top of
other Vias means that those were made up, because a scanner never hands on what others sent.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from relaytrap.evidence.kamailio import field_agrees
from relaytrap.evidence.path import address_text, is_public
from relaytrap.evidence.topology_hiding import MASKED_BRANCH, MASKED_CALL_ID, unmask
from relaytrap.sip import Request, Via
from relaytrap.sip.anomaly import SipSyntaxError
from relaytrap.sip.params import Params
from relaytrap.sip.via import COOKIE, parse_via

__all__ = ["Link", "Maker", "branch_maker", "read_chain"]

Role = Literal["", "proxy", "agent", "scanner"]


class Maker(NamedTuple):
    """Software that writes branches of one form, and what it can be: one that hands on, one that begins, a scanner."""

    name: str
    role: Role


KAMAILIO: Final = "Kamailio"
UNKNOWN: Final = Maker("", "")
NO_COOKIE: Final = Maker("", "agent")
IMITATION: Final = Maker("imitated Kamailio", "agent")

# First match wins; each full match. Sources: docs/reference/evidence-rules.md.
FORMS: Final[tuple[tuple[bytes, str, Role], ...]] = (
    (rb"z9hG4bK[0-9a-f]{1,4}\.[0-9a-f]{32}\.[0-9]{1,6}", KAMAILIO, "proxy"),
    (rb"z9hG4bK[0-9a-f]{1,4}\.[0-9a-f]{7,8}\.[0-9]{1,6}", "OpenSIPS", "proxy"),
    (rb"z9hG4bK[0-9A-Za-z]{1,8}\.[0-9A-Za-z]{32}\.[0-9]{1,6}", *IMITATION),
    (rb"z9hG4bK-[0-9]{1,10}", "SIPVicious", "scanner"),
    (rb"z9hG4bK-[0-9]+-[0-9]+-[0-9]+", "SIPp", "scanner"),
    (rb"z9hG4bKSG\.[0-9a-f-]{36}", "SIPExer", "scanner"),
    (rb"[0-9a-z]{71}", "sippts", "scanner"),
    (rb"[a-z]{6}\.[0-9]{10}", "ZMap", "scanner"),
    (rb"foo", "nmap", "scanner"),
    (rb"z9hG4bK\.[0-9a-f]{8}", "sipsak", "scanner"),
    (rb"z9hG4bKPj[0-9A-Za-z.-]{32,36}", "PJSIP", "agent"),
    (rb"z9hG4bK-(?:d8754z|d87543|524287)-.*", "reSIProcate", "agent"),
    (rb"z9hG4bKac[0-9]+", "AudioCodes", "agent"),
    (rb"z9hG4bK[0-9]{4,11}", "", "agent"),
    (rb"z9hG4bK[0-9a-f]{8}", "Asterisk", "agent"),
)


class _Grammar:
    """Forms as one pattern, a group for each: a new branch comes with every message, and fifteen matches cost 5 us."""

    def __init__(self, forms: Sequence[tuple[bytes, str, Role]]) -> None:
        self.fullmatch = re.compile(b"|".join(b"(%b)" % pattern for pattern, _, _ in forms)).fullmatch
        self.makers = tuple(Maker(name, role) for _, name, role in forms)


# Behind the cookie nearly everybody goes on with "-", where three forms do: trying those alone takes half as long.
DASH: Final = COOKIE + b"-"
DASHED: Final = _Grammar([form for form in FORMS if form[0].startswith(DASH)])
OTHERS: Final = _Grammar([form for form in FORMS if not form[0].startswith(DASH)])


def branch_maker(branch: bytes | None) -> Maker:
    """Who writes branches like that; a name and role of "" when any software may have."""
    if not branch:
        return UNKNOWN
    grammar = DASHED if branch.startswith(DASH) else OTHERS
    if (match := grammar.fullmatch(branch)) is not None and match.lastindex:
        return grammar.makers[match.lastindex - 1]
    return UNKNOWN if branch.startswith(COOKIE) or branch == b"0" else NO_COOKIE


class Link(msgspec.Struct, frozen=True):
    """One Via, nearest first.

    branch: b"" when there is none.
    address: where its writer is according to the link above: `received`, else a sent-by that is an address; None for a
        name. port likewise. explicit: the link above noted an address or port, rather than leaving the sent-by alone.
    sent_by: the writer's own words; sent_by_address as canonical text or None. noted: every `received` there is.
    rport: as Via.rport gives it.
    genuine: whether the branch is Kamailio's own work (True), an imitation (False) or of unknown making (None).
    masked: hidden by topoh under a key we do not have. unmasked: it was hidden, and all but `via` is what came off
        under the built-in key. Neither where a sender only wrote its own Via so: the relay above tells where it is.
    """

    via: Via
    branch: bytes
    address: str | None
    port: int
    explicit: bool
    sent_by: str
    sent_by_address: str | None
    noted: tuple[str, ...]
    rport: int | Literal[True] | None
    maker: Maker
    genuine: bool | None
    masked: bool
    unmasked: bool
    over_connection: bool


def read_chain(message: Request, vias: Sequence[Via]) -> tuple[Link, ...]:
    """The links of a request, nearest first."""
    call_id, masked = message.call_id or b"", b""
    if call_id not in message.raw:  # folded: what a relay made its hash of stands here otherwise
        call_id = b""
    # As it stands: "01" has another hash than "1".
    number = b"".join((message.headers.get(b"cseq") or b"").split(maxsplit=1)[:1])
    if call_id.startswith(MASKED_CALL_ID):
        call_id, masked = unmask(call_id) or b"", call_id
    links = [_read_link(via, call_id, number, masked) for via in vias]
    relay = links[0]
    for index, link in enumerate(links):
        if not link.masked:
            relay = link
        elif _is_its_writers(link, relay):
            links[index] = relay = replace(link, masked=False)
        else:
            links[index] = _unmasked(link, call_id, number)
    return tuple(links)


def _read_link(via: Via, call_id: bytes, cseq: bytes, masked_call_id: bytes) -> Link:
    _, _, host, own_port, params, _ = via
    branch = via.branch or b""
    sent_by = address = address_text(host)
    noted: tuple[str, ...] = ()
    port, explicit, over_connection = own_port or 5060, False, False
    rport: int | Literal[True] | None
    if branch and len(params) == 1:
        rport = None
    elif branch and len(params) == 2 and params[1] == ASKED_FOR:
        rport = True
    else:  # other hops wrote into it, or may have
        rport = via.rport
        if rport is not None and rport is not True:
            port, explicit = rport, True
        names = [name.lower() for name, _ in params]
        if b"received" in names and (noted := _noted(names, params)):
            address, explicit = noted[0], True
        over_connection = b"i" in names and via.param(b"i") is not None
    maker, genuine = branch_maker(branch), None
    if maker.name == KAMAILIO and masked_call_id and field_agrees(branch, masked_call_id, cseq):
        genuine = True  # a hop behind the one that masked
    elif maker.name == KAMAILIO and call_id:
        genuine = field_agrees(branch, call_id, cseq)
        maker = maker if genuine else IMITATION
    elif maker.name == IMITATION.name:
        genuine = False
    return Link(
        via,
        branch,
        address,
        port,
        explicit,
        host.decode("latin-1"),
        sent_by,
        noted,
        rport,
        maker,
        genuine,
        # All that topoh leaves: what other hops noted of a sender stands in what it masked.
        branch.startswith(MASKED_BRANCH) and len(params) == 1 and own_port is None,
        False,
        over_connection,
    )


ASKED_FOR: Final = (b"rport", None)


def _noted(names: Sequence[bytes], params: Params) -> tuple[str, ...]:
    return tuple(
        [
            text
            for name, (_, value) in zip(names, params, strict=True)
            if name == b"received" and value and (text := address_text(value.strip(b"[]")))
        ]
    )


def _is_its_writers(link: Link, relay: Link) -> bool:
    """Whether a Via that looks masked is as a sender wrote it: under its own name, so that a relay has nothing to note.

    relay: the nearest above that is not masked; only its own public address stands there when it is its work.
    """
    own = link.sent_by_address
    return link is relay or (own is not None and own != relay.sent_by_address and is_public(own))


def _unmasked(link: Link, call_id: bytes, cseq: bytes) -> Link:
    """A masked link as it was before, if the built-in key fits and it then names an address."""
    plain = unmask(link.branch)
    try:
        vias = parse_via(plain) if plain else ()
    except SipSyntaxError:
        return link
    if len(vias) != 1:
        return link
    found = _read_link(vias[0], call_id, cseq, b"")
    return replace(found, via=link.via, unmasked=True) if found.address else link
