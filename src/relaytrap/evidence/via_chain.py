"""The Vias of one request as a chain of links: who wrote each, what it says of the one below, and whether that holds.

A link's own words are its sent-by and branch; `received` and `rport` in it are the words of the link above. Who made a
link shows in the grammar of its branch: proxies, phones and scanners each have their own. A scanner's branch on top of
other Vias means that those were made up, because a scanner never hands on what others sent.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from relaytrap.evidence.kamailio import hash_agrees
from relaytrap.evidence.path import address_text
from relaytrap.evidence.topology_hiding import MASKED_BRANCH, MASKED_CALL_ID, Sender, sender_of, unmask
from relaytrap.sip import Request, Via

__all__ = ["Link", "Maker", "branch_maker", "read_chain"]

Role = Literal["", "proxy", "agent", "scanner"]


class Maker(NamedTuple):
    """Software that writes branches of one form, and what it can be: one that hands on, one that begins, a scanner."""

    name: str
    role: Role


UNKNOWN: Final = Maker("", "")
NO_COOKIE: Final = Maker("", "agent")
IMITATION: Final = Maker("imitated Kamailio", "agent")

# First match wins; each full match. Sources: docs/reference/evidence-rules.md.
FORMS: Final[tuple[tuple[bytes, str, Role], ...]] = (
    (rb"z9hG4bK[0-9a-f]{1,4}\.[0-9a-f]{32}\.[0-9]{1,6}", "Kamailio", "proxy"),
    (rb"z9hG4bK[0-9a-f]{1,4}\.[0-9a-f]{7,8}\.[0-9]{1,6}", "OpenSIPS", "proxy"),
    (rb"z9hG4bK[0-9A-Za-z]{1,8}\.[0-9A-Za-z]{32}\.[0-9]{1,6}", "imitated Kamailio", "agent"),
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
# One pattern, a group for each form: a new branch comes with every message, and fifteen matches cost 5 us.
GRAMMAR: Final = re.compile(b"|".join(b"(%b)" % pattern for pattern, _, _ in FORMS))
MAKERS: Final = tuple(Maker(name, role) for _, name, role in FORMS)


def branch_maker(branch: bytes | None) -> Maker:
    """Who writes branches like that; a name and role of "" when any software may have."""
    if not branch:
        return UNKNOWN
    if (match := GRAMMAR.fullmatch(branch)) is not None and match.lastindex:
        return MAKERS[match.lastindex - 1]
    return UNKNOWN if branch.startswith(b"z9hG4bK") or branch == b"0" else NO_COOKIE


class Link(msgspec.Struct, frozen=True):
    """One Via, nearest first.

    address: where its writer is according to the link above: `received`, else a sent-by that is an address; None for a
        name. port likewise. explicit: the link above noted an address or port, rather than leaving the sent-by alone.
    sent_by: the writer's own words; sent_by_address as canonical text or None. noted: every `received` there is.
    genuine: whether the branch is Kamailio's own work (True), an imitation (False) or of unknown making (None).
    masked: hidden by topoh under a key we do not have. unmasked: its plain text when the built-in key fits.
    """

    via: Via
    address: str | None
    port: int
    explicit: bool
    sent_by: str
    sent_by_address: str | None
    noted: tuple[str, ...]
    maker: Maker
    genuine: bool | None
    masked: bool
    unmasked: Sender | None
    over_connection: bool


def read_chain(message: Request, vias: Sequence[Via]) -> tuple[Link, ...]:
    """The links of a request, nearest first."""
    call_id, cseq = message.call_id or b"", message.cseq
    if call_id.startswith(MASKED_CALL_ID):
        call_id = unmask(call_id) or b""
    number = cseq.number if cseq else 0
    return tuple(_read_link(via, call_id, number) for via in vias)


def _read_link(via: Via, call_id: bytes, cseq: int) -> Link:
    branch = via.branch or b""
    sent_by = address_text(via.sent_by_host)
    noted: tuple[str, ...] = ()
    port, explicit, over_connection = via.sent_by_port or 5060, False, False
    if not branch or via.params[1:] not in UNTOUCHED:
        noted = tuple(
            text for name, value in via.params if name.lower() == b"received" and value and (text := _noted(value))
        )
        rport = via.rport
        explicit = rport is not None and rport is not True
        port = rport if rport is not None and explicit else port
        over_connection = via.param(b"i") is not None
    maker, genuine = branch_maker(branch), None
    if call_id and maker.name == "Kamailio":
        genuine = hash_agrees(branch, call_id, cseq)
        maker = maker if genuine else IMITATION
    elif maker is not UNKNOWN and maker.name == IMITATION.name:
        genuine = False
    masked, unmasked = branch.startswith(MASKED_BRANCH), None
    if masked and (plain := unmask(branch)) is not None:
        unmasked = sender_of(plain)
    return Link(
        via,
        noted[0] if noted else sent_by,
        port,
        explicit or bool(noted),
        via.sent_by_host.decode("latin-1"),
        sent_by,
        noted,
        maker,
        genuine,
        masked,
        unmasked,
        over_connection,
    )


# What stands behind the branch of a Via into which no other hop wrote.
UNTOUCHED: Final = ((), ((b"rport", None),))


def _noted(value: bytes) -> str | None:
    return address_text(value.strip(b"[]"))
