"""A network in miniature: requests as senders write them, and what each kind of relay makes of them.

Enough of SIP for the evidence rules: real Via chains, genuine Kamailio branches, topoh masking under any key. `Scene`
sends requests through relays to sensors and says what the analysis makes of all of them together, without a store.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from relaytrap.evidence.association import associate
from relaytrap.evidence.kamailio import branch_hash
from relaytrap.evidence.origin import Settled, settle
from relaytrap.evidence.path import AddressSet, Path, PathSetting, inner_of
from relaytrap.evidence.relay import judge_path
from relaytrap.evidence.testimony import Testimony as Words
from relaytrap.evidence.testimony import Vouch
from relaytrap.evidence.topology_hiding import BUILT_IN_KEY, BUILT_IN_RESIDUE, Masked, alphabet
from relaytrap.evidence.track import Keys, keys_of
from relaytrap.evidence.visits import Placement, TrackInfo, Visit
from relaytrap.observation import Observation
from relaytrap.sip import Request, parse_message

SENSOR = "192.0.2.10"
SECOND_NS = 10**9
START_NS = 1_790_000_000 * SECOND_NS


@dataclass
class Message:
    """A request as header lines, easy to take apart. vias: nearest first."""

    method: str
    uri: str
    vias: list[str]
    headers: list[tuple[str, str]]
    body: str = ""

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def put(self, name: str, value: str) -> None:
        self.headers = [(key, value if key == name else old) for key, old in self.headers]

    def wire(self) -> bytes:
        lines = [f"{self.method} {self.uri} SIP/2.0", *(f"Via: {via}" for via in self.vias)]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


def token(*parts: object, length: int = 16) -> str:
    """Letters and digits that depend on the parts alone."""
    return hashlib.blake2b(repr(parts).encode()).hexdigest()[:length]


def request(
    origin: str,
    target: str,
    *,
    serial: int = 0,
    sensor: str = SENSOR,
    method: str = "INVITE",
    port: int = 5074,
    branch: str = "",
    forwards: int = 70,
    sent_by: str = "",
    contact: str = "",
    extra: Sequence[str] = (),
    to_tag: str = "",
    agent: str = "PBX",
) -> Message:
    """What a scanner sends. extra: Vias that it makes up below its own."""
    made = token(origin, target, serial)
    own = f"SIP/2.0/UDP {sent_by or origin}:{port};branch={branch or f'z9hG4bK-{int(made, 16) % 2**31}'};rport"
    headers = [
        ("Max-Forwards", str(forwards)),
        ("From", f"<sip:{target}@{sensor}>;tag={made[:8]}"),
        ("To", f"<sip:{target}@{sensor}>" + (f";tag={to_tag}" if to_tag else "")),
        ("Call-ID", made),
        ("CSeq", f"1 {method}"),
        ("Contact", f"<sip:{target}@{contact or f'{origin}:{port}'}>"),
        ("User-Agent", agent),
    ]
    uri = f"sip:{sensor}" if method == "REGISTER" else f"sip:{target}@{sensor}"
    return Message(method, uri, [own, *extra], headers)


Relay = Callable[[Message, str, str, int], None]


def note_sender(message: Message, source: str, port: int) -> None:
    """What a proxy writes into the Via of its upstream (RFC 3261 18.2.1, RFC 3581)."""
    head, *params = message.vias[0].split(";")
    params = [f"rport={port}" if each == "rport" else each for each in params if not each.startswith("received=")]
    message.vias[0] = ";".join([head, f"received={source}", *params])


def count_down(message: Message) -> None:
    message.put("Max-Forwards", str(int(message.get("Max-Forwards")) - 1))


def kamailio(message: Message, relay: str, source: str, port: int) -> None:
    """A stateful, record-routing proxy with genuine branches."""
    note_sender(message, source, port)
    count_down(message)
    field_ = branch_hash(message.get("Call-ID").encode(), message.get("CSeq").split()[0].encode()).decode()
    message.vias.insert(0, f"SIP/2.0/UDP {relay};branch=z9hG4bK{field_}.{token(relay, message.vias, length=32)}.0")
    message.headers.insert(0, ("Record-Route", f"<sip:{relay};lr>"))
    message.put("User-Agent", BRANDS.get(relay, BRAND))


BRAND = "Ingate-SIParator/4.6.2"
BRANDS = {"203.0.113.16": "IceWarp SIP 11.4.1.0 RHEL6 x64"}


def proxy(message: Message, relay: str, source: str, port: int) -> None:
    """A proxy of unknown make that does not overwrite what its sender wrote as `received`."""
    if "received=" not in message.vias[0]:
        note_sender(message, source, port)
    else:
        message.vias[0] = message.vias[0].replace(";rport;", f";rport={port};")
    count_down(message)
    message.vias.insert(0, f"SIP/2.0/UDP {relay}:5060;branch=z9hG4bKx{token(relay, message.vias, length=15)}")


def stripper(message: Message, relay: str, source: str, port: int) -> None:
    """A proxy that takes the Vias below its own away."""
    count_down(message)
    message.vias = [f"SIP/2.0/UDP {relay}:5060;branch=z9hG4bKx{token(relay, message.vias, length=15)}"]


def b2bua(message: Message, relay: str, source: str, port: int) -> None:
    """Makes the request anew: nothing of the sender is left but what it asks for."""
    made = token(relay, message.get("Call-ID"), length=24)
    message.vias = [f"SIP/2.0/UDP {relay}:5060;branch=z9hG4bKx{made[:15]};rport"]
    message.put("Call-ID", f"{made}@{relay}")
    message.put("From", message.get("From").partition(";tag=")[0] + f";tag=b{made[:9]}")
    message.put("Contact", f"<sip:{relay}:5060>")
    message.put("Max-Forwards", "70")
    message.put("User-Agent", BRAND)


def liar(frame: str) -> Relay:
    """A proxy that names somebody else as its upstream."""

    def pass_on(message: Message, relay: str, source: str, port: int) -> None:
        branch = message.vias[0].partition("branch=")[2].partition(";")[0]
        count_down(message)
        message.put("Contact", f"<sip:{relay}:5060>")
        message.vias = [
            f"SIP/2.0/UDP {relay}:5060;branch=z9hG4bKx{token(relay, branch, length=15)}",
            f"SIP/2.0/UDP {frame}:5060;received={frame};rport=5060;branch={branch}",
        ]

    return pass_on


def mask(text: str, key: bytes = BUILT_IN_KEY, residue: int = BUILT_IN_RESIDUE) -> str:
    """What topoh makes of a text: base64 with the key's alphabet, padded with asterisks."""
    symbols = alphabet(key, residue)
    bits = "".join(f"{octet:08b}" for octet in text.encode())
    bits += "0" * (-len(bits) % 6)
    out = "".join(chr(symbols[int(bits[at : at + 6], 2)]) for at in range(0, len(bits), 6))
    return out + "*" * (-len(out) % 4)


