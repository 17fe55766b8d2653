"""Several Vias: relayed or forged, and how far down somebody vouches.

The weighing first. A relay and a forger both show a top Via that names the source; a genuine Kamailio hash, a
Max-Forwards that adds up and a noted upstream speak for the relay; a scanner's branch on top, a wrong hash and a
Max-Forwards that is too high speak for the forger. Then the walk: index 0 is the source's own Via, and each step down
needs a link that is believed to hand on.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.claim import Claim, claimed_address, claims, foreign_address
from relaytrap.evidence.path import (
    Hop,
    Path,
    PathSetting,
    Standing,
    Verdict,
    address_text,
    is_public,
    share_network,
    transport_text,
)
from relaytrap.evidence.path_rules import LEAST_COUNTED, OPENING, START, decoded_targets, hop_count_reason, reason
from relaytrap.evidence.topology_hiding import MASKED_PARAM
from relaytrap.evidence.via_chain import Link
from relaytrap.observation import Observation
from relaytrap.sip import Request

if TYPE_CHECKING:
    from relaytrap.evidence.identifiers import Decoded

__all__ = ["ViaWalk"]

# How much speaks for a relay before any sign: honest software makes this shape far more often than forgers do.
PRIOR: Final = 30
# What no relay of those makes does: more than all that a sender can write to look like one (a hop count that adds up, a
# noted upstream, a Record-Route of its own) counts for.
DECISIVE: Final = 150


class ViaWalk:
    """The judgement of one request with several Vias."""

    def __init__(
        self,
        message: Request,
        observation: Observation,
        setting: PathSetting,
        decoded: "Sequence[Decoded]",
        links: tuple[Link, ...],
    ) -> None:
        self.message = message
        self.seen = observation
        self.setting = setting
        self.decoded = decoded
        self.links = links
        self.reasons: list[Evidence] = []
        forwards, below = message.max_forwards, len(links) - 1
        self.start = start = -1 if forwards is None else forwards + below
        # RFC 3261 16.6: every hop counts one down. More than it could have started with: that many Vias are made up.
        self.extra = start - START if START < start <= START + below else 0

    def judge(self) -> Path:
        top, address = self._below_own_host()
        if top + 1 >= len(self.links):
            text = "All Vias name the source: one host on several ports."
            self._note("path.same-host", 20, self.links[-1].via.raw, text)
            return self._finish("direct", 70, None, top)
        if top == 0 and self._is_forged():
            return self._finish("forged", 70, None, 0, made_up=1)
        if self._is_known(address) and address not in self.setting.own:
            self._note("path.known-proxy", 50, b"", f"{address} is one of our known proxies.")
            return self._finish("direct", 60, None, top)
        below = self.links[top + 1]
        if below.masked:
            return self._masked(top, address)
        if self._serves(top, address):
            return self._finish("unknown", 50, None, top, kind="serving", vouched=below.address)
        return self._relayed(top, address)

    # ---- who handed it to us -------------------------------------------------------------------------------------

    def _below_own_host(self) -> tuple[int, str]:
        """Index and address of the element that took the message from others: source or, behind our edge, further down.

        Links of the same host on another port are passed over (a B2BUA and a proxy in one box).
        """
        links, address = self.links, self.seen.source
        for index in range(1, len(links)):
            below = links[index].address
            if below is None or links[index].masked or (below != address and not self._is_edge(address)):
                return index - 1, address
            address = below
        return len(links) - 1, address

    def _is_known(self, address: str) -> bool:
        known = self.setting.known
        return not known.is_empty and address in known

    def _is_edge(self, address: str) -> bool:
        return self._is_known(address) and address in self.setting.own

    # ---- relayed or made up --------------------------------------------------------------------------------------

    def _is_forged(self) -> bool:
        """Weighs the signs that the source made up the Vias below its own against those that it handed them on."""
        top, below = self.links[0], self.links[1]
        honest, forged = PRIOR, 0
        if top.genuine:
            honest += 80
            self._note(
                "path.kamailio-hash", 80, top.via.branch, "The top branch is Kamailio's own work: its hash agrees."
            )
        elif top.genuine is False:
            forged += DECISIVE
            self._note(
                "path.kamailio-hash", -100, top.via.branch, "The top branch imitates Kamailio: its hash is wrong."
            )
        elif top.maker.role == "proxy":
            honest += 40
            self._note(
                "path.software", 40, top.via.branch, f"The top branch has the form that {top.maker.name} writes."
            )
        elif top.maker.role == "scanner":
            forged += DECISIVE
            text = f"The top branch is that of {top.maker.name}, which begins requests and hands none on."
            self._note("path.software", -100, top.via.branch, text)
        elif not top.maker.name and top.maker.role == "agent":
            forged += 25
        if below.genuine is False and not top.genuine:
            forged += 60
            self._note(
                "path.kamailio-hash", -60, below.via.branch, "The Via below imitates Kamailio: its hash is wrong."
            )
        if below.address is not None and self._is_us(below.address) and not self._is_known(self.seen.source):
            forged += 0 if top.genuine else DECISIVE
            text = f"The Via below says that it came from {below.address}: that is us, and we ask nobody."
            self._note("path.own-address", 0 if top.genuine else -100, below.via.raw, text)
        if top.noted:
            forged += 40
            self._note(
                "path.received-on-top", -40, top.via.raw, "`received` in the top Via on arrival: only we may add it."
            )
        if self.extra and not top.genuine:
            lost = 45 if self.extra >= len(self.links) - 1 else 10
            forged += lost
            text = f"Max-Forwards and Vias add up to {self.start}, more than {START}: {self.extra} made up."
            self.reasons.append(hop_count_reason("path.made-up-via", -lost, self.message, text))
        elif LEAST_COUNTED <= self.start <= START:
            honest += 30
            text = f"Max-Forwards was counted down once for each Via: they add up to {self.start}."
            self.reasons.append(hop_count_reason("path.max-forwards", 30, self.message, text))
        if self._records_route():
            honest += 25
        if below.explicit:
            honest += 10 if below.rport is None or below.rport is True else 20
        elif below.sent_by_address is not None:
            forged += 15
        if top.rport is True:
            forged += 10
        return forged > honest

    def _records_route(self) -> bool:
        """Record-Route whose nearest entry is the source: it stays on the path of the dialog."""
        message = self.message
        if b"record-route" not in message.headers:
            return False
        for route in message.record_route[:1]:
            host = address_text(route.uri.host) if route.uri else None
            if host is not None and host in (self.seen.source, self.links[0].sent_by_address):
                self._note("path.record-route", 25, route.raw, "The source put itself on the route of the dialog.")
                return True
        return False

    def _serves(self, top: int, address: str) -> bool:
        """Whether the source forwards for its own: the shape of a relay, in the service of its users.

        Its upstream is in a network that only it can reach and names nobody outside, or the request was for a name of
        its own that it looked up.
        """
        below = self.links[top + 1]
        if below.address is not None and not is_public(below.address) and not self._may_step(top + 1):
            text = f"It took the request from {below.address}, inside its own network: a proxy that serves its users."
            self._note("path.own-network", -30, below.via.raw, text)
            return True
        is_near = below.address is not None and share_network(address, below.address, 24, 64)
        if self.message.method not in OPENING and not self.links[top].genuine and is_near:
            text = f"Within a dialogue, from {below.address} in the same network: proxies of one operator."
            self._note("path.own-network", -30, below.via.raw, text)
            return True
        to, uri = self.message.to_address, self.message.uri
        to_host = to.uri.host.lower() if to and to.uri else b""
        if uri is None or not to_host or to_host == uri.host.lower() or address_text(uri.host) != self.seen.local:
            return False
        named = address_text(to_host)
        if named in (address, self.links[top].sent_by_address) if named else to_host not in self.setting.own_domains:
            text = "To names the source's own domain, Request-URI our address: a proxy that looked us up for its users."
            self._note("path.serves", -30, _header(self.message, b"to"), text)
            return True
        return False

    # ---- the walk down -------------------------------------------------------------------------------------------

    def _relayed(self, top: int, relay: str) -> Path:
        links, named = self.links, claims(self.message)
        self._note_signs(relay, named)
        index = top + 1
        while self._may_step(index):
            index += 1
        link = links[index]
        confidence = self._confidence(top, index)
        more_below = index + 1 < len(links)
        # With more Vias below, the claim is whom they name or, when they were made up, nobody: never Contact's word.
        origin, claim = link.address, self._claim_below(index) if more_below else foreign_address(named, self.seen)
        if not links[index - 1].genuine and _is_ambiguous(link):
            # Two public addresses for one sender, and no saying which of them the relay wrote.
            origin, claim, confidence = None, link.sent_by_address, 0
        if origin is not None and self._is_us(origin):  # somebody sent the relay requests in our name
            origin, claim, confidence = None, None, 0
        return self._finish(
            "relayed",
            confidence,
            relay,
            top,
            origin=origin,
            port=link.port if origin else 0,
            # What only the relay can reach is a part of it: the same private address stands for others elsewhere.
            chain=tuple([at if (at := each.address) and is_public(at) else "" for each in links[top + 1 : index]]),
            claim=claim,
            kind="hiding" if links[top + 1].unmasked else self._kind(relay, origin),
            made_up=index + 1 if more_below and claim is None else len(links),
            depth=index if origin else top,
        )

    def _may_step(self, index: int) -> bool:
        """Whether the link is believed to hand on, so that its word about the one below counts.

        Only Kamailio's hash proves that much from one message; other hops need to be known from elsewhere.
        """
        link = self.links[index]
        if not link.genuine or link.address is None or index + 1 >= len(self.links) - self.extra:
            return False
        below = self.links[index + 1]
        if below.genuine is False or below.masked or below.address is None or self._is_us(below.address):
            return False  # made up, unknown, or us, who ask nobody
        return LEAST_COUNTED <= self.start - self.extra <= START and is_public(below.address)

    def _claim_below(self, index: int) -> str | None:
        """The address that the next link down, which there is, names, unless it was made up."""
        link, below = self.links[index], self.links[index + 1]
        text = (
            f"{len(self.links) - index - 1} more below {link.address or link.sent_by}: claims that nobody vouches for."
        )
        self._note("path.behind", 0, below.via.raw, text)
        is_made_up = index + 1 >= len(self.links) - self.extra or below.genuine is False
        # A genuine hop may have taken it from a sender that counts or writes branches as none does: not made up then.
        if link.maker.role == "scanner" or (is_made_up and not link.genuine):
            return None
        return below.address if below.address and is_public(below.address) else None

    def _confidence(self, top: int, index: int) -> int:
        """How far one relay's word goes: 0 to 75, less with every further hop."""
        link, above = self.links[index], self.links[index - 1]
        score = 45 if link.explicit else 35
        score += 10 if above.genuine else 0
        score += 5 if LEAST_COUNTED <= self.start <= START else 0
        if above.over_connection and above.genuine:
            score += 10
            self._note(
                "path.connection", 10, above.via.raw, "The relay took it over a connection: the address is real."
            )
        if link.address is None:
            return 0
        if link.unmasked:
            text = "Masked with the built-in key, which anybody can undo."
            self._note("path.unmasked", 0, link.via.branch, text)
        text = f"{above.sent_by} wrote that it took the request from {link.address}:{link.port}."
        self._note("path.received" if link.explicit else "path.sent-by", score, link.via.raw, text)
        if len(link.noted) > 1 and len(set(link.noted)) > 1:
            score -= 20
            self._note("path.received-twice", -20, link.via.raw, "Several `received` that disagree: a sign of forging.")
        if _is_ambiguous(link):
            score -= 20
            text = f"It calls itself {link.sent_by}, another public address than the one noted: one of them is made up."
            self._note("path.sent-by-differs", -20, link.via.raw, text)
        for _ in range(top + 1, index):
            score = score * 3 // 5
        return max(min(score, 75), 5)

    def _kind(self, relay: str, origin: str | None) -> str:
        message = self.message
        if message.to_tag and message.method in OPENING:
            return "in-dialog"
        contact = message.contacts[0].uri if message.contacts else None
        if contact is not None and address_text(contact.host) == relay != origin:
            return "rewriting"
        if b"record-route" in message.headers and message.record_route:
            return "stateful"
        return "stateless" if message.method == b"ACK" else ""

    def _note_signs(self, relay: str, named: Sequence[Claim]) -> None:
        """Signs that say little alone."""
        message, seen = self.message, self.seen
        if message.uri and not self._is_ours(message.uri.host.lower()):
            self._note("path.request-uri", 10, message.request_uri, "The Request-URI names a host that is not ours.")
        if message.to_tag and message.method in OPENING:
            self._note(
                "path.to-tag", 10, _header(message, b"to"), "A To tag in a request that begins: we never issued it."
            )
        if b"route" in message.headers and message.route:
            self._note("path.route", 10, _header(message, b"route"), "A Route was left in: the sender chose the way.")
        if named:
            address, where, quote = named[0]
            if address != relay and address != seen.local:
                self._note("path.contact", 5, quote, f"{where} names {address}, not the source (a claim).")
        if self.decoded:
            self.reasons += decoded_targets(self.decoded)

    def _is_ours(self, host: bytes) -> bool:
        """Whether a host (lower case) is this sensor or a name of ours."""
        return address_text(host) == self.seen.local or host in self.setting.own_domains

    def _is_us(self, address: str) -> bool:
        """Whether an address is ours alone: a private one stands for somebody else in another's network."""
        return address == self.seen.local and is_public(address)

    # ---- topology hiding -----------------------------------------------------------------------------------------

    def _masked(self, top: int, relay: str) -> Path:
        below = self.links[top + 1]
        self._note("path.masked", 60, below.branch, "The Via below is masked with a key of the relay's own.")
        contact = self.message.contacts[0].uri if self.message.contacts else None
        line = (contact.param(b"line") if contact else None) or b""
        mask = below.branch + (b" " + line if line.startswith(MASKED_PARAM) else b"")
        claim = claimed_address(self.message, self.seen)
        return self._finish("hidden", 85, relay, top, kind="hiding", mask=mask, claim=claim)

    # ---- putting it together -------------------------------------------------------------------------------------

    def _note(self, rule: str, weight: int, quote: bytes | None, text: str) -> None:
        self.reasons.append(reason(rule, weight, quote or b"", self.message.raw, text))

    def _finish(
        self,
        verdict: Verdict,
        confidence: int,
        relay: str | None,
        top: int,
        *,
        origin: str | None = None,
        port: int = 0,
        chain: tuple[str, ...] = (),
        claim: str | None = None,
        kind: str = "",
        mask: bytes = b"",
        made_up: int = 0,
        depth: int = 0,
        vouched: str | None = None,
    ) -> Path:
        hops = self._hops(max(top, depth), made_up or len(self.links))
        reasons = tuple(self.reasons)
        # What Path(...) does, without a call of Python code.
        made = verdict, confidence, relay, origin, port, chain, claim or vouched, kind, mask, self.start, hops, reasons
        return tuple.__new__(Path, made)

    def _hops(self, believed: int, made_up: int) -> tuple[Hop, ...]:
        """believed: index of the last link somebody vouches for. made_up: index of the first that was made up."""
        hops = []
        above = ""
        standing: Standing
        for index, link in enumerate(self.links):
            if link.masked:
                address, port, standing = "", 0, "claim"
            elif index == 0:
                address, port, standing = self.seen.source, self.seen.source_port, "fact"
            else:
                address, port = link.address or "", link.port
                standing = "vouched" if index <= believed else "claim" if index < made_up else "made-up"
            by = above if standing == "vouched" else ""
            transport = transport_text(link.via.transport)
            hops.append(
                Hop(address, port, link.sent_by, transport, standing, by, link.maker.name, link.over_connection)
            )
            above = address
        return tuple(hops)


def _header(message: Request, name: bytes) -> bytes:
    return message.headers.get(name) or b""


def _is_ambiguous(link: Link) -> bool:
    """Whether a sender goes by two public addresses: the one it gives itself and the one noted for it."""
    own = link.sent_by_address
    return bool(link.noted) and own is not None and own != link.address and is_public(own)
