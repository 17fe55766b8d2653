"""What the scene's own attackers say: one function for each kind of request, bytes out.

They write the way that published samples of such tools are written: order of headers, form of branch, tag and Call-ID,
constants in the session description. Dialled numbers are those that regulators keep for films: nobody answers them.
"""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

Maker = Callable[["Shot"], bytes]

LOWER_OR_DIGIT = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Shot:
    """One request to be made: by whom, to which honeypot, for which user part, with whose dice."""

    rng: random.Random
    source: str
    port: int
    target: str
    user: str = "100"

    @property
    def at_source(self) -> str:
        return f"{bracketed(self.source)}:{self.port}"

    @property
    def at_target(self) -> str:
        return bracketed(self.target)

    def digits(self, bits: int = 31) -> str:
        return str(self.rng.getrandbits(bits))

    def hex(self, length: int) -> str:
        return f"{self.rng.getrandbits(4 * length):0{length}x}"

    def word(self, length: int, alphabet: str = LOWER_OR_DIGIT) -> str:
        return "".join(self.rng.choices(alphabet, k=length))


def bracketed(address: str) -> str:
    """An address as a URI's host."""
    return f"[{address}]" if ":" in address else address


def request(method: str, uri: str, lines: list[str], body: str = "") -> bytes:
    """A request with these header lines and the right Content-Length at the end."""
    length = f"Content-Length: {len(body)}"
    return "\r\n".join([f"{method} {uri} SIP/2.0", *lines, length, "", body]).encode()


def session(owner: str, address: str, media: str, name: str = "-") -> str:
    """A session description; media: port and payload types of its one audio line."""
    kind = "IP6" if ":" in address else "IP4"
    origin = [f"o={owner} IN {kind} {address}", f"s={name}", f"c=IN {kind} {address}"]
    return "\r\n".join(["v=0", *origin, "t=0 0", f"m=audio {media}", "a=rtpmap:0 PCMU/8000", ""])


# --- The 2022 story: extensions 100 to 1000, each once a night, through every relay there is ---


def sweep_register(shot: Shot) -> bytes:
    """Asks as which extension it may register; the honeypot's address is all that the Request-URI names."""
    lines = _sweep_head(shot, "REGISTER", f"sip:{shot.user}@{shot.at_target}")
    return request("REGISTER", f"sip:{shot.at_target}", [*lines, "Expires: 120"])


def sweep_invite(shot: Shot) -> bytes:
    """Calls an extension; answers tell the ones that exist from the others."""
    uri = f"sip:{shot.user}@{shot.at_target}"
    body = session(f"- {shot.digits()} 1", shot.source, "8000 RTP/AVP 0", "talk")
    return request("INVITE", uri, [*_sweep_head(shot, "INVITE", uri), "Content-Type: application/sdp"], body)


def _sweep_head(shot: Shot, method: str, uri: str) -> list[str]:
    return [
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK{shot.word(12)};rport",
        "Max-Forwards: 70",
        f"From: <{uri}>;tag={shot.hex(8)}",
        f"To: <{uri}>",
        f"Call-ID: {shot.hex(32)}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:{shot.user}@{shot.at_source}>",
        "User-Agent: PBX",
    ]


# --- Toll fraud: numbers abroad under every prefix that may lead out ---


def three_integers(shot: Shot) -> bytes:
    """INVITE of the most common toll-fraud prober: three integers as Call-ID, `16264 18299`, an inside address."""
    uri = f"sip:{shot.user}@{shot.at_target}"
    inside = "192.168.1.83"
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK{shot.digits()}",
        "Max-Forwards: 70",
        f"From: <sip:1001@{shot.at_target}>;tag={shot.digits()}",
        f"To: <{uri}>",
        f"Call-ID: {shot.digits()}-{shot.digits()}-{shot.digits()}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:1001@{shot.at_source}>",
        "Content-Type: application/sdp",
        "Allow: ACK, BYE, CANCEL, INVITE, OPTIONS",
    ]
    body = [f"o=1001 16264 18299 IN IP4 {inside}", "s=call", f"c=IN IP4 {inside}", "t=0 0"]
    body += ["m=audio 25282 RTP/AVP 0 101", "a=rtpmap:0 pcmu/8000", "a=rtpmap:8 pcma/8000"]
    body += ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-11", ""]
    return request("INVITE", uri, lines, "\r\n".join(["v=0", *body]))