def topoh(key: bytes = BUILT_IN_KEY, residue: int = BUILT_IN_RESIDUE) -> Relay:
    """Kamailio's topology hiding over `kamailio`."""

    def pass_on(message: Message, relay: str, source: str, port: int) -> None:
        kamailio(message, relay, source, port)
        for at, via in enumerate(message.vias[1:], 1):
            head, *params = via.split(";")
            plain = ";".join([head, params[0], "TH=div", *params[1:]])
            message.vias[at] = f"SIP/2.0/UDP 127.0.0.8;branch=z9hG4bKsr-{mask(plain, key, residue)}"
        contact = message.get("Contact").strip("<>")
        message.put("Contact", f"<sip:127.0.0.8;line=sr-{mask(contact, key, residue)}>")

    return pass_on


def parsed(message: Message | bytes) -> Request:
    made = parse_message(message if isinstance(message, bytes) else message.wire())
    assert isinstance(made, Request)
    return made


def judge(
    message: Message, source: str, *, known: Sequence[str] = (), own: Sequence[str] = (), port: int = 5060
) -> Path:
    """The path of a message that came from a source."""
    setting = PathSetting(AddressSet(known, "known"), AddressSet(own, "own"))
    seen = Observation(START_NS, "one", "in", "udp", source, port, SENSOR, 5060, message.wire())
    return judge_path(parsed(message), seen, setting)


