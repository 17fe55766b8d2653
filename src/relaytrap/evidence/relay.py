"""The path of one message: did its source make it, or hand it on for somebody, and for whom as far as is vouched.

Where it stands in the flow: after parsing, before storing; one call for each message. It knows one message and the
operator's setting, nothing of other messages, so that the same bytes always get the same verdict. What needs many
messages (a B2BUA that leaves no mark, a relay that lies) is settled by `origin` and `campaign`.

How it goes. One Via: nobody says that the message was handed on; only a Max-Forwards that somebody counted down, or a
proxy's own branch, shows that the rest was hidden. Several Vias: either the source put its own on top of others'
(relay), or it made the others up (forged). Signs for both are weighed. Then the walk down: each link believed to hand
on vouches for the next, and the walk stops at the first that gives no reason to be believed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from relaytrap.evidence.claim import claimed_address, claims, foreign_address
from relaytrap.evidence.path import NOT_JUDGED, Hop, Path, PathSetting, address_text, transport_text
from relaytrap.evidence.path_rules import HOP_BY_HOP, LEAST_COUNTED, START, decoded_targets, hop_count_reason, reason
from relaytrap.evidence.via_chain import Link, read_chain
from relaytrap.evidence.via_walk import ViaWalk
from relaytrap.observation import Observation
from relaytrap.sip import Message, Request, Via

if TYPE_CHECKING:
    from relaytrap.evidence.identifiers import Decoded

__all__ = ["judge_path"]


def judge_path(
    message: Message, observation: Observation, setting: PathSetting, *, decoded: "Sequence[Decoded]" = ()
) -> Path:
    """What one message says of its way to us.

    decoded: what identifiers.decode_identifiers found in it; used for targets that scanners write into their tags.
    Only requests that came in are judged; anything else gives NOT_JUDGED.
    """
    if not isinstance(message, Request) or observation.direction != "in":
        return NOT_JUDGED
    vias = message.vias
    known = setting.known
    if not known.is_empty and observation.source in known and not _is_edge(observation.source, setting, vias):
        return _from_known_proxy(message, observation)
    if len(vias) > 1:
        return ViaWalk(message, observation, setting, decoded, read_chain(message, vias)).judge()
    if not vias:
        return _without_via(message, observation)
    via, forwards = vias[0], message.max_forwards
    if (forwards is None or not LEAST_COUNTED <= forwards < START) and b"." not in (via.branch or b""):
        return _direct(message, observation, via, decoded)
    return _judge_single(message, observation, read_chain(message, vias)[0], decoded)


def _is_edge(source: str, setting: PathSetting, vias: Sequence[Via]) -> bool:
    """A known proxy inside our own networks stands in front of the sensor: what it says of its upstream is judged."""
    return len(vias) > 1 and source in setting.own


def _from_known_proxy(message: Request, observation: Observation) -> Path:
    hop = Hop(observation.source, observation.source_port, "", observation.transport.upper(), "fact")
    why = reason("path.known-proxy", 50, b"", message.raw, f"{observation.source} is one of our known proxies.")
    return Path("direct", 60, kind="known", hops=(hop,), evidence=(why,))


def _without_via(message: Request, observation: Observation) -> Path:
    hop = Hop(observation.source, observation.source_port, "", observation.transport.upper(), "fact")
    why = reason("path.no-via", 10, b"", message.raw, "No Via at all: nothing that hands requests on leaves that out.")
    return Path("direct", 50, hops=(hop,), evidence=(why,))


def _direct(message: Request, observation: Observation, via: Via, decoded: "Sequence[Decoded]") -> Path:
    """The common case, kept short: one Via, nothing counted down."""
    source, forwards = observation.source, message.max_forwards
    sent_by, transport = via.sent_by_host.decode("latin-1"), via.transport.decode("latin-1")
    if sent_by == source or address_text(via.sent_by_host) == source:
        why = reason("path.one-via", 30, via.raw, message.raw, "One Via, and it names the source.")
        confidence = 80 if forwards == START else 65
    else:
        why, confidence = reason("path.one-via", 15, via.raw, message.raw, NOT_ITS_ADDRESS), 65
    hops = (Hop(source, observation.source_port, sent_by, transport, "fact"),)
    reasons = (why, *decoded_targets(decoded)) if decoded else (why,)
    start, claim = -1 if forwards is None else forwards, claimed_address(message, observation)
    # What Path(...) does, without a call of Python code: most messages end here.
    made = ("direct", confidence, None, None, 0, (), claim, "", b"", start, hops, reasons)
    return tuple.__new__(Path, made)


NOT_ITS_ADDRESS = "One Via; that it names another host than the source is address translation until shown otherwise."


def _begins(link: Link) -> bool:
    """Whether a lone Via is that of software which begins requests, whatever it starts to count with."""
    return link.maker.role == "scanner" or (link.rport is True and link.maker.role == "agent" and not link.maker.name)


def _judge_single(message: Request, observation: Observation, link: Link, decoded: "Sequence[Decoded]") -> Path:
    """One Via, and something about it is not as a sender leaves it."""
    forwards, raw, via = message.max_forwards, message.raw, link.via
    counted = forwards is not None and LEAST_COUNTED <= forwards < START
    proxy = link.maker.role == "proxy" and (link.genuine or link.maker.name != "Kamailio")
    # What a proxy asks of its own (keepalives, mostly) starts with 70; what it hands on has another start counted down.
    if _begins(link) or not (counted or proxy) or forwards == START:
        return _direct(message, observation, via, decoded)
    hop = Hop(
        observation.source,
        observation.source_port,
        link.sent_by,
        transport_text(via.transport),
        "fact",
        "",
        link.maker.name,
    )
    if message.method in HOP_BY_HOP:
        why = reason(
            "path.hop-by-hop", 0, via.raw, raw, "An ACK or CANCEL of one hop's own tells nothing of what is behind."
        )
        return Path("unknown", 40, kind="stateful" if proxy else "", hops=(hop,), evidence=(why,))
    reasons = []
    if counted:
        text = f"One Via, and Max-Forwards is {forwards}: somebody counted it down from {START} and took a Via away."
        reasons.append(hop_count_reason("path.max-forwards", 35, message, text))
    if proxy:
        text = f"The only Via was written by {link.maker.name}, which hands on: what was below is gone."
        reasons.append(reason("path.software", 35, via.raw, raw, text))
    named = claims(message)
    claim = foreign_address(named, observation)
    if claim is not None:
        for address, where, quote in named:
            if address == claim:
                text = f"{where} names {address}, which is neither the source nor this sensor (a claim)."
                reasons.append(reason("path.claims", 10, quote, raw, text))
    weight = sum([each.weight for each in reasons])
    return Path(
        "hidden",
        min(30 + weight // 2, 75),
        relay=observation.source,
        claim=claim,
        kind="stripping",
        start=-1 if forwards is None else forwards,
        hops=(hop,),
        evidence=(*reasons, *decoded_targets(decoded)),
    )