def three_integers_pplsip(shot: Shot) -> bytes:
    """The same tool with a User-Agent that belongs to another one."""
    return three_integers(shot).replace(b"Content-Type:", b"User-Agent: pplsip\r\nContent-Type:", 1)


def faked_eyebeam(shot: Shot) -> bytes:
    """The 2010 story's INVITE: says eyeBeam, but Call-ID and branch are built of both addresses and the number."""
    uri = f"sip:{shot.user}@{shot.at_target}"
    undotted = (shot.source + shot.target).replace(".", "")
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch={undotted}{shot.user}",
        "Max-Forwards: 70",
        f"From: <sip:100@{shot.at_target}>;tag={shot.hex(8)}",
        f"To: <{uri}>",
        f"Call-ID: {shot.source}-{shot.target}-{shot.user}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:100@{shot.at_source}>",
        "User-Agent: eyeBeam release 3006o stamp 17551",
        "Content-Type: application/sdp",
        "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE",
    ]
    return request("INVITE", uri, lines, session("- 16264 18299", shot.source, "25282 RTP/AVP 0 8", "eyeBeam"))


# --- A forger: makes up hops below its own ---


def forged(shot: Shot, framed: str) -> bytes:
    """An INVITE that pretends to come from an innocent through two Kamailio hops that never were."""
    uri = f"sip:{shot.user}@{shot.at_target}"
    hops = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK{shot.hex(4)}.{shot.hex(32)}.0",
        f"Via: SIP/2.0/UDP {framed}:5060;received={framed};rport=5060;branch=z9hG4bK{shot.hex(4)}.{shot.hex(32)}.0",
    ]
    lines = [
        *hops,
        "Max-Forwards: 70",
        f"From: <sip:{shot.user}@{framed}>;tag={shot.hex(10)}",
        f"To: <{uri}>",
        f"Call-ID: {shot.word(16)}@{framed}",
        "CSeq: 101 INVITE",
        f"Contact: <sip:{shot.user}@{framed}:5060>",
        "User-Agent: Office Line",
        "Content-Type: application/sdp",
    ]
    return request("INVITE", uri, lines, session(f"office {shot.digits()} 1", framed, "18000 RTP/AVP 0", "call"))


def relay_hunt(shot: Shot) -> bytes:
    """OPTIONS to a user somewhere else: a server that forwards it is open."""
    uri = f"sip:{shot.user}@203.0.113.130"
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK{shot.word(12)};rport",
        f"From: <sip:check@{shot.at_source}>;tag={shot.word(8)}",
        f"To: <{uri}>",
        f"Call-ID: {shot.word(20)}",
        "CSeq: 7 OPTIONS",
        "Max-Forwards: 12",
        f"Contact: <sip:check@{shot.at_source}>",
    ]
    return request("OPTIONS", uri, lines)


# --- An honest customer of an honest carrier ---


def honest_call(shot: Shot) -> bytes:
    """A desk phone's call to one of our numbers, on its way to its carrier's proxy."""
    uri = f"sip:{shot.user}@{shot.at_target}"
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK{shot.digits()};rport",
        'From: "Reception" <sip:+61255501200@carrier.example>;tag=' + shot.digits(),
        f"To: <{uri}>",
        f"Call-ID: 0_{shot.digits()}@{shot.source}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:+61255501200@{shot.at_source}>",
        "Content-Type: application/sdp",
        "Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, UPDATE",
        "Max-Forwards: 70",
        "User-Agent: Yealink SIP-T46S 66.86.0.15",
        "Supported: replaces",
    ]
    return request("INVITE", uri, lines, session("- 20000 20000", shot.source, "11780 RTP/AVP 0 8 9 18", "SDP data"))