@dataclass
class Scene:
    """Requests that reached sensors, with who really sent each."""

    seen: list[Observation] = field(default_factory=list)
    truth: list[str] = field(default_factory=list)

    def send(
        self, message: Message, origin: str, *route: tuple[Relay, str], at: float, sensor: str = "one", port: int = 5074
    ) -> None:
        """Send a message from its origin through relays, the first of the route first."""
        source = origin
        for relay, address in route:
            relay(message, address, source, port)
            source, port = address, 5060
        moment = START_NS + int(at * SECOND_NS)
        self.seen.append(Observation(moment, sensor, "in", "udp", source, port, SENSOR, 5060, message.wire()))
        self.truth.append(origin)


@dataclass(frozen=True)
class Belief:
    """What is believed of one message in the end."""

    verdict: str
    origin: str | None
    association: bool


def analyse(observations: Iterable[Observation]) -> tuple[list[Belief], Settled]:
    """Judge, associate and settle everything; beliefs in the order given."""
    setting = PathSetting()
    judged: list[tuple[Observation, Path, Keys]] = []
    tracks: dict[int, TrackInfo] = {}
    visits: list[Visit] = []
    for number, seen in enumerate(observations):
        message = parsed(seen.raw)
        path = judge_path(message, seen, setting)
        user = (message.to_address.uri.user if message.to_address else b"") or b""
        keys = keys_of(message, seen, path, target=user, dialled_core=b"")
        judged.append((seen, path, keys))
        masks = (Masked.read(path.mask, user, seen.local.encode()),) if path.mask else ()
        known = tracks.get(keys.track)
        kept = tuple(sorted({*(known.masks if known else ()), *masks}, key=repr))
        source = min(seen.source, known.source) if known else seen.source
        tracks[keys.track] = TrackInfo(
            path.verdict, source, path.origin, path.origin_port, keys.shape, keys.stack, kept
        )
        identity = int(hashlib.blake2b(seen.raw + seen.sensor.encode(), digest_size=7).hexdigest(), 16)
        visits.append(
            Visit(
                identity, seen.received_at_ns, keys.track, seen.source, keys.target_key, seen.sensor, identity,
                path.claim or "", keys.goal,
            )
        )  # fmt: skip
        assert number < 10**6
    found = associate(tracks, visits)
    placed = {place.visit.id: place for place in found.placements}
    vouches = {vouch_of(path) for _, path, _ in judged if path.verdict == "relayed" and path.origin}
    hidden = {seen.source for seen, path, _ in judged if path.verdict == "hidden"}
    settled = settle(Words.of(vouches, hidden), found.groups)
    beliefs = [
        believe(seen, path, keys, settled, placed.get(visit.id))
        for (seen, path, keys), visit in zip(judged, visits, strict=True)
    ]
    return beliefs, settled


def vouch_of(path: Path) -> Vouch:
    hops = tuple(hop for hop in path.chain if hop)
    return Vouch(path.relay or "", path.origin or "", hops, deeper_of(path), path.confidence)


def deeper_of(path: Path) -> str:
    return next((hop.address for hop in path.hops[2:] if hop.standing == "claim"), "")


def believe(seen: Observation, path: Path, keys: Keys, settled: Settled, place: Placement | None) -> Belief:
    verdict, origin = path.verdict, path.origin
    if verdict == "direct" and (seen.source, keys.stack) in settled.hiding:
        verdict = "hidden"
    if verdict == "relayed" and origin:
        origin = settled.believed(origin, inner_of(path.chain), deeper_of(path)) or None
    association = origin != path.origin
    is_guest = verdict in ("relayed", "hidden") and (not path.origin or path.origin in settled.lies)
    if is_guest and place and place.origin:
        liars = settled.unseen | settled.lies
        origin, association = (place.origin, True) if place.origin not in liars else (None, False)
    return Belief(verdict, origin, association)
